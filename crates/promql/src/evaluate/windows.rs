//! Range vectors: where their samples come from, and the windows over them.

use muster_series::SeriesColumns;

use super::pipeline::Input;
use super::{EvaluateError, Evaluator, Frame, Steps};
use crate::plan::Range;

impl<'a> Evaluator<'a> {
    /// The series of a range vector, which `function` is to be computed of, and its windows.
    pub(crate) fn open_windows(
        &mut self,
        range: &Range,
        steps: &Steps,
        function: &'static str,
    ) -> Result<(Input<'a>, Frame), EvaluateError> {
        match range {
            Range::Selector { selector, window_ms } => {
                let ends = self.sample_times(selector.when, steps);
                let input = self.open(selector, &ends, *window_ms, Some(function))?;
                Ok((input, Frame { ends, window_ms: *window_ms, steps: *steps }))
            }
            Range::Subquery { inner, window_ms, when, .. } => {
                let ends = self.sample_times(*when, steps);
                let frame = Frame { ends, window_ms: *window_ms, steps: *steps };
                let Some(inner_steps) = self.subquery_steps(range, steps) else {
                    return Ok((Input::Windows(Vec::new()), frame));
                };
                self.budget.charge(inner_steps.count)?;
                let was_paused = self.budget.tally.as_ref().map(|tally| tally.pause(true));
                let series = self.evaluate(inner, &inner_steps)?.into_vector()?;
                if let (Some(tally), Some(paused)) = (&self.budget.tally, was_paused) {
                    tally.pause(paused);
                }
                let windows: Vec<(SeriesColumns, bool)> = series
                    .into_iter()
                    .map(|one| {
                        let drops_name = one.drops_name;
                        (one.into_columns(&inner_steps), drops_name)
                    })
                    .collect();
                Ok((Input::Windows(windows), frame))
            }
        }
    }
}

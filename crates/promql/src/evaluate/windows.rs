//! Range vectors: the samples of each series, and the window of them at each step.

use muster_series::{Labels, SeriesColumns, is_stale_marker};

use super::{EvaluateError, Evaluator, Steps};
use crate::plan::{Node, Range, Selector, When};

/// The samples of all series that windows are cut from.
pub(crate) struct Windows {
    pub(crate) series: Vec<WindowSeries>,
    /// End of the window of each step, never falling.
    ends: Vec<i64>,
    window_ms: i64,
    steps: Steps,
}

/// The samples of one series.
pub(crate) struct WindowSeries {
    pub(crate) columns: SeriesColumns,
    pub(crate) drops_name: bool,
}

impl WindowSeries {
    /// The labels that the series has in a result.
    pub(crate) fn final_labels(&self) -> Labels {
        let labels = &self.columns.labels;
        if self.drops_name { labels.without_metric_name() } else { labels.clone() }
    }
}

/// The samples after `start_ms` and up to `end_ms`, the latter included.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// The step that the window belongs to; apart from its end by offset and `@`.
    pub(crate) step_ms: i64,
}

impl Windows {
    /// The windows of a series at each step, in one pass over its samples.
    pub(crate) fn slide<'a>(
        &'a self,
        series: &'a WindowSeries,
    ) -> impl Iterator<Item = Window<'a>> {
        let SeriesColumns { timestamps, values, .. } = &series.columns;
        let (mut from, mut to) = (0, 0);
        self.ends.iter().zip(self.steps.times()).map(move |(&end_ms, step_ms)| {
            let start_ms = end_ms - self.window_ms;
            to += timestamps[to..].iter().take_while(|&&time| time <= end_ms).count();
            from += timestamps[from..to].iter().take_while(|&&time| time <= start_ms).count();
            Window {
                timestamps: &timestamps[from..to],
                values: &values[from..to],
                start_ms,
                end_ms,
                step_ms,
            }
        })
    }
}

impl Evaluator<'_> {
    /// The range vector of a node, for all steps.
    pub(crate) fn windows(
        &mut self,
        range: &Range,
        steps: &Steps,
    ) -> Result<Windows, EvaluateError> {
        match range {
            Range::Selector { selector, window_ms } => {
                self.selector_windows(selector, *window_ms, steps)
            }
            Range::Subquery { inner, window_ms, step_ms, when } => {
                let step_ms = step_ms.unwrap_or(self.options.subquery_step_ms).max(1);
                self.subquery_windows(inner, *window_ms, step_ms, *when, steps)
            }
        }
    }

    fn selector_windows(
        &mut self,
        selector: &Selector,
        window_ms: i64,
        steps: &Steps,
    ) -> Result<Windows, EvaluateError> {
        let ends = self.sample_times(selector.when, steps);
        let mut loaded = self.load(selector, &ends, window_ms)?;
        for columns in &mut loaded {
            remove_stale(columns);
        }
        let series = loaded
            .into_iter()
            .filter(|columns| !columns.is_empty())
            .map(|columns| WindowSeries { columns, drops_name: false })
            .collect();
        Ok(Windows { series, ends, window_ms, steps: *steps })
    }

    /// Evaluates the inner query once, at all multiples of its step that any window holds.
    fn subquery_windows(
        &mut self,
        inner: &Node,
        window_ms: i64,
        step_ms: i64,
        when: When,
        steps: &Steps,
    ) -> Result<Windows, EvaluateError> {
        let ends = self.sample_times(when, steps);
        let mut windows = Windows { series: Vec::new(), ends, window_ms, steps: *steps };
        let (Some(&first), Some(&last)) = (windows.ends.first(), windows.ends.last()) else {
            return Ok(windows);
        };
        let open = first - window_ms;
        let aligned = step_ms * (open / step_ms);
        let first_ms = if aligned <= open { aligned + step_ms } else { aligned };
        if last < first_ms {
            return Ok(windows);
        }
        let count = usize::try_from((last - first_ms) / step_ms + 1).unwrap_or(usize::MAX);
        self.budget.charge(count)?;
        let inner_steps = Steps { first_ms, step_ms, count };
        let series = self.evaluate(inner, &inner_steps)?.into_vector()?;
        windows.series = series
            .into_iter()
            .map(|one| WindowSeries {
                drops_name: one.drops_name,
                columns: one.into_columns(&inner_steps),
            })
            .collect();
        Ok(windows)
    }
}

fn remove_stale(columns: &mut SeriesColumns) {
    if !columns.values.iter().any(|&value| is_stale_marker(value)) {
        return;
    }
    let mut kept = 0;
    for at in 0..columns.len() {
        if !is_stale_marker(columns.values[at]) {
            columns.timestamps[kept] = columns.timestamps[at];
            columns.values[kept] = columns.values[at];
            kept += 1;
        }
    }
    columns.timestamps.truncate(kept);
    columns.values.truncate(kept);
}

//! Instant vectors from the source: one selection for all steps, one pass over each series.

use muster_series::{SeriesColumns, TimeRange, is_stale_marker};

use super::{ABSENT, EvaluateError, Evaluator, StepSeries, Steps};
use crate::plan::{At, Selector, When};

impl Evaluator<'_> {
    /// The newest value of each series at each step, within the lookback and not stale.
    pub(super) fn select(
        &mut self,
        selector: &Selector,
        steps: &Steps,
    ) -> Result<Vec<StepSeries>, EvaluateError> {
        self.look_up(selector, steps, |columns, at| columns.values[at])
    }

    /// As [`Self::select`], but the time of the value found, in seconds.
    pub(crate) fn select_timestamps(
        &mut self,
        selector: &Selector,
        steps: &Steps,
    ) -> Result<Vec<StepSeries>, EvaluateError> {
        self.look_up(selector, steps, |columns, at| columns.timestamps[at] as f64 / 1000.0)
    }

    fn look_up(
        &mut self,
        selector: &Selector,
        steps: &Steps,
        read: impl Fn(&SeriesColumns, usize) -> f64,
    ) -> Result<Vec<StepSeries>, EvaluateError> {
        let lookback_ms = self.options.lookback_ms;
        let times = self.sample_times(selector.when, steps);
        let held_before = self.budget.held();
        let loaded = match times[..] {
            [time] => self.load_last(selector, time, lookback_ms)?,
            _ => self.load(selector, &times, lookback_ms)?,
        };
        let mut found = Vec::with_capacity(loaded.len());
        for columns in loaded {
            self.budget.charge(times.len())?;
            // `next` is the number of samples not newer than the step.
            let mut next = 0;
            let values = times.iter().map(|&time| {
                next += columns.timestamps[next..].iter().take_while(|&&t| t <= time).count();
                let Some(at) = next.checked_sub(1) else {
                    return ABSENT;
                };
                let too_old = columns.timestamps[at] <= time - lookback_ms;
                if too_old || is_stale_marker(columns.values[at]) {
                    ABSENT
                } else {
                    read(&columns, at)
                }
            });
            let series =
                StepSeries { values: values.collect(), labels: columns.labels, drops_name: false };
            if series.has_values() {
                found.push(series);
            }
        }
        self.budget.settle(held_before);
        Ok(found)
    }

    /// The series that a selector needs for samples up to `span_ms` before any of `times`, by labels.
    pub(super) fn load(
        &mut self,
        selector: &Selector,
        times: &[i64],
        span_ms: i64,
    ) -> Result<Vec<SeriesColumns>, EvaluateError> {
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
            return Ok(Vec::new());
        };
        // Windows are open on the left, so a sample exactly `span_ms` old is not needed.
        let range = TimeRange::new(first - span_ms + 1, last);
        self.budget.charge(0)?;
        let loaded = self.source.select(&selector.matchers, range)?;
        self.loaded(loaded)
    }

    /// As [`Self::load`], where of each series only the newest sample not newer than `time` is needed.
    fn load_last(
        &mut self,
        selector: &Selector,
        time: i64,
        span_ms: i64,
    ) -> Result<Vec<SeriesColumns>, EvaluateError> {
        self.budget.charge(0)?;
        let range = TimeRange::new(time - span_ms + 1, time);
        let loaded = self.source.select_last(&selector.matchers, range)?;
        self.loaded(loaded)
    }

    fn loaded(
        &mut self,
        mut loaded: Vec<SeriesColumns>,
    ) -> Result<Vec<SeriesColumns>, EvaluateError> {
        self.budget.charge(loaded.iter().map(SeriesColumns::len).sum())?;
        loaded.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(loaded)
    }

    /// The time that a selector looks at, for each step; never falling.
    pub(super) fn sample_times(&self, when: When, steps: &Steps) -> Vec<i64> {
        let fixed = when.at.map(|at| match at {
            At::Start => self.query_steps.first_ms,
            At::End => self.query_steps.last_ms(),
            At::Time(time_ms) => time_ms,
        });
        steps.times().map(|time| fixed.unwrap_or(time) - when.offset_ms).collect()
    }
}

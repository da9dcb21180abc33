//! Shapes what the last node yielded into the result of the query.

use muster_series::SeriesColumns;

use super::pipeline::Input;
use super::{
    Budget, EvaluateError, Frame, Operand, StepSeries, Steps, is_absent, merge_same_labels,
};
use crate::value::{InstantSample, Value};

/// The result of an instant query; vectors keep their order.
pub(super) fn instant(operand: Operand, timestamp_ms: i64) -> Result<Value, EvaluateError> {
    Ok(match operand {
        Operand::Scalar(values) => {
            Value::Scalar { timestamp_ms, value: values.first().copied().unwrap_or(f64::NAN) }
        }
        Operand::Text(value) => Value::String { timestamp_ms, value },
        Operand::Vector(series) => Value::Vector(
            named(series)?
                .into_iter()
                .filter_map(|one| {
                    let value = one.values.first().copied().filter(|&value| !is_absent(value))?;
                    Some(InstantSample { labels: one.labels, timestamp_ms, value })
                })
                .collect(),
        ),
    })
}

/// The result of a range query, by labels; series without values are left out.
pub(super) fn range(operand: Operand, steps: &Steps) -> Result<Vec<SeriesColumns>, EvaluateError> {
    let series = match operand {
        Operand::Vector(series) => named(series)?,
        Operand::Scalar(values) => {
            let labels = muster_series::Labels::empty();
            vec![StepSeries { labels, drops_name: false, values }]
        }
        Operand::Text(_) => Vec::new(),
    };
    let mut columns: Vec<SeriesColumns> = series
        .into_iter()
        .map(|one| one.into_columns(steps))
        .filter(|columns| !columns.is_empty())
        .collect();
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(columns)
}

/// The result of an instant query for a range vector: the samples of its window, without stale markers.
pub(super) fn window(
    input: Input<'_>,
    frame: &Frame,
    budget: &Budget<'_>,
) -> Result<Vec<SeriesColumns>, EvaluateError> {
    let mut columns = Vec::new();
    match input {
        Input::Parts { parts, held } => {
            for part in parts.into_iter().flatten() {
                let one = part?;
                budget.charge(if held { 0 } else { one.len() })?;
                columns.extend(cut(one, frame));
            }
        }
        Input::Shared(series) => {
            columns.extend(series.iter().filter_map(|one| cut(one.clone(), frame)));
        }
        Input::Windows(series) => {
            for (mut one, drops_name) in series {
                if drops_name {
                    one.labels = one.labels.without_metric_name();
                }
                columns.extend(cut(one, frame));
            }
        }
        Input::Steps(_) => {}
    }
    if let Some(tally) = &budget.tally {
        for one in &columns {
            tally.count_windows(frame, &one.timestamps);
        }
    }
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    if columns.windows(2).any(|two| two[0].labels == two[1].labels) {
        return Err(EvaluateError::same_labels());
    }
    Ok(columns)
}

/// The samples of a series in the only window of the frame.
fn cut(columns: SeriesColumns, frame: &Frame) -> Option<SeriesColumns> {
    let place = frame.cuts(&columns.timestamps).next()?;
    let mut window = SeriesColumns::new(columns.labels);
    for at in place.from..place.to {
        if !is_absent(columns.values[at]) {
            window.timestamps.push(columns.timestamps[at]);
            window.values.push(columns.values[at]);
        }
    }
    (!window.is_empty()).then_some(window)
}

/// Drops the metric names that are to be dropped, and joins what then has the same labels.
fn named(mut series: Vec<StepSeries>) -> Result<Vec<StepSeries>, EvaluateError> {
    for one in &mut series {
        one.labels = one.final_labels();
        one.drops_name = false;
    }
    merge_same_labels(series)
}

impl StepSeries {
    /// The values there are, with their times.
    pub(super) fn into_columns(self, steps: &Steps) -> SeriesColumns {
        if !self.values.iter().any(|&value| is_absent(value)) {
            let timestamps = steps.times().take(self.values.len()).collect();
            return SeriesColumns { labels: self.labels, timestamps, values: self.values };
        }
        let mut columns = SeriesColumns::new(self.labels);
        for (time, value) in steps.times().zip(self.values) {
            if !is_absent(value) {
                columns.timestamps.push(time);
                columns.values.push(value);
            }
        }
        columns
    }
}

//! The steps of an evaluation, and values at each of them.

use std::collections::HashMap;

use muster_series::{Labels, STALE_MARKER_BITS, is_stale_marker};

use super::EvaluateError;

/// The value of a series at a step where it has none.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_MARKER_BITS);

/// Whether a series has no value at a step.
pub(crate) fn is_absent(value: f64) -> bool {
    is_stale_marker(value)
}

/// The instants that a node is evaluated for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) first_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Steps {
    /// The instant of a step.
    pub(crate) fn time(&self, step: usize) -> i64 {
        self.first_ms + self.step_ms * step as i64
    }

    /// The last instant; the first one for no steps at all.
    pub(crate) fn last_ms(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    /// All instants.
    pub(crate) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let steps = *self;
        (0..steps.count).map(move |step| steps.time(step))
    }
}

/// One value a step of one series; [`ABSENT`] where it has none.
#[derive(Debug, Clone)]
pub(crate) struct StepSeries {
    pub(crate) labels: Labels,
    /// Whether the metric name is to be dropped in the end.
    pub(crate) drops_name: bool,
    pub(crate) values: Vec<f64>,
}

impl StepSeries {
    /// A series without values.
    pub(crate) fn absent(labels: Labels, drops_name: bool, steps: usize) -> Self {
        Self { labels, drops_name, values: vec![ABSENT; steps] }
    }

    /// Replaces each value there is.
    pub(crate) fn map(&mut self, mut change: impl FnMut(f64) -> f64) {
        for value in self.values.iter_mut().filter(|value| !is_absent(**value)) {
            *value = change(*value);
        }
    }

    /// Whether there is a value at any step.
    pub(crate) fn has_values(&self) -> bool {
        self.values.iter().any(|&value| !is_absent(value))
    }

    /// The labels that the series has in the result.
    pub(crate) fn final_labels(&self) -> Labels {
        if self.drops_name { self.labels.without_metric_name() } else { self.labels.clone() }
    }
}

/// The value of a node at all steps.
pub(crate) enum Operand {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<StepSeries>),
}

impl Operand {
    /// How many samples it holds.
    pub(crate) fn samples(&self) -> usize {
        match self {
            Self::Scalar(values) => values.len(),
            Self::Text(_) => 0,
            Self::Vector(series) => series.iter().map(|s| s.values.len()).sum(),
        }
    }

    /// The series of an instant vector.
    pub(crate) fn into_vector(self) -> Result<Vec<StepSeries>, EvaluateError> {
        match self {
            Self::Vector(series) => Ok(series),
            _ => Err(EvaluateError::Execution("expected an instant vector".into())),
        }
    }

    /// One number a step.
    pub(crate) fn into_scalar(self) -> Result<Vec<f64>, EvaluateError> {
        match self {
            Self::Scalar(values) => Ok(values),
            _ => Err(EvaluateError::Execution("expected a scalar".into())),
        }
    }

    /// A text.
    pub(crate) fn into_text(self) -> Result<String, EvaluateError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(EvaluateError::Execution("expected a string".into())),
        }
    }
}

/// Joins series of equal labels into one; an error if two of them have a value at the same step.
///
/// The first of each kept its place, so that a sorted vector stays sorted.
pub(crate) fn merge_same_labels(series: Vec<StepSeries>) -> Result<Vec<StepSeries>, EvaluateError> {
    let mut places: HashMap<(Labels, bool), usize> = HashMap::with_capacity(series.len());
    let mut merged: Vec<StepSeries> = Vec::with_capacity(series.len());
    for one in series {
        let place = *places.entry((one.labels.clone(), one.drops_name)).or_insert(merged.len());
        let Some(into) = merged.get_mut(place) else {
            merged.push(one);
            continue;
        };
        for (old, &new) in into.values.iter_mut().zip(&one.values) {
            if is_absent(new) {
                continue;
            }
            if !is_absent(*old) {
                return Err(EvaluateError::same_labels());
            }
            *old = new;
        }
    }
    Ok(merged)
}

//! Functions of single values, and those between scalars and vectors.

use muster_series::Labels;

use super::{scalar_argument, seconds, vector_argument};
use crate::evaluate::{ABSENT, EvaluateError, Evaluator, Operand, StepSeries, Steps, is_absent};
use crate::plan::{Call, Node};

/// -1, 0 or 1; NaN stays NaN.
pub(super) fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// Between two bounds; nothing if the lower one is above the upper one.
pub(super) fn clamp(value: f64, bounds: &[f64]) -> f64 {
    let [lower, upper] = *bounds else {
        return ABSENT;
    };
    if upper < lower { ABSENT } else { greater(lower, lesser(upper, value)) }
}

/// At most the bound.
pub(super) fn clamp_max(value: f64, bounds: &[f64]) -> f64 {
    bounds.iter().fold(value, |value, &bound| lesser(bound, value))
}

/// At least the bound.
pub(super) fn clamp_min(value: f64, bounds: &[f64]) -> f64 {
    bounds.iter().fold(value, |value, &bound| greater(bound, value))
}

/// The greater one; NaN if one is NaN, unlike [`f64::max`].
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The lesser one; NaN if one is NaN, unlike [`f64::min`].
fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// To the nearest multiple, halves up; of 1 without a second argument.
pub(super) fn round(value: f64, multiple: &[f64]) -> f64 {
    // Prometheus multiplies by the inverse, which loses less for multiples such as 0.1.
    let inverse = 1.0 / multiple.first().copied().unwrap_or(1.0);
    (value * inverse + 0.5).floor() / inverse
}

/// The value of the only sample at each step, else NaN.
pub(super) fn scalar(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let series = vector_argument(evaluator, call, 0, steps)?;
    let mut values = vec![f64::NAN; steps.count];
    let mut seen = vec![false; steps.count];
    for one in &series {
        for (step, &value) in one.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let first = !std::mem::replace(&mut seen[step], true);
            values[step] = if first { value } else { f64::NAN };
        }
    }
    Ok(Operand::Scalar(values))
}

/// A scalar as a vector without labels.
pub(super) fn vector(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let values = scalar_argument(evaluator, call, 0, steps)?;
    Ok(Operand::Vector(vec![StepSeries { labels: Labels::empty(), drops_name: false, values }]))
}

/// When a sample was taken, in seconds: only a selector has samples older than the step itself.
pub(super) fn timestamp(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let mut series = if let Some(Node::Selector(selector)) = call.args.first() {
        evaluator.select_timestamps(selector, steps)?
    } else {
        let mut series = vector_argument(evaluator, call, 0, steps)?;
        for one in &mut series {
            for (value, second) in one.values.iter_mut().zip(seconds(steps)) {
                if !is_absent(*value) {
                    *value = second;
                }
            }
        }
        series
    };
    for one in &mut series {
        one.drops_name = true;
    }
    Ok(Operand::Vector(series))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_keep_nan() {
        assert_eq!(clamp(5.0, &[0.0, 3.0]), 3.0);
        assert!(is_absent(clamp(5.0, &[3.0, 0.0])));
        assert!(clamp_min(f64::NAN, &[1.0]).is_nan());
        assert!(clamp_max(1.0, &[f64::NAN]).is_nan());
    }

    #[test]
    fn rounds_halves_up() {
        assert_eq!(round(-0.5, &[]), 0.0);
        assert_eq!(round(2.5, &[]), 3.0);
        assert_eq!(round(5.25, &[0.1]), 5.3);
    }
}

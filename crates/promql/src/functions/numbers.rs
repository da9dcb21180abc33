//! Functions of single values, and those between scalars and vectors.

use muster_series::Labels;

use super::{scalar_argument, vector_argument};
use crate::evaluate::{ABSENT, EvaluateError, Evaluator, Operand, StepSeries, Steps, is_absent};
use crate::plan::Call;

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
    bounds.first().map_or(value, |&upper| clamp(value, &[f64::NEG_INFINITY, upper]))
}

/// At least the bound.
pub(super) fn clamp_min(value: f64, bounds: &[f64]) -> f64 {
    bounds.first().map_or(value, |&lower| clamp(value, &[lower, f64::INFINITY]))
}

/// The greater one; NaN if one is NaN, unlike [`f64::max`], unless the other is infinite (as in Go).
pub(super) fn greater(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The lesser one; NaN if one is NaN, unlike [`f64::min`], unless the other is infinite (as in Go).
pub(super) fn lesser(a: f64, b: f64) -> f64 {
    -greater(-a, -b)
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

/// `max_of` and `min_of`: one of two scalars, at each step.
pub(super) fn of_two(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
    choose: fn(f64, f64) -> f64,
) -> Result<Operand, EvaluateError> {
    let first = scalar_argument(evaluator, call, 0, steps)?;
    let second = scalar_argument(evaluator, call, 1, steps)?;
    Ok(Operand::Scalar(first.into_iter().zip(second).map(|(a, b)| choose(a, b)).collect()))
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

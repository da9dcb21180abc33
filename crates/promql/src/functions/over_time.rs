//! The `…_over_time` functions: from the samples of a window, at least one, to one value.

use super::window;
use crate::evaluate::{EvaluateError, Evaluator, Operand, Steps, Window};
use crate::plan::Call;
use crate::sums::{CompensatedSum, Mean, quantile};

pub(super) fn avg(window: &Window<'_>) -> f64 {
    let mut mean = Mean::default();
    for &value in window.values {
        mean.add(value);
    }
    mean.mean()
}

pub(super) fn count(window: &Window<'_>) -> f64 {
    window.values.len() as f64
}

pub(super) fn first(window: &Window<'_>) -> f64 {
    window.values[0]
}

pub(super) fn last(window: &Window<'_>) -> f64 {
    window.values[window.values.len() - 1]
}

/// Median of the distances from the median.
pub(super) fn mad(window: &Window<'_>) -> f64 {
    let mut values = window.values.to_vec();
    let median = quantile(0.5, &mut values);
    for value in &mut values {
        *value = (*value - median).abs();
    }
    quantile(0.5, &mut values)
}

pub(super) fn max(window: &Window<'_>) -> f64 {
    window.values[greatest(window)]
}

pub(super) fn min(window: &Window<'_>) -> f64 {
    window.values[least(window)]
}

/// Index of the first greatest value; NaN only if all are.
fn greatest(window: &Window<'_>) -> usize {
    let better = |best: f64, value: f64| value > best || best.is_nan();
    extreme(window.values, better)
}

/// Index of the first least value; NaN only if all are.
fn least(window: &Window<'_>) -> usize {
    let better = |best: f64, value: f64| value < best || best.is_nan();
    extreme(window.values, better)
}

fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for at in 1..values.len() {
        if better(values[best], values[at]) {
            best = at;
        }
    }
    best
}

pub(super) fn present(_: &Window<'_>) -> f64 {
    1.0
}

pub(super) fn stddev(window: &Window<'_>) -> f64 {
    stdvar(window).sqrt()
}

/// Welford's method, with both running sums compensated.
pub(super) fn stdvar(window: &Window<'_>) -> f64 {
    let mut mean = CompensatedSum::default();
    let mut squares = CompensatedSum::default();
    let mut count = 0.0;
    for &value in window.values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / count
}

pub(super) fn sum(window: &Window<'_>) -> f64 {
    let mut sum = CompensatedSum::default();
    for &value in window.values {
        sum.add(value);
    }
    sum.total()
}

pub(super) fn ts_of_first(window: &Window<'_>) -> f64 {
    window.timestamps[0] as f64 / 1000.0
}

pub(super) fn ts_of_last(window: &Window<'_>) -> f64 {
    window.timestamps[window.timestamps.len() - 1] as f64 / 1000.0
}

/// Time of the last sample that is the greatest.
pub(super) fn ts_of_max(window: &Window<'_>) -> f64 {
    let better = |best: f64, value: f64| value >= best || best.is_nan();
    window.timestamps[extreme(window.values, better)] as f64 / 1000.0
}

/// Time of the last sample that is the least.
pub(super) fn ts_of_min(window: &Window<'_>) -> f64 {
    let better = |best: f64, value: f64| value <= best || best.is_nan();
    window.timestamps[extreme(window.values, better)] as f64 / 1000.0
}

/// `quantile_over_time`, which warns of a quantile that is none.
pub(super) fn quantiles(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<Operand, EvaluateError> {
    let checked = super::scalar_argument(evaluator, call, 0, steps)?;
    let operand = window(evaluator, call, steps, false, |window, scalars| {
        let mut values = window.values.to_vec();
        Some(quantile(*scalars.first()?, &mut values))
    })?;
    if operand.samples() > 0 {
        for q in checked {
            evaluator.notes.check_quantile(q, call.position.map(|p| p.argument));
        }
    }
    Ok(operand)
}

//! Functions of trend: linear regression and double exponential smoothing.

use super::scalar_argument;
use crate::evaluate::{ABSENT, EvaluateError, Evaluator, Steps, Window};
use crate::plan::Call;
use crate::sums::CompensatedSum;

/// Slope per second.
pub(super) fn deriv(window: &Window<'_>) -> f64 {
    match window.timestamps {
        [first_ms, _, ..] => regression(window, *first_ms).slope,
        _ => ABSENT,
    }
}

/// Value of the regression line so many seconds after the step.
pub(super) fn predict_linear(window: &Window<'_>, scalars: &[f64], _: &mut Vec<f64>) -> f64 {
    match scalars {
        [seconds] if window.values.len() > 1 => {
            let line = regression(window, window.step_ms);
            line.slope * seconds + line.intercept
        }
        _ => ABSENT,
    }
}

struct Line {
    slope: f64,
    /// Value at the time that counts as zero.
    intercept: f64,
}

/// Least squares over the samples of a window; times count from `zero_ms`.
fn regression(window: &Window<'_>, zero_ms: i64) -> Line {
    let first = window.values.first().copied().unwrap_or(f64::NAN);
    if window.values.iter().all(|&value| value == first) {
        // A constant is exact without arithmetic; an infinite one has no line.
        return if first.is_infinite() {
            Line { slope: f64::NAN, intercept: f64::NAN }
        } else {
            Line { slope: 0.0, intercept: first }
        };
    }
    let count = window.values.len() as f64;
    let mut x_sum = CompensatedSum::default();
    let mut y_sum = CompensatedSum::default();
    let mut xy_sum = CompensatedSum::default();
    let mut xx_sum = CompensatedSum::default();
    for (&time, &y) in window.timestamps.iter().zip(window.values) {
        let x = (time - zero_ms) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let (x_sum, y_sum) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x_sum * y_sum / count;
    let variance = xx_sum.total() - x_sum * x_sum / count;
    let slope = covariance / variance;
    Line { slope, intercept: y_sum / count - slope * x_sum / count }
}

/// Refuses factors of `double_exponential_smoothing` that do not lie between 0 and 1.
pub(crate) fn check_smoothing(
    evaluator: &mut Evaluator<'_>,
    call: &Call,
    steps: &Steps,
) -> Result<(), EvaluateError> {
    for (at, kind, symbol) in [(1, "smoothing", "sf"), (2, "trend", "tf")] {
        let factors = scalar_argument(evaluator, call, at, steps)?;
        if let Some(bad) = factors.iter().find(|&&factor| factor <= 0.0 || factor >= 1.0) {
            return Err(EvaluateError::Execution(format!(
                "invalid {kind} factor. Expected: 0 < {symbol} < 1, got: {bad:.6}"
            )));
        }
    }
    Ok(())
}

/// Holt's method; starts from the first value and the first difference.
pub(crate) fn smooth(window: &Window<'_>, factors: &[f64], _: &mut Vec<f64>) -> f64 {
    let (&[level_factor, trend_factor], &[first, second, ..]) = (factors, window.values) else {
        return ABSENT;
    };
    let mut before = 0.0;
    let mut level = first;
    let mut trend = second - first;
    for (at, &value) in window.values.iter().enumerate().skip(1) {
        if at > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = level_factor * value + (1.0 - level_factor) * (level + trend);
        before = level;
        level = next;
    }
    level
}

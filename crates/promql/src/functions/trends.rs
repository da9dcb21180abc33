//! Functions of trend: linear regression and double exponential smoothing.

use super::scalar_argument;
use crate::evaluate::{
    ABSENT, EvaluateError, Evaluator, Frame, Samples, SlidingAggregate, Steps, Window, slide,
    slide_with,
};
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

pub(super) fn slide_deriv(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Trend>(frame, samples, out);
}

pub(super) fn slide_predict_linear(
    frame: &Frame,
    samples: Samples<'_>,
    scalars: &[Vec<f64>],
    out: &mut Vec<f64>,
) {
    let cuts = frame.cuts(samples.timestamps).map(|cut| cut.from..cut.to);
    slide_with::<Trend>(cuts, samples, out, |step, trend| match scalars {
        [seconds] if trend.count > 1.0 => {
            let line = trend.line(frame.steps.time(step));
            line.slope * seconds[step] + line.intercept
        }
        _ => ABSENT,
    });
}

struct Line {
    slope: f64,
    /// Value at the time that counts as zero.
    intercept: f64,
}

/// What the regression line of a run of samples is computed from. Times count from the first of its samples, so that they
/// are never far from each other; their sums are whole numbers, and exact.
#[derive(Clone, Copy)]
struct Trend {
    first_ms: i64,
    first: f64,
    /// Whether all values are the first.
    is_constant: bool,
    count: f64,
    /// Sums of times in milliseconds, and of their squares.
    times: i128,
    squares: i128,
    values: CompensatedSum,
    /// The sum of each value multiplied by its time in seconds. Of no use where a value is infinite.
    products: CompensatedSum,
    /// Times in milliseconds of the first and the last value that is infinite.
    infinite_ms: Option<(i64, i64)>,
}

impl SlidingAggregate for Trend {
    fn of(time_ms: i64, value: f64) -> Self {
        let mut values = CompensatedSum::default();
        values.add(value);
        let products = values.times(0.0);
        Self {
            first_ms: time_ms,
            first: value,
            is_constant: true,
            count: 1.0,
            times: 0,
            squares: 0,
            values,
            products,
            infinite_ms: value.is_infinite().then_some((time_ms, time_ms)),
        }
    }

    fn join(self, next: Self) -> Self {
        let later_ms = next.first_ms - self.first_ms;
        let later = i128::from(later_ms);
        let moved = next.values.times(later_ms as f64 / 1000.0);
        Self {
            first_ms: self.first_ms,
            first: self.first,
            is_constant: self.is_constant && next.is_constant && self.first == next.first,
            count: self.count + next.count,
            times: self.times + next.times + later * next.count as i128,
            squares: self.squares
                + next.squares
                + 2 * later * next.times
                + later * later * next.count as i128,
            values: self.values.join(next.values),
            products: self.products.join(next.products).join(moved),
            infinite_ms: match (self.infinite_ms, next.infinite_ms) {
                (Some((first, _)), Some((_, last))) => Some((first, last)),
                (one, other) => one.or(other),
            },
        }
    }

    /// Slope per second.
    fn value(self) -> f64 {
        if self.count > 1.0 { self.line(self.first_ms).slope } else { ABSENT }
    }
}

impl Trend {
    /// Least squares over the samples; times count from `zero_ms`.
    fn line(self, zero_ms: i64) -> Line {
        if self.is_constant {
            return constant(self.first);
        }
        if let Some(infinite_ms) = self.infinite_ms {
            return self.infinite_line(infinite_ms, zero_ms);
        }
        let (x_sum, y_sum) = (self.times as f64 / 1e3, self.values.total());
        let covariance = self.products.total() - x_sum * y_sum / self.count;
        let variance = self.squares as f64 / 1e6 - x_sum * x_sum / self.count;
        let slope = covariance / variance;
        let mean_x = x_sum / self.count + (self.first_ms - zero_ms) as f64 / 1e3;
        Line { slope, intercept: y_sum / self.count - slope * mean_x }
    }

    /// The line where a value is infinite: what the sums over all samples come to depends on the side of zero on which the
    /// infinite ones stand, so it is the same as over the window only if their times count from the same zero.
    fn infinite_line(self, (first_ms, last_ms): (i64, i64), zero_ms: i64) -> Line {
        // Not a number if there are infinite values of both signs.
        let y_sum = self.values.total();
        let xy_sum = if first_ms > zero_ms {
            y_sum
        } else if last_ms < zero_ms {
            -y_sum
        } else {
            f64::NAN
        };
        let x_sum =
            (self.times + i128::from(self.first_ms - zero_ms) * self.count as i128) as f64 / 1e3;
        // The variance does not depend on where zero is, and is positive.
        let slope = xy_sum - x_sum * y_sum / self.count;
        Line { slope, intercept: y_sum / self.count - slope * x_sum / self.count }
    }
}

/// A constant is exact without arithmetic; an infinite one has no line.
fn constant(value: f64) -> Line {
    if value.is_infinite() {
        Line { slope: f64::NAN, intercept: f64::NAN }
    } else {
        Line { slope: 0.0, intercept: value }
    }
}

/// Least squares over the samples of a window; times count from `zero_ms`.
fn regression(window: &Window<'_>, zero_ms: i64) -> Line {
    let first = window.values.first().copied().unwrap_or(f64::NAN);
    if window.values.iter().all(|&value| value == first) {
        return constant(first);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The line through samples a second apart, by sliding and over the window as a whole.
    #[track_caller]
    fn check(values: &[f64], zero_ms: i64) {
        let timestamps: Vec<i64> = (0..values.len() as i64).map(|at| at * 1_000).collect();
        let window = Window { timestamps: &timestamps, values, step_ms: zero_ms };
        let expected = regression(&window, zero_ms);
        let all = timestamps.iter().zip(values).map(|(&time, &value)| Trend::of(time, value));
        let line = all.reduce(SlidingAggregate::join).expect("there are samples").line(zero_ms);
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-9;
        let alike = same(line.slope, expected.slope) && same(line.intercept, expected.intercept);
        assert!(alike, "{values:?} from {zero_ms}: {}, not {}", line.slope, expected.slope);
    }

    #[test]
    fn infinite_values_are_summed_as_over_the_whole_window() {
        let (up, down) = (f64::INFINITY, f64::NEG_INFINITY);
        for zero_ms in [-60_000, -1, 0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 60_000] {
            for wild in [1.5, up, down, f64::NAN] {
                for at in 0..4 {
                    let mut values = [3.0, 1.0, 4.0, 1.5];
                    values[at] = wild;
                    check(&values, zero_ms);
                    values[3 - at] = up;
                    check(&values, zero_ms);
                    check(&[wild; 3], zero_ms);
                }
            }
        }
    }
}

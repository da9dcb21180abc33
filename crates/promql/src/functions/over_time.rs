//! The `…_over_time` functions: from the samples of a window, at least one, to one value.
//!
//! Those that slide stand here twice: of a window alone, computed as Prometheus does, and of all windows
//! of a series, by aggregates of runs of samples that are joined.

use super::ordered::Ordered;
use crate::evaluate::{ABSENT, Frame, Samples, SlidingAggregate, Window, slide};
use crate::sums::{CompensatedSum, Mean, Spread, quantile, quantile_of_sorted};

pub(super) fn avg(window: &Window<'_>) -> f64 {
    let mut mean = Mean::default();
    for &value in window.values {
        mean.add(value);
    }
    mean.mean()
}

pub(super) fn slide_avg(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Mean>(frame, samples, out);
}

impl SlidingAggregate for Mean {
    fn of(_: i64, value: f64) -> Self {
        let mut mean = Self::default();
        mean.add(value);
        mean
    }

    fn join(self, next: Self) -> Self {
        Self::join(self, next)
    }

    fn value(self) -> f64 {
        self.mean()
    }
}

pub(super) fn count(window: &Window<'_>) -> f64 {
    window.values.len() as f64
}

pub(super) fn first(window: &Window<'_>) -> f64 {
    window.values.first().copied().unwrap_or(ABSENT)
}

pub(super) fn last(window: &Window<'_>) -> f64 {
    window.values.last().copied().unwrap_or(ABSENT)
}

/// Median of the distances from the median; NaN if any value is.
pub(super) fn mad(window: &Window<'_>, _: &[f64], work: &mut Vec<f64>) -> f64 {
    mad_of(window.values, work)
}

fn mad_of(values: &[f64], work: &mut Vec<f64>) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    work.clear();
    work.extend_from_slice(values);
    let median = quantile(0.5, work);
    for value in work.iter_mut() {
        *value = (*value - median).abs();
    }
    quantile(0.5, work)
}

pub(super) fn max(window: &Window<'_>) -> f64 {
    let greater = |best: f64, &value: &f64| if value > best { value } else { best };
    best_of(window.values, f64::NEG_INFINITY, greater)
}

pub(super) fn min(window: &Window<'_>) -> f64 {
    let lesser = |best: f64, &value: &f64| if value < best { value } else { best };
    best_of(window.values, f64::INFINITY, lesser)
}

/// Folds from the worst value there is; where only that comes out, all values are it or NaN.
fn best_of(values: &[f64], worst: f64, better: impl Fn(f64, &f64) -> f64) -> f64 {
    let best = values.iter().fold(worst, better);
    if best == worst && !values.contains(&worst) { f64::NAN } else { best }
}

pub(super) fn slide_max(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Extreme<true, false>>(frame, samples, out);
}

pub(super) fn slide_min(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Extreme<false, false>>(frame, samples, out);
}

/// The greatest or least value and the last time of it; NaN only if all values are.
#[derive(Clone, Copy)]
struct Extreme<const GREATEST: bool, const YIELDS_TIME: bool> {
    time_ms: i64,
    value: f64,
}

impl<const GREATEST: bool, const YIELDS_TIME: bool> SlidingAggregate
    for Extreme<GREATEST, YIELDS_TIME>
{
    fn of(time_ms: i64, value: f64) -> Self {
        Self { time_ms, value }
    }

    fn join(self, next: Self) -> Self {
        let better = if GREATEST { next.value >= self.value } else { next.value <= self.value };
        if better || self.value.is_nan() { next } else { self }
    }

    fn value(self) -> f64 {
        if YIELDS_TIME { self.time_ms as f64 / 1000.0 } else { self.value }
    }
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

pub(super) fn slide_stdvar(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Spread>(frame, samples, out);
}

pub(super) fn slide_stddev(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Deviation>(frame, samples, out);
}

impl SlidingAggregate for Spread {
    fn of(_: i64, value: f64) -> Self {
        let mut spread = Self::default();
        spread.add(value);
        spread
    }

    fn join(self, next: Self) -> Self {
        Self::join(self, next)
    }

    fn value(self) -> f64 {
        self.variance()
    }
}

/// A spread that yields its root.
#[derive(Clone, Copy)]
struct Deviation(Spread);

impl SlidingAggregate for Deviation {
    fn of(time_ms: i64, value: f64) -> Self {
        Self(<Spread as SlidingAggregate>::of(time_ms, value))
    }

    fn join(self, next: Self) -> Self {
        Self(self.0.join(next.0))
    }

    fn value(self) -> f64 {
        self.0.variance().sqrt()
    }
}

pub(super) fn sum(window: &Window<'_>) -> f64 {
    let mut sum = CompensatedSum::default();
    for &value in window.values {
        sum.add(value);
    }
    sum.total()
}

pub(super) fn slide_sum(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<CompensatedSum>(frame, samples, out);
}

impl SlidingAggregate for CompensatedSum {
    fn of(_: i64, value: f64) -> Self {
        let mut sum = Self::default();
        sum.add(value);
        sum
    }

    fn join(self, next: Self) -> Self {
        Self::join(self, next)
    }

    fn value(self) -> f64 {
        self.total()
    }
}

pub(super) fn ts_of_first(window: &Window<'_>) -> f64 {
    window.timestamps.first().map_or(ABSENT, |&time| time as f64 / 1000.0)
}

pub(super) fn ts_of_last(window: &Window<'_>) -> f64 {
    window.timestamps.last().map_or(ABSENT, |&time| time as f64 / 1000.0)
}

/// Time of the last sample that is the greatest.
pub(super) fn ts_of_max(window: &Window<'_>) -> f64 {
    alone::<Extreme<true, true>>(window)
}

/// Time of the last sample that is the least.
pub(super) fn ts_of_min(window: &Window<'_>) -> f64 {
    alone::<Extreme<false, true>>(window)
}

fn alone<A: SlidingAggregate>(window: &Window<'_>) -> f64 {
    let samples = window.timestamps.iter().zip(window.values);
    let whole = samples.map(|(&time, &value)| A::of(time, value)).reduce(A::join);
    whole.map_or(f64::NAN, A::value)
}

pub(super) fn slide_ts_of_max(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Extreme<true, true>>(frame, samples, out);
}

pub(super) fn slide_ts_of_min(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    slide::<Extreme<false, true>>(frame, samples, out);
}

/// `quantile_over_time`.
pub(crate) fn quantile_of(window: &Window<'_>, scalars: &[f64], work: &mut Vec<f64>) -> f64 {
    work.clear();
    work.extend_from_slice(window.values);
    scalars.first().map_or(ABSENT, |&q| quantile(q, work))
}

pub(crate) fn slide_quantile(
    frame: &Frame,
    samples: Samples<'_>,
    scalars: &[Vec<f64>],
    out: &mut Vec<f64>,
) {
    slide_ordered(frame, samples, out, |step, ordered, _| {
        let q = scalars.first().map_or(f64::NAN, |quantiles| quantiles[step]);
        quantile_of_sorted(q, ordered.len(), |rank| ordered.at(rank))
    });
}

pub(super) fn slide_mad(frame: &Frame, samples: Samples<'_>, _: &[Vec<f64>], out: &mut Vec<f64>) {
    let mut work = Vec::new();
    slide_ordered(frame, samples, out, |_, ordered, values| {
        let (least, greatest) = (ordered.at(0), ordered.at(ordered.len() - 1));
        if least.is_finite() && greatest.is_finite() {
            mad_of_ordered(ordered)
        } else {
            // Infinities have no distances from each other, so that the distances are in another order.
            mad_of(values, &mut work)
        }
    });
}

/// Median of the distances from the median, of finite values in order. On both sides of the median, distances rise.
fn mad_of_ordered(ordered: &Ordered) -> f64 {
    let count = ordered.len();
    let median = quantile_of_sorted(0.5, count, |rank| ordered.at(rank));
    let middle = ordered.less_than(median);
    let distance = |rank: usize| (ordered.at(rank) - median).abs();
    let below = |n: usize| distance(middle - 1 - n);
    let above = |n: usize| distance(middle + n);
    quantile_of_sorted(0.5, count, |rank| {
        // Of the `rank + 1` least distances, so many are below: the first number at which the next one below is not less
        // than the last one that is then taken above.
        let taken = rank + 1;
        let (mut low, mut high) = (taken.saturating_sub(count - middle), taken.min(middle));
        while low < high {
            let half = usize::midpoint(low, high);
            if below(half) < above(taken - half - 1) {
                low = half + 1;
            } else {
                high = half;
            }
        }
        let last_below = low.checked_sub(1).map(below);
        let last_above = (taken - low).checked_sub(1).map(above);
        match (last_below, last_above) {
            (Some(one), Some(other)) => one.max(other),
            (one, other) => one.or(other).unwrap_or(f64::NAN),
        }
    })
}

/// Of each window with samples, a value of its number, its values in order, and its values as they come.
fn slide_ordered(
    frame: &Frame,
    samples: Samples<'_>,
    out: &mut Vec<f64>,
    mut value: impl FnMut(usize, &Ordered, &[f64]) -> f64,
) {
    let mut ordered = Ordered::default();
    let (mut from, mut to) = (0, 0);
    for (step, cut) in frame.cuts(samples.timestamps).enumerate() {
        if cut.from >= to {
            ordered.clear();
            (from, to) = (cut.from, cut.from);
        }
        for &entering in &samples.values[to..cut.to] {
            ordered.insert(entering);
        }
        for &leaving in &samples.values[from..cut.from] {
            ordered.remove(leaving);
        }
        (from, to) = (cut.from, cut.to);
        let values = &samples.values[from..to];
        out.push(if values.is_empty() { ABSENT } else { value(step, &ordered, values) });
    }
}

//! Functions of change: rates of counters, differences of gauges.

use std::ops::Range;

use crate::evaluate::{ABSENT, Frame, Samples, Window, is_absent, slide_over};
use crate::sums::CompensatedSum;

pub(super) fn rate(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    extrapolate(frame, samples, true, frame.window_ms as f64 / 1000.0, out);
}

pub(super) fn increase(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    extrapolate(frame, samples, true, 1.0, out);
}

pub(super) fn delta(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    extrapolate(frame, samples, false, 1.0, out);
}

/// The change over each window, as if its first and last sample lay on its ends (Prometheus's
/// `extrapolatedRate`).
///
/// 1. The difference of last and first value; for a counter, plus the value before each reset.
/// 2. Extended to an end of the window that is at most 1.1 average intervals away, else by half an
///    interval; a counter never to before the time at which it was zero.
/// 3. Divided by `per_seconds`, which is 1 where no rate is meant.
fn extrapolate(
    frame: &Frame,
    samples: Samples<'_>,
    is_counter: bool,
    per_seconds: f64,
    out: &mut Vec<f64>,
) {
    let Samples { timestamps, values } = samples;
    let lost = if is_counter { lost_by_resets(frame, samples) } else { Vec::new() };
    for (step, cut) in frame.cuts(timestamps).enumerate() {
        if cut.to - cut.from < 2 {
            out.push(ABSENT);
            continue;
        }
        let (first_at, last_at) = (cut.from, cut.to - 1);
        let first = values[first_at];
        let change = values[last_at] - first + lost.get(step).copied().unwrap_or(0.0);
        let (first_ms, last_ms) = (timestamps[first_at], timestamps[last_at]);
        let sampled = (last_ms - first_ms) as f64 / 1000.0;
        let interval = sampled / (last_at - first_at) as f64;
        let threshold = interval * 1.1;
        let mut to_start = (first_ms - (cut.end_ms - frame.window_ms)) as f64 / 1000.0;
        let mut to_end = (cut.end_ms - last_ms) as f64 / 1000.0;
        if to_start >= threshold {
            to_start = interval / 2.0;
        }
        if is_counter && change > 0.0 && first >= 0.0 {
            to_start = to_start.min(sampled * (first / change));
        }
        if to_end >= threshold {
            to_end = interval / 2.0;
        }
        out.push(change * ((sampled + to_start + to_end) / sampled / per_seconds));
    }
}

/// The sum of the values before each reset, for each window; empty if the counter was never reset.
///
/// Few resets are added up for each window. Where windows share many, as of a gauge that is taken for a
/// counter, the sums slide.
fn lost_by_resets(frame: &Frame, samples: Samples<'_>) -> Vec<f64> {
    let Samples { timestamps, values } = samples;
    let pairs = values.windows(2).enumerate();
    // The places of values that are less than the one before them.
    let resets: Vec<usize> =
        pairs.filter(|(_, two)| two[1] < two[0]).map(|(at, _)| at + 1).collect();
    if resets.is_empty() {
        return Vec::new();
    }
    let (mut from, mut to) = (0, 0);
    let runs: Vec<Range<usize>> = frame
        .cuts(timestamps)
        .map(|cut| {
            while to < resets.len() && resets[to] < cut.to {
                to += 1;
            }
            // A reset from the sample before the window to its first one is none of the window.
            while from < to && resets[from] <= cut.from {
                from += 1;
            }
            from..to
        })
        .collect();
    let before: Vec<f64> = resets.iter().map(|&at| values[at - 1]).collect();
    let additions: usize = runs.iter().map(Range::len).sum();
    if additions <= 8 * resets.len() {
        return runs.into_iter().map(|run| before[run].iter().sum()).collect();
    }
    let times: Vec<i64> = resets.iter().map(|&at| timestamps[at]).collect();
    let mut lost = Vec::with_capacity(runs.len());
    let samples = Samples { timestamps: &times, values: &before };
    slide_over::<CompensatedSum>(runs.into_iter(), samples, &mut lost);
    for value in lost.iter_mut().filter(|value| is_absent(**value)) {
        *value = 0.0;
    }
    lost
}

pub(super) fn irate(window: &Window<'_>) -> f64 {
    let Some((change, last, seconds)) = last_step(window) else {
        return ABSENT;
    };
    // After a reset, the counter has counted its whole value.
    let change = if change < 0.0 { last } else { change };
    change / seconds
}

pub(super) fn idelta(window: &Window<'_>) -> f64 {
    last_step(window).map_or(ABSENT, |(change, _, _)| change)
}

/// Difference of the last two values, the last value, and the seconds between them.
fn last_step(window: &Window<'_>) -> Option<(f64, f64, f64)> {
    let [.., before, last] = *window.values else {
        return None;
    };
    let [.., before_ms, last_ms] = *window.timestamps else {
        return None;
    };
    Some((last - before, last, (last_ms - before_ms) as f64 / 1000.0))
}

pub(super) fn changes(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    let changed = |two: &[f64]| two[0] != two[1] && !(two[0].is_nan() && two[1].is_nan());
    count_steps(frame, samples, changed, out);
}

pub(super) fn resets(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    count_steps(frame, samples, |two| two[1] < two[0], out);
}

/// How many neighbours in each window are as `counts` says, from running totals over all samples.
fn count_steps(
    frame: &Frame,
    samples: Samples<'_>,
    counts: impl Fn(&[f64]) -> bool,
    out: &mut Vec<f64>,
) {
    let mut totals = Vec::with_capacity(samples.values.len());
    let mut total = 0_u32;
    totals.push(0);
    for two in samples.values.windows(2) {
        total += u32::from(counts(two));
        totals.push(total);
    }
    for cut in frame.cuts(samples.timestamps) {
        let empty = cut.from == cut.to;
        let count = || f64::from(totals[cut.to - 1] - totals[cut.from]);
        out.push(if empty { ABSENT } else { count() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Steps;

    const WINDOW_MS: i64 = 60_000;

    /// The value of the window up to one minute.
    fn one(samples: &[(i64, f64)], column: fn(&Frame, Samples<'_>, &mut Vec<f64>)) -> Option<f64> {
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let steps = Steps { first_ms: WINDOW_MS, step_ms: 1, count: 1 };
        let frame = Frame { ends: vec![WINDOW_MS], window_ms: WINDOW_MS, steps };
        let mut out = Vec::new();
        column(&frame, Samples { timestamps: &timestamps, values: &values }, &mut out);
        assert_eq!(out.len(), 1);
        out.pop().filter(|&value| !is_absent(value))
    }

    #[track_caller]
    fn check_each(samples: &[(i64, f64)], compute: fn(&Window<'_>) -> f64, expected: f64) {
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let window = Window { timestamps: &timestamps, values: &values, step_ms: WINDOW_MS };
        assert_eq!(compute(&window), expected);
    }

    #[test]
    fn changes_of_counters() {
        let steady = [(15_000, 100.0), (30_000, 110.0), (45_000, 120.0), (60_000, 130.0)];
        assert_eq!(one(&steady, increase), Some(40.0));
        assert_eq!(one(&steady, rate), Some(40.0 / 60.0));
        check_each(&steady, irate, 10.0 / 15.0);
        let reset = [(15_000, 100.0), (30_000, 5.0), (45_000, 15.0), (60_000, 25.0)];
        assert_eq!(one(&reset, resets), Some(1.0));
        assert_eq!(one(&reset, changes), Some(3.0));
        assert_eq!(one(&reset, increase), Some(25.0 * (60.0 / 45.0)));
        assert_eq!(one(&[(30_000, 1.0)], rate), None);
        assert_eq!(one(&[(30_000, 1.0)], changes), Some(0.0));
        check_each(&[(30_000, 9.0), (60_000, 3.0)], irate, 0.1);
        check_each(&[(30_000, 9.0), (60_000, 3.0)], idelta, -6.0);
    }
}

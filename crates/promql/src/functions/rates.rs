//! Functions of change: rates of counters, differences of gauges.

use std::collections::HashMap;
use std::ops::Range;

use crate::evaluate::{ABSENT, Cut, Frame, Samples, Window, is_absent, slide_over};
use crate::sums::CompensatedSum;

/// What a function makes of the change over a window.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// Whether a fall is a reset of a counter.
    of_counter: bool,
    /// Whether the change is divided by the seconds of the window.
    per_second: bool,
}

pub(super) const RATE: Change = Change { of_counter: true, per_second: true };
pub(super) const INCREASE: Change = Change { of_counter: true, per_second: false };
pub(super) const DELTA: Change = Change { of_counter: false, per_second: false };

/// What the timestamps of a series say of its windows.
///
/// Series that are scraped together have the same timestamps, so that most of the work on a window, all of
/// its divisions, is done once for all of them. Bound to one frame and one [`Change`].
#[derive(Default)]
pub(crate) struct Timelines {
    /// By the first and the last timestamp; another timeline that has them as well takes the place.
    known: HashMap<(i64, i64), Timeline>,
    /// Timestamps and windows of all of them.
    size: usize,
}

struct Timeline {
    timestamps: Vec<i64>,
    spans: Vec<Span>,
}

/// A window of at least two samples, or an empty one.
#[derive(Clone, Copy)]
struct Span {
    from: u32,
    to: u32,
    /// By what the change is to be multiplied, for a counter that was not zero within the reach of the window.
    factor: f64,
}

impl Timelines {
    /// Timestamps and windows that are kept at most: 8 MB.
    const MOST: usize = 1 << 19;

    fn spans(&mut self, frame: &Frame, timestamps: &[i64], per_seconds: f64) -> &[Span] {
        let ends = (timestamps.first().copied(), timestamps.last().copied());
        let (Some(first), Some(last)) = ends else { return &[] };
        let key = (first, last);
        let is_known = self.known.get(&key).is_some_and(|known| known.timestamps == timestamps);
        if !is_known {
            if self.size > Self::MOST {
                self.known.clear();
                self.size = 0;
            }
            let spans: Vec<Span> = frame
                .cuts(timestamps)
                .map(|cut| Span::of(cut, frame.window_ms, timestamps, per_seconds))
                .collect();
            self.size += timestamps.len() + spans.len();
            self.known.insert(key, Timeline { timestamps: timestamps.to_vec(), spans });
        }
        &self.known[&key].spans
    }
}

impl Span {
    fn of(cut: Cut, window_ms: i64, timestamps: &[i64], per_seconds: f64) -> Self {
        if cut.to - cut.from < 2 {
            return Self { from: 0, to: 0, factor: ABSENT };
        }
        let factor = Reach::of(cut, window_ms, timestamps).factor(per_seconds);
        Self { from: cut.from as u32, to: cut.to as u32, factor }
    }

    /// Whether the factor holds for a counter that changed by so much from so much.
    ///
    /// The counter was zero `first / change` times the sampled time before its first sample. The window
    /// reaches back by less than 1.1 intervals, so that any two intervals are longer.
    fn suits_counter(self, first: f64, change: f64) -> bool {
        let starts_far = first >= change && self.to - self.from > 2;
        starts_far || !(change > 0.0 && first >= 0.0)
    }
}

/// The change over each window, as if its first and last sample lay on its ends (Prometheus's
/// `extrapolatedRate`).
///
/// 1. The difference of last and first value; for a counter, plus the value before each reset.
/// 2. Extended to an end of the window that is at most 1.1 average intervals away, else by half an
///    interval; a counter never to before the time at which it was zero.
/// 3. Divided by the seconds of the window where a rate is meant.
pub(crate) fn extrapolate(
    change: Change,
    frame: &Frame,
    samples: Samples<'_>,
    timelines: &mut Timelines,
    out: &mut Vec<f64>,
) {
    let Samples { timestamps, values } = samples;
    let per_seconds = if change.per_second { frame.window_ms as f64 / 1000.0 } else { 1.0 };
    let spans = timelines.spans(frame, timestamps, per_seconds);
    if spans.is_empty() {
        out.resize(frame.ends.len(), ABSENT);
        return;
    }
    let lost = if change.of_counter { lost_by_resets(spans, samples) } else { Vec::new() };
    out.extend(spans.iter().enumerate().map(|(step, span)| {
        if span.to == 0 {
            return ABSENT;
        }
        let first = values[span.from as usize];
        let last = values[span.to as usize - 1];
        let by = last - first + lost.get(step).copied().unwrap_or(0.0);
        if !change.of_counter || span.suits_counter(first, by) {
            return by * span.factor;
        }
        let (from, to) = (span.from as usize, span.to as usize);
        let cut = Cut { from, to, end_ms: frame.ends[step] };
        let reach = Reach::of(cut, frame.window_ms, timestamps);
        by * reach.not_before_zero(first, by).factor(per_seconds)
    }));
}

/// How far the samples of a window reach, in seconds.
struct Reach {
    sampled: f64,
    /// What is added at either end.
    to_start: f64,
    to_end: f64,
}

impl Reach {
    fn of(cut: Cut, window_ms: i64, timestamps: &[i64]) -> Self {
        let (first_ms, last_ms) = (timestamps[cut.from], timestamps[cut.to - 1]);
        let sampled = (last_ms - first_ms) as f64 / 1000.0;
        let interval = sampled / (cut.to - 1 - cut.from) as f64;
        let threshold = interval * 1.1;
        let near = |distance: f64| if distance >= threshold { interval / 2.0 } else { distance };
        let to_start = near((first_ms - (cut.end_ms - window_ms)) as f64 / 1000.0);
        let to_end = near((cut.end_ms - last_ms) as f64 / 1000.0);
        Self { sampled, to_start, to_end }
    }

    fn not_before_zero(self, first: f64, change: f64) -> Self {
        Self { to_start: self.to_start.min(self.sampled * (first / change)), ..self }
    }

    fn factor(&self, per_seconds: f64) -> f64 {
        (self.sampled + self.to_start + self.to_end) / self.sampled / per_seconds
    }
}

/// The sum of the values before each reset, for each window; empty if the counter was never reset.
///
/// Few resets are added up for each window. Where windows share many, as of a gauge that is taken for a
/// counter, the sums slide.
fn lost_by_resets(spans: &[Span], samples: Samples<'_>) -> Vec<f64> {
    let Samples { timestamps, values } = samples;
    let falls = |two: &[f64]| two[1] < two[0];
    // Without an early end, this compares several values at a time.
    if !values.windows(2).fold(false, |any, two| any | falls(two)) {
        return Vec::new();
    }
    let pairs = values.windows(2).enumerate();
    // The places of values that are less than the one before them.
    let resets: Vec<usize> = pairs.filter(|(_, two)| falls(two)).map(|(at, _)| at + 1).collect();
    let (mut from, mut to) = (0, 0);
    let runs: Vec<Range<usize>> = spans
        .iter()
        .map(|span| {
            while to < resets.len() && resets[to] < span.to as usize {
                to += 1;
            }
            // A reset from the sample before the window to its first one is none of the window.
            while from < to && resets[from] <= span.from as usize {
                from += 1;
            }
            from..if span.to == 0 { from } else { to }
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
    use proptest::prelude::*;

    const WINDOW_MS: i64 = 60_000;

    fn frame(ends: Vec<i64>) -> Frame {
        let steps = Steps { first_ms: ends[0], step_ms: 1, count: ends.len() };
        Frame { ends, window_ms: WINDOW_MS, steps }
    }

    /// The value of the window up to one minute.
    fn one(
        samples: &[(i64, f64)],
        column: impl Fn(&Frame, Samples<'_>, &mut Vec<f64>),
    ) -> Option<f64> {
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let frame = frame(vec![WINDOW_MS]);
        let mut out = Vec::new();
        column(&frame, Samples { timestamps: &timestamps, values: &values }, &mut out);
        assert_eq!(out.len(), 1);
        out.pop().filter(|&value| !is_absent(value))
    }

    fn extrapolated(samples: &[(i64, f64)], change: Change) -> Option<f64> {
        one(samples, |frame, samples, out| {
            extrapolate(change, frame, samples, &mut Timelines::default(), out);
        })
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
        assert_eq!(extrapolated(&steady, INCREASE), Some(40.0));
        assert_eq!(extrapolated(&steady, RATE), Some(40.0 / 60.0));
        check_each(&steady, irate, 10.0 / 15.0);
        let reset = [(15_000, 100.0), (30_000, 5.0), (45_000, 15.0), (60_000, 25.0)];
        assert_eq!(one(&reset, resets), Some(1.0));
        assert_eq!(one(&reset, changes), Some(3.0));
        assert_eq!(extrapolated(&reset, INCREASE), Some(25.0 * (60.0 / 45.0)));
        assert_eq!(extrapolated(&[(30_000, 1.0)], RATE), None);
        // It was zero two seconds after the window begins, which is less than 1.1 intervals before its first sample.
        let young = [(30_000, 10.0), (58_000, 20.0)];
        assert_eq!(extrapolated(&young, INCREASE), Some(10.0 * (58.0 / 28.0)));
        assert_eq!(one(&[(30_000, 1.0)], changes), Some(0.0));
        check_each(&[(30_000, 9.0), (60_000, 3.0)], irate, 0.1);
        check_each(&[(30_000, 9.0), (60_000, 3.0)], idelta, -6.0);
    }

    /// Prometheus's function, word by word, over one window.
    fn by_definition(change: Change, frame: &Frame, end_ms: i64, samples: Samples<'_>) -> f64 {
        let Samples { timestamps, values } = samples;
        let start_ms = end_ms - frame.window_ms;
        let from = timestamps.partition_point(|&time| time <= start_ms);
        let to = timestamps.partition_point(|&time| time <= end_ms);
        if to - from < 2 {
            return ABSENT;
        }
        let (times, values) = (&timestamps[from..to], &values[from..to]);
        let mut result = values[values.len() - 1] - values[0];
        if change.of_counter {
            let resets = values.windows(2).filter(|two| two[1] < two[0]);
            result += resets.map(|two| two[0]).sum::<f64>();
        }
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
        let mut to_start = seconds(start_ms, times[0]);
        let mut to_end = seconds(times[times.len() - 1], end_ms);
        let sampled = seconds(times[0], times[times.len() - 1]);
        let interval = sampled / (times.len() - 1) as f64;
        if to_start >= interval * 1.1 {
            to_start = interval / 2.0;
        }
        if change.of_counter && result > 0.0 && values[0] >= 0.0 {
            let to_zero = sampled * (values[0] / result);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= interval * 1.1 {
            to_end = interval / 2.0;
        }
        let factor = (sampled + to_start + to_end) / sampled;
        result * if change.per_second { factor / (frame.window_ms as f64 / 1000.0) } else { factor }
    }

    fn series() -> impl Strategy<Value = Vec<(i64, f64)>> {
        let increment = prop_oneof![6 => 0.0..50.0, 1 => Just(0.0), 1 => -400.0..0.0];
        let sample = (prop_oneof![5 => 14_990_i64..15_010, 1 => 1_i64..90_000], increment);
        let sum_up = |(time, value): &mut (i64, f64), (after, more): (i64, f64)| {
            *time += after;
            *value += more;
            Some((*time, *value))
        };
        (0.0..300.0, prop::collection::vec(sample, 1..80)).prop_map(move |(start, samples)| {
            samples.into_iter().scan((-60_000, start), sum_up).collect()
        })
    }

    proptest! {
        /// Bit for bit, but for sums over resets, whose order is free; also of timelines that have their ends in common.
        #[test]
        fn timelines_give_what_each_window_gives(samples in series(), step_ms in 1_000_i64..40_000) {
            let frame = frame((0..40).map(|step| step * step_ms).collect());
            let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
            let young: Vec<f64> = values.iter().map(|value| value - values[0]).collect();
            let mut other = timestamps.clone();
            if other.len() > 2 {
                other.remove(1);
            }
            for change in [RATE, INCREASE, DELTA] {
                let mut timelines = Timelines::default();
                for (times, values) in [(&timestamps, &values), (&timestamps, &young), (&other, &young)] {
                    let samples = Samples { timestamps: times, values: &values[..times.len()] };
                    let mut got = Vec::new();
                    extrapolate(change, &frame, samples, &mut timelines, &mut got);
                    prop_assert_eq!(got.len(), frame.ends.len());
                    for (&end_ms, got) in frame.ends.iter().zip(got) {
                        let expected = by_definition(change, &frame, end_ms, samples);
                        let near = (got - expected).abs() <= 1e-12 * expected.abs();
                        let resets = change.of_counter && values.windows(2).any(|two| two[1] < two[0]);
                        prop_assert!(
                            got.to_bits() == expected.to_bits() || (resets && near),
                            "up to {}: {} instead of {}", end_ms, got, expected
                        );
                    }
                }
            }
        }
    }
}

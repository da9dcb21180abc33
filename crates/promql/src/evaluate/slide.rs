//! Sliding aggregates: each sample is taken in twice at most, however many windows hold it.
//!
//! What cannot be taken out again exactly (a rounded sum, a greatest value) is never taken out:
//!
//! 1. The samples of a window are two runs, an older and a newer one, that meet at `middle`.
//! 2. Of the older run, the aggregate from each sample up to `middle` is kept; of the newer one, the whole.
//! 3. A window is the join of two aggregates. When the older run is used up, the newer one becomes it.
//!
//! This is the queue of two stacks, known from streaming engines.

use std::ops::Range;

use super::{ABSENT, Frame, Samples};

/// What is known of a run of samples, such that two neighbouring runs can be joined.
pub(crate) trait Aggregate: Copy {
    /// Of a single sample, with its time in milliseconds.
    fn of(time_ms: i64, value: f64) -> Self;

    /// Of this run and the one that follows it.
    fn join(self, next: Self) -> Self;

    /// The value of a window.
    fn value(self) -> f64;
}

/// The value of the aggregate over each window; [`ABSENT`] where a window holds no sample.
pub(crate) fn slide<A: Aggregate>(frame: &Frame, samples: Samples<'_>, out: &mut Vec<f64>) {
    let cuts = frame.cuts(samples.timestamps).map(|cut| cut.from..cut.to);
    slide_over::<A>(cuts, samples, out);
}

/// As [`slide`], over runs of samples whose ends never move back.
pub(crate) fn slide_over<A: Aggregate>(
    cuts: impl Iterator<Item = Range<usize>>,
    samples: Samples<'_>,
    out: &mut Vec<f64>,
) {
    slide_with::<A>(cuts, samples, out, |_, run| run.value());
}

/// As [`slide_over`]; the value of a window is that of its run of samples and its number.
pub(crate) fn slide_with<A: Aggregate>(
    cuts: impl Iterator<Item = Range<usize>>,
    samples: Samples<'_>,
    out: &mut Vec<f64>,
    value: impl Fn(usize, A) -> f64,
) {
    let Samples { timestamps, values } = samples;
    // `older[n]` is the aggregate from the sample `middle - 1 - n` up to `middle`.
    let mut older: Vec<A> = Vec::new();
    let mut newer: Option<A> = None;
    let (mut middle, mut taken) = (0, 0);
    for (window, Range { start, end }) in cuts.enumerate() {
        if start == end {
            out.push(ABSENT);
            continue;
        }
        if start >= middle {
            older.clear();
            let mut whole: Option<A> = None;
            for at in (start..end).rev() {
                let one = A::of(timestamps[at], values[at]);
                let joined = whole.map_or(one, |next| one.join(next));
                older.push(joined);
                whole = Some(joined);
            }
            newer = None;
            (middle, taken) = (end, end);
        }
        for at in taken..end {
            let one = A::of(timestamps[at], values[at]);
            newer = Some(newer.map_or(one, |run| run.join(one)));
        }
        taken = taken.max(end);
        let old = older[middle - 1 - start];
        out.push(value(window, newer.map_or(old, |new| old.join(new))));
    }
}

//! Windows over the samples of one series: which samples each step sees, found by two moving cursors.

use super::Steps;

/// The windows of all steps; the same for each series of a range vector.
pub(crate) struct Frame {
    /// End of the window of each step, never falling.
    pub(crate) ends: Vec<i64>,
    /// Length of each window.
    pub(crate) window_ms: i64,
    pub(crate) steps: Steps,
}

/// The samples of one series, in time order; no stale markers.
#[derive(Clone, Copy)]
pub(crate) struct Samples<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
}

/// The samples of a window.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The step that the window belongs to; apart from its end by offset and `@`.
    pub(crate) step_ms: i64,
}

/// Where a window lies among the samples, those after its start and up to its end: from the index `from` up to, not including, `to`.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) end_ms: i64,
}

impl Frame {
    /// The place of each window, in one pass: neither end of them ever moves back.
    pub(crate) fn cuts<'a>(&'a self, timestamps: &'a [i64]) -> impl Iterator<Item = Cut> + 'a {
        let (mut from, mut to) = (0, 0);
        self.ends.iter().map(move |&end_ms| {
            let start_ms = end_ms - self.window_ms;
            while to < timestamps.len() && timestamps[to] <= end_ms {
                to += 1;
            }
            while from < to && timestamps[from] <= start_ms {
                from += 1;
            }
            Cut { from, to, end_ms }
        })
    }

    /// The windows of a series at each step.
    pub(crate) fn windows<'a>(
        &'a self,
        samples: Samples<'a>,
    ) -> impl Iterator<Item = Window<'a>> + 'a {
        self.cuts(samples.timestamps).zip(self.steps.times()).map(move |(cut, step_ms)| Window {
            timestamps: &samples.timestamps[cut.from..cut.to],
            values: &samples.values[cut.from..cut.to],
            step_ms,
        })
    }

    /// Whether windows share so many samples that sliding costs less than computing each anew.
    pub(crate) fn overlaps(&self) -> bool {
        const SHARED_BY: i64 = 4;
        match self.ends[..] {
            [first, second, ..] => (second - first).saturating_mul(SHARED_BY) < self.window_ms,
            _ => false,
        }
    }
}

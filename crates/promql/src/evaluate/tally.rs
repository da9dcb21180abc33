//! Counts the samples that an evaluation reads, where somebody wants to know.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::{Frame, Steps, is_absent};
use crate::value::SampleStats;

/// Samples read at each step of the query, by all of its threads, as Prometheus counts them: a selector reads one sample
/// a series and step, a function of a range vector all of its window. What is read for a subquery is not counted, but
/// its results are, where a function reads them.
pub(crate) struct Tally {
    steps: Steps,
    per_step: Vec<AtomicU64>,
    /// Whether a subquery is being evaluated.
    paused: AtomicBool,
    /// The most samples that were held at once.
    peak: AtomicUsize,
}

impl Tally {
    pub(super) fn new(steps: Steps) -> Self {
        let per_step = (0..steps.count).map(|_| AtomicU64::new(0)).collect();
        Self { steps, per_step, paused: AtomicBool::new(false), peak: AtomicUsize::new(0) }
    }

    /// Stops counting, or goes on; says whether it was stopped before.
    pub(super) fn pause(&self, paused: bool) -> bool {
        self.paused.swap(paused, Ordering::Relaxed)
    }

    /// A selector read these values, one a step.
    pub(super) fn count_values(&self, values: &[f64]) {
        self.count(values.iter().map(|&value| usize::from(!is_absent(value))));
    }

    /// A function read the windows over samples at these times.
    pub(super) fn count_windows(&self, frame: &Frame, timestamps: &[i64]) {
        self.count(frame.cuts(timestamps).map(|cut| cut.to - cut.from));
    }

    fn count(&self, per_step: impl Iterator<Item = usize>) {
        if self.paused.load(Ordering::Relaxed) {
            return;
        }
        for (total, more) in self.per_step.iter().zip(per_step) {
            total.fetch_add(more as u64, Ordering::Relaxed);
        }
    }

    /// So many samples are held.
    pub(super) fn hold(&self, samples: usize) {
        self.peak.fetch_max(samples, Ordering::Relaxed);
    }

    /// What was counted.
    pub(super) fn finish(self) -> SampleStats {
        let times = self.steps.times();
        let per_step: Vec<(i64, u64)> =
            times.zip(self.per_step.into_iter().map(AtomicU64::into_inner)).collect();
        SampleStats {
            total: per_step.iter().map(|(_, count)| count).sum(),
            per_step,
            peak: self.peak.into_inner(),
        }
    }
}

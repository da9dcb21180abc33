//! What an evaluation may still use.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use muster_series::Labels;

use super::EvaluateError;
use super::tally::Tally;

/// Longest value that a query may give to a label, in bytes.
const MAX_LABEL_VALUE: usize = 2 << 10;
/// Bytes of a label set that count as one sample: a value at a step takes as many.
const BYTES_PER_SAMPLE: usize = 8;
/// Bytes that a label takes besides its texts: two pointers with lengths, and what the allocator keeps of each.
const BYTES_PER_LABEL: usize = 64;

/// Counts the samples held in memory, by all threads of a query, and looks whether it was cancelled as it does so.
///
/// Some are never given back: label sets that the query itself makes, which live on in every later set
/// made from them, and samples that several parts of the query share.
pub(crate) struct Budget<'a> {
    held: AtomicUsize,
    /// What is never given back, in samples.
    kept: AtomicUsize,
    limit: usize,
    cancelled: Option<&'a AtomicBool>,
    /// What counts the samples that are read, if anything does.
    pub(super) tally: Option<Tally>,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(
        limit: usize,
        cancelled: Option<&'a AtomicBool>,
        tally: Option<Tally>,
    ) -> Self {
        Self { held: AtomicUsize::new(0), kept: AtomicUsize::new(0), limit, cancelled, tally }
    }

    /// Samples held now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether the query may go on.
    pub(crate) fn check(&self) -> Result<(), EvaluateError> {
        if self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(EvaluateError::Cancelled);
        }
        Ok(())
    }

    /// Takes `samples` more; call it before they are made.
    pub(crate) fn charge(&self, samples: usize) -> Result<(), EvaluateError> {
        self.check()?;
        let samples = samples.min(self.limit.saturating_add(1));
        let held = self.held.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        let held = held.saturating_add(self.kept.load(Ordering::Relaxed));
        if let Some(tally) = &self.tally {
            tally.hold(held);
        }
        if held > self.limit {
            return Err(EvaluateError::TooManySamples { limit: self.limit });
        }
        Ok(())
    }

    /// Takes `samples` more for as long as the query runs.
    pub(crate) fn keep(&self, samples: usize) -> Result<(), EvaluateError> {
        self.kept.fetch_add(samples.min(self.limit.saturating_add(1)), Ordering::Relaxed);
        self.charge(0)
    }

    /// Gives back `samples` that were taken.
    pub(crate) fn release(&self, samples: usize) {
        self.held.fetch_sub(samples, Ordering::Relaxed);
    }

    /// Says how many samples are held, after some were given up and while no other thread runs.
    pub(crate) fn settle(&self, held: usize) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// `labels` with `name` set to `value`, where `function` asks for it.
    pub(crate) fn relabel(
        &self,
        labels: &Labels,
        name: &str,
        value: &str,
        function: &str,
    ) -> Result<Labels, EvaluateError> {
        if value.len() > MAX_LABEL_VALUE {
            return Err(EvaluateError::Execution(format!(
                "{function}() would make a value of {} bytes for the label {name}; \
                 the limit is {MAX_LABEL_VALUE} bytes",
                value.len()
            )));
        }
        let made = labels.with(name, value);
        let bytes: usize =
            made.iter().map(|(name, value)| name.len() + value.len() + BYTES_PER_LABEL).sum();
        self.keep(bytes.div_ceil(BYTES_PER_SAMPLE))?;
        Ok(made)
    }
}

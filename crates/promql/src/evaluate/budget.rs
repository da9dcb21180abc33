//! What an evaluation may still use.

use std::sync::atomic::{AtomicBool, Ordering};

use muster_series::Labels;

use super::EvaluateError;

/// Longest value that a query may give to a label, in bytes.
const MAX_LABEL_VALUE: usize = 2 << 10;
/// Bytes of a label set that count as one sample: a value at a step takes as many.
const BYTES_PER_SAMPLE: usize = 8;
/// Bytes that a label takes besides its texts: two pointers with lengths, and what the allocator keeps of each.
const BYTES_PER_LABEL: usize = 64;

/// Counts the samples held in memory, and looks whether the query was cancelled as it does so.
///
/// Label sets that the query itself makes count too, and are never given back: they live on in
/// every later set of labels that is made from them.
pub(crate) struct Budget<'a> {
    held: usize,
    /// The label sets made, in samples.
    labels: usize,
    limit: usize,
    cancelled: Option<&'a AtomicBool>,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(limit: usize, cancelled: Option<&'a AtomicBool>) -> Self {
        Self { held: 0, labels: 0, limit, cancelled }
    }

    /// Samples held now.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Takes `samples` more; call it before they are made.
    pub(crate) fn charge(&mut self, samples: usize) -> Result<(), EvaluateError> {
        if self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(EvaluateError::Cancelled);
        }
        self.held = self.held.saturating_add(samples);
        if self.held.saturating_add(self.labels) > self.limit {
            return Err(EvaluateError::TooManySamples { limit: self.limit });
        }
        Ok(())
    }

    /// `labels` with `name` set to `value`, where `function` asks for it.
    pub(crate) fn relabel(
        &mut self,
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
        self.labels = self.labels.saturating_add(bytes.div_ceil(BYTES_PER_SAMPLE));
        self.charge(0)?;
        Ok(made)
    }

    /// Says how many samples are held, after some were given up.
    pub(crate) fn settle(&mut self, held: usize) {
        self.held = held;
    }
}

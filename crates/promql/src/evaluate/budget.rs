//! What an evaluation may still use.

use std::sync::atomic::{AtomicBool, Ordering};

use super::EvaluateError;

/// Counts the samples held in memory, and looks whether the query was cancelled as it does so.
pub(crate) struct Budget<'a> {
    held: usize,
    limit: usize,
    cancelled: Option<&'a AtomicBool>,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(limit: usize, cancelled: Option<&'a AtomicBool>) -> Self {
        Self {
            held: 0,
            limit,
            cancelled,
        }
    }

    /// Samples held now.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Takes `samples` more; call it before they are made.
    pub(crate) fn charge(&mut self, samples: usize) -> Result<(), EvaluateError> {
        if self
            .cancelled
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
        {
            return Err(EvaluateError::Cancelled);
        }
        self.held = self.held.saturating_add(samples);
        if self.held > self.limit {
            return Err(EvaluateError::TooManySamples { limit: self.limit });
        }
        Ok(())
    }

    /// Says how many samples are held, after some were given up.
    pub(crate) fn settle(&mut self, held: usize) {
        self.held = held;
    }
}

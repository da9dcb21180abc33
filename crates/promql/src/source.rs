//! Where samples come from: the one seam between the language and a store.

use std::error::Error;

use muster_series::{Matcher, SeriesColumns, TimeRange};

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
#[error("reading series failed: {0}")]
pub struct SourceError(Box<dyn Error + Send + Sync>);

impl SourceError {
    /// Wraps the error of a store, or a message.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// A store of series that PromQL can be evaluated over.
pub trait SeriesSource {
    /// The series that pass all `matchers`, with their samples in `range` (both ends included).
    ///
    /// Each label set comes at most once, in any order; series without samples in the range may be
    /// left out. Stale markers are kept.
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError>;

    /// As [`Self::select`], where of each series only the newest sample is needed; others may be left out.
    fn select_last(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        self.select(matchers, range)
    }
}

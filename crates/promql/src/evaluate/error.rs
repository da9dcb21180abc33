//! Why a query could not be evaluated, by who has to act.

use crate::source::SourceError;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The request makes no sense, whatever the data: Prometheus's `bad_data`, HTTP 400.
    #[error("{0}")]
    BadQuery(String),
    /// The query cannot be computed over this data: `execution`, HTTP 422.
    #[error("{0}")]
    Execution(String),
    /// The query would hold too many samples: `execution`, HTTP 422.
    #[error(
        "query processing would load too many samples into memory in query execution (limit {limit}); \
         choose fewer series, a shorter range or a longer step"
    )]
    TooManySamples {
        /// [`Options::max_samples`](crate::Options::max_samples).
        limit: usize,
    },
    /// Somebody set [`Options::cancelled`](crate::Options::cancelled): `canceled` or `timeout`, HTTP 503.
    #[error("the query was stopped before it was done")]
    Cancelled,
    /// The store failed: `internal`, HTTP 500.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl EvaluateError {
    /// Two series of a result have the same labels at the same time.
    pub(crate) fn same_labels() -> Self {
        Self::Execution("vector cannot contain metrics with the same labelset".into())
    }
}

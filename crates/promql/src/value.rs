//! What a query yields.

use muster_series::{Labels, SeriesColumns};

/// A value, and what the evaluation has to say about it.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The result.
    pub value: Value,
    /// Likely mistakes in the query, each once, beginning with `PromQL warning:`.
    pub warnings: Vec<String>,
    /// Possible mistakes in the query, each once, beginning with `PromQL info:`.
    pub infos: Vec<String>,
    /// How many samples were read, if [`Options::counts_samples`](crate::Options::counts_samples) asks for it.
    pub samples: Option<SampleStats>,
}

/// How many samples an evaluation read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleStats {
    /// At all steps together; a sample that is read at several steps counts at each.
    pub total: u64,
    /// At each step, with its time in milliseconds.
    pub per_step: Vec<(i64, u64)>,
    /// The most samples, read and computed ones, that were held at once.
    pub peak: usize,
}

/// The result of a query.
#[derive(Debug, Clone)]
pub enum Value {
    /// A number.
    Scalar {
        /// When it was evaluated for.
        timestamp_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// When it was evaluated for.
        timestamp_ms: i64,
        /// The text.
        value: String,
    },
    /// One sample a series; in order where the query sorts.
    Vector(Vec<InstantSample>),
    /// Many samples a series, by labels.
    Matrix(Vec<SeriesColumns>),
}

/// A sample of an instant vector.
#[derive(Debug, Clone)]
pub struct InstantSample {
    /// Which series.
    pub labels: Labels,
    /// When it was evaluated for.
    pub timestamp_ms: i64,
    /// The value.
    pub value: f64,
}

//! What is written at a time, and what came of it.

/// A series of one open [`crate::Db`]; it means nothing to another one, nor after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub(crate) u32);

/// Samples that are acknowledged together.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    /// The scrapes, in the order in which they were made.
    pub groups: Vec<SampleGroup>,
}

/// The samples of one scrape: they share a timestamp.
#[derive(Debug, Clone)]
pub struct SampleGroup {
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// The values; series that were registered together are best kept together.
    pub samples: Vec<(SeriesId, f64)>,
}

/// Samples that were not taken, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Further ahead of the clock than is tolerated.
    pub too_new: u64,
    /// Older than the retention.
    pub too_old: u64,
    /// Of a series that this store never named.
    pub unknown_series: u64,
}

impl Refused {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.too_new + self.too_old + self.unknown_series
    }
}

/// What came of a batch: every sample of it is in one of these numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Samples taken.
    pub samples: u64,
    /// Samples that said again what the newest sample of their series said.
    pub duplicates: u64,
    /// Samples not taken; the rest of the batch was.
    pub refused: Refused,
}

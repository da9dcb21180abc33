//! What is written at a time, and what came of it.

/// A series of one open [`crate::Db`]; it means nothing to another one, nor after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub(crate) u32);

/// Samples that are acknowledged together.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    /// In any order. It is cheapest where samples of one scrape stand together, in the order in which their series
    /// were registered, or else all samples of one series.
    pub samples: Vec<SeriesSample>,
}

/// A sample and whose it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesSample {
    /// The series, as [`crate::Db::series`] gave it.
    pub series: SeriesId,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// The value.
    pub value: f64,
}

impl WriteBatch {
    /// The samples of one scrape, which share a timestamp.
    pub fn scrape(timestamp_ms: i64, samples: impl IntoIterator<Item = (SeriesId, f64)>) -> Self {
        let mut batch = Self::default();
        batch.push_scrape(timestamp_ms, samples);
        batch
    }

    /// Adds the samples of one scrape, which share a timestamp.
    pub fn push_scrape(
        &mut self,
        timestamp_ms: i64,
        samples: impl IntoIterator<Item = (SeriesId, f64)>,
    ) {
        let samples = samples.into_iter();
        self.samples.extend(samples.map(|(series, value)| SeriesSample {
            series,
            timestamp_ms,
            value,
        }));
    }
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

//! A series' samples as two columns.

use crate::{Labels, Sample};

/// The samples of one series in time order: two columns of equal length, timestamps strictly rising.
#[derive(Debug, Clone)]
pub struct SeriesColumns {
    /// Which series.
    pub labels: Labels,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamps: Vec<i64>,
    /// One value for each timestamp; stale markers included.
    pub values: Vec<f64>,
}

impl SeriesColumns {
    /// No samples yet.
    pub fn new(labels: Labels) -> Self {
        Self { labels, timestamps: Vec::new(), values: Vec::new() }
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// The samples, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + DoubleEndedIterator + '_ {
        self.timestamps
            .iter()
            .zip(&self.values)
            .map(|(&timestamp_ms, &value)| Sample { timestamp_ms, value })
    }
}

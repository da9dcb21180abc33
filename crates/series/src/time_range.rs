//! Ranges of time.

/// From `start_ms` to `end_ms`, both included, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First instant of the range.
    pub start_ms: i64,
    /// Last instant of the range; less than `start_ms` means that the range is empty.
    pub end_ms: i64,
}

impl TimeRange {
    /// Everything.
    pub const ALL: Self = Self { start_ms: i64::MIN, end_ms: i64::MAX };

    /// From `start_ms` to `end_ms`, both included.
    pub fn new(start_ms: i64, end_ms: i64) -> Self {
        Self { start_ms, end_ms }
    }

    /// Whether the instant lies in the range.
    pub fn contains(&self, timestamp_ms: i64) -> bool {
        self.start_ms <= timestamp_ms && timestamp_ms <= self.end_ms
    }

    /// Whether the two ranges share an instant.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start_ms <= other.end_ms && other.start_ms <= self.end_ms
    }

    /// Whether no instant lies in the range.
    pub fn is_empty(&self) -> bool {
        self.end_ms < self.start_ms
    }
}

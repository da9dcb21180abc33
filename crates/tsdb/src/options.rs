//! What an administrator or a test may choose about the engine.

use std::time::Duration;

const MIB: usize = 1 << 20;

/// Settings of a [`crate::Db`]; the default is right for production.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long samples are kept, in milliseconds.
    pub retention_ms: i64,
    /// Most bytes that blocks and log may take together; beyond it the oldest days go. `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// How far ahead of the clock a sample may be, in milliseconds.
    pub future_tolerance_ms: i64,
    /// Most series known at a time.
    pub max_series: usize,
    /// Most bytes that the texts of their labels may take in memory; a text that many series share counts once.
    pub max_label_bytes: usize,
    /// What the labels of one series may be.
    pub label_limits: LabelLimits,
    /// A series is forgotten when it had no sample for so long, in milliseconds; its samples stay. Far longer than a query takes.
    pub forget_after_ms: i64,
    /// The head becomes a block when its samples take this many bytes, or some more where it has very many series.
    pub head_bytes: usize,
    /// The head becomes a block when it is this old, in milliseconds.
    pub head_window_ms: i64,
    /// A log segment is closed when it has this many bytes.
    pub wal_segment_bytes: u64,
    /// Most samples that may wait for the log; beyond it appends are refused.
    pub queue_samples: usize,
    /// Below this many free bytes nothing is appended; `None` is 256 MiB or 5 % of the disk, the smaller.
    pub reserve_bytes: Option<u64>,
    /// Room for decoded parts of blocks, in bytes.
    pub cache_bytes: usize,
    /// Room for what regular expressions selected, in bytes.
    pub scan_cache_bytes: usize,
    /// How often the background thread looks for work.
    pub maintenance_interval: Duration,
}

/// What the labels of one series may be; a series beyond it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelLimits {
    /// Most labels.
    pub labels: usize,
    /// Longest name, in bytes.
    pub name_bytes: usize,
    /// Longest value, in bytes.
    pub value_bytes: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        Self { labels: 64, name_bytes: 1 << 10, value_bytes: 8 << 10 }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention_ms: 400 * 86_400_000,
            retention_bytes: None,
            future_tolerance_ms: 600_000,
            max_series: 5_000_000,
            max_label_bytes: 1024 * MIB,
            label_limits: LabelLimits::default(),
            forget_after_ms: 3 * 3_600_000,
            head_bytes: 16 * MIB,
            head_window_ms: 30 * 60_000,
            wal_segment_bytes: 64 * MIB as u64,
            queue_samples: 4_000_000,
            reserve_bytes: None,
            cache_bytes: 64 * MIB,
            scan_cache_bytes: 8 * MIB,
            maintenance_interval: Duration::from_secs(10),
        }
    }
}

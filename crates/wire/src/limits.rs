//! What one session may ask of the other side, and what labels may be like that are pushed without a session.

/// Limits of one session. The server sets them and tells the agent, which keeps to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a frame, as sent and once decompressed.
    pub frame_bytes: usize,
    /// Series defined at the same time.
    pub series: usize,
    /// Labels of one series.
    pub labels_per_series: usize,
    /// Bytes of a label's name.
    pub label_name_bytes: usize,
    /// Bytes of a label's value.
    pub label_value_bytes: usize,
    /// Samples in one batch, all groups together.
    pub samples_per_batch: usize,
    /// Groups in one batch.
    pub groups_per_batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 4 << 20,
            series: 20_000,
            labels_per_series: 64,
            label_name_bytes: 256,
            label_value_bytes: 2_048,
            samples_per_batch: 100_000,
            groups_per_batch: 1_000,
        }
    }
}

/// Limits of one pushed series' labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelLimits {
    /// How many labels.
    pub labels: usize,
    /// Bytes of a label's name.
    pub name_bytes: usize,
    /// Bytes of a label's value.
    pub value_bytes: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        Self { labels: 64, name_bytes: 1 << 10, value_bytes: 8 << 10 }
    }
}

//! All file systems of the fleet, and when each of them will be full.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known of how a file system fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrowthKind {
    /// There is too little history to tell.
    Unknown,
    /// It does not fill, or only in bursts that tell nothing of tomorrow.
    None,
    /// It fills at a steady pace.
    Steady,
}

/// How sure a date is, by the width of its range beside its distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The range is wider than the way to the date, or has no end.
    Low,
    /// The range is narrower than the way to the date.
    Medium,
    /// The range is narrower than a third of that.
    High,
}

/// How a file system fills.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Growth {
    /// What is known of it.
    pub kind: GrowthKind,
    /// By how much it fills a day, in bytes, where it does so steadily.
    pub bytes_per_day: Option<f64>,
    /// When it is full at that pace; absent where that is further away than its history allows to say.
    pub full_ms: Option<i64>,
    /// It will hardly be full before this.
    pub early_ms: Option<i64>,
    /// It will hardly be full after this; absent where its history does not allow to say, though there is a date.
    pub late_ms: Option<i64>,
    /// How sure the date is.
    pub confidence: Option<Confidence>,
}

/// One mounted file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileSystem {
    /// The host.
    pub instance: String,
    /// Where it is mounted.
    pub mountpoint: String,
    /// What is mounted: a device, or a server and its folder.
    pub device: String,
    /// Its type, such as `ext4`.
    pub fstype: String,
    /// Whether another machine holds it.
    pub network: bool,
    /// Whether nothing can be written to it.
    pub read_only: bool,
    /// Whether it gave an error, or no answer in time, when it was last asked; its sizes are then absent.
    pub failed: bool,
    /// Size in bytes.
    pub size_bytes: Option<f64>,
    /// What unprivileged users can still use, in bytes.
    pub available_bytes: Option<f64>,
    /// Used, in percent of what unprivileged users could use.
    pub used_percent: Option<f64>,
    /// How many files it can hold; absent where it knows no such limit.
    pub inodes: Option<f64>,
    /// Files, in percent of those that it can hold.
    pub inodes_used_percent: Option<f64>,
    /// How it fills.
    pub growth: Growth,
}

/// All file systems that hold data, at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileSystemList {
    /// The server's time.
    pub now_ms: i64,
    /// By host and mountpoint.
    pub file_systems: Vec<FileSystem>,
    /// Hosts of the fleet that tell of no file system now.
    pub missing: Vec<String>,
}

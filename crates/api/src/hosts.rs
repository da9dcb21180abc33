//! The fleet as the page lists it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a host reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Its agent is connected.
    Up,
    /// Its agent is not connected.
    Silent,
}

/// The fullest file system of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// Where it is mounted.
    pub mountpoint: String,
    /// Used, in percent of what unprivileged users could use.
    pub used_percent: f64,
    /// Size in bytes.
    pub size_bytes: f64,
    /// What unprivileged users can still use, in bytes.
    pub available_bytes: f64,
}

/// The file system of a host that is full first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NextFull {
    /// Where it is mounted.
    pub mountpoint: String,
    /// When it is full at the pace at which it fills.
    pub full_ms: i64,
    /// By how much it fills a day, in bytes.
    pub bytes_per_day: f64,
}

/// One host with its newest figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// Its name, unique in the fleet; the label `instance` of its series.
    pub instance: String,
    /// Its agent's groups.
    pub groups: Vec<String>,
    /// Its agent's tags.
    pub tags: Vec<String>,
    /// Whether it reports.
    pub state: HostState,
    /// Since when it is in that state. In a list of the past: when a silent host's last samples came; of one that
    /// reported, the moment of the list.
    pub state_since_ms: i64,
    /// Timestamp of its newest sample.
    pub last_sample_ms: Option<i64>,
    /// Version of its agent.
    pub agent_version: Option<String>,
    /// Operating system in words.
    pub os: Option<String>,
    /// Release of its kernel.
    pub kernel: Option<String>,
    /// Its machine architecture, such as `x86_64`.
    pub architecture: Option<String>,
    /// How many CPUs it has.
    pub cpus: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<f64>,
    /// When it was booted.
    pub boot_time_ms: Option<i64>,
    /// CPU in use, percent of all its CPUs.
    pub cpu_percent: Option<f64>,
    /// Memory not available, percent.
    pub memory_percent: Option<f64>,
    /// Swap in use, percent; absent without swap.
    pub swap_percent: Option<f64>,
    /// Load average over one minute.
    pub load1: Option<f64>,
    /// Received by all devices but loopback.
    pub receive_bytes_per_second: Option<f64>,
    /// Sent by all devices but loopback.
    pub transmit_bytes_per_second: Option<f64>,
    /// Its fullest file system.
    pub worst_disk: Option<Disk>,
    /// Its file system that is full first; absent where none fills steadily.
    pub next_full: Option<NextFull>,
}

/// The newest figures of hosts of which nothing else changed, in columns of equal length, rounded to what can be seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostFigures {
    /// Which hosts.
    pub instances: Vec<String>,
    /// As in [`Host`].
    pub cpu_percent: Vec<Option<f64>>,
    /// As in [`Host`].
    pub memory_percent: Vec<Option<f64>>,
    /// As in [`Host`].
    pub swap_percent: Vec<Option<f64>>,
    /// As in [`Host`].
    pub load1: Vec<Option<f64>>,
    /// As in [`Host`].
    pub receive_bytes_per_second: Vec<Option<f64>>,
    /// As in [`Host`].
    pub transmit_bytes_per_second: Vec<Option<f64>>,
}

/// Hosts at a moment: all of them, or in a live stream those that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostList {
    /// The server's time.
    pub now_ms: i64,
    /// By instance.
    pub hosts: Vec<Host>,
    /// Instances that are gone since the last list of the same stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// In a live stream: hosts of which only these figures changed since the last list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<HostFigures>,
}

/// The last minute of one host's figures, a value a step; `null` where there was none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecentFigures {
    /// CPU in use, percent.
    pub cpu: Vec<Option<f64>>,
    /// Load average over one minute.
    pub load: Vec<Option<f64>>,
    /// Received bytes a second.
    pub receive: Vec<Option<f64>>,
    /// Sent bytes a second.
    pub transmit: Vec<Option<f64>>,
}

/// The last minute of all hosts, for the small lines of the fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecentList {
    /// The time of the first value of each line.
    pub first_ms: i64,
    /// From one value to the next.
    pub step_ms: i64,
    /// By instance.
    pub hosts: BTreeMap<String, RecentFigures>,
}

//! Services as the page lists them: systemd units and processes watched by name, of one host or of all.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// A unit of systemd.
    Unit,
    /// A process that is watched by name.
    Process,
}

/// How much a service needs somebody, worst first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ServiceHealth {
    /// It failed, or a process that should run does not.
    Failed,
    /// It was restarted at least twice in the last hour.
    Flapping,
    /// It is on its way into another state.
    Changing,
    /// It is not running, which may be as it should.
    Inactive,
    /// It runs.
    Active,
}

/// One service of one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// The host.
    pub instance: String,
    /// Its name, such as `nginx.service`.
    pub name: String,
    /// What it is.
    pub kind: ServiceKind,
    /// Systemd's word for its state, such as `active`; of a process `active` or `missing`.
    pub state: String,
    /// How much it needs somebody.
    pub health: ServiceHealth,
    /// When its present state began; absent where that was longer ago than a day, and is not told otherwise.
    pub since_ms: Option<i64>,
    /// How often it was restarted, or exited, within the last hour.
    pub restarts: f64,
    /// Systemd's word for how it ended the last time, such as `oom-kill`; absent if nothing went wrong.
    pub result: Option<String>,
    /// The exit status of its main process, if that is not 0.
    pub exit_code: Option<f64>,
    /// The signal that ended its main process.
    pub exit_signal: Option<f64>,
    /// Memory that it takes, in bytes.
    pub memory_bytes: Option<f64>,
    /// CPU that it takes, in percent of one CPU.
    pub cpu_percent: Option<f64>,
}

/// All services that share a name or a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceGroup {
    /// The name or the host.
    pub key: String,
    /// How many they are, by health.
    pub counts: ServiceCounts,
    /// How often they were restarted within the last hour, all together.
    pub restarts: f64,
}

/// How many services there are of each health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceCounts {
    /// See [`ServiceHealth::Failed`].
    pub failed: u64,
    /// See [`ServiceHealth::Flapping`].
    pub flapping: u64,
    /// See [`ServiceHealth::Changing`].
    pub changing: u64,
    /// See [`ServiceHealth::Inactive`].
    pub inactive: u64,
    /// See [`ServiceHealth::Active`].
    pub active: u64,
}

/// A part of the services, worst first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceList {
    /// The server's time.
    pub now_ms: i64,
    /// All services of the fleet, or of the host that was asked for.
    pub counts: ServiceCounts,
    /// How many hosts they are on.
    pub hosts: u64,
    /// How many services, or groups, match what was asked for.
    pub matching: u64,
    /// The part that was asked for; empty where groups were.
    pub services: Vec<Service>,
    /// The part that was asked for, where groups were.
    pub groups: Vec<ServiceGroup>,
}

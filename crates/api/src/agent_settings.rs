//! What agents are told centrally: settings for all, for a group, for one host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Settings of agents; what is `null` is taken from the layer below: the agent's own default, then all, then groups, then the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// Milliseconds from one collection of what changes fast to the next: 1,000 to 300,000.
    pub fast_interval_ms: Option<i64>,
    /// Milliseconds from one collection of what changes slowly to the next: 1,000 to 3,600,000.
    pub slow_interval_ms: Option<i64>,
    /// Whether the last minutes are kept at one second.
    pub recorder: Option<bool>,
    /// Collectors that do not run, by name.
    pub collectors_off: Option<Vec<String>>,
    /// A regular expression; only mount points that it matches as a whole are looked at.
    pub mount_points_include: Option<String>,
    /// A regular expression; mount points that it matches as a whole are left out.
    pub mount_points_exclude: Option<String>,
    /// A regular expression; only types of file systems that it matches as a whole are looked at.
    pub fs_types_include: Option<String>,
    /// A regular expression; types of file systems that it matches as a whole are left out.
    pub fs_types_exclude: Option<String>,
    /// A regular expression; network devices that it matches as a whole are left out.
    pub network_devices_exclude: Option<String>,
    /// Processes to look for by name: a regular expression that their command matches somewhere.
    pub named_processes: Option<BTreeMap<String, String>>,
    /// Whether the arguments of processes are shown in tables.
    pub process_arguments: Option<bool>,
    /// The most of one core that the agent may use, in percent: 1 to 100.
    pub cpu_limit_percent: Option<f64>,
    /// Whether agents that may update themselves wait with it.
    pub updates_paused: Option<bool>,
}

/// Whom settings are for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SettingsScope {
    /// Every agent.
    #[default]
    All,
    /// The agents of a group.
    Group,
    /// One agent.
    Host,
}

/// Settings that were made for somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsLayer {
    /// Whom they are for.
    pub scope: SettingsScope,
    /// The group's name or the agent's number; empty for all.
    pub target: String,
    /// Where an agent is in several groups, the group with the greater number decides; with the same number, the one with the
    /// later name. 0 for all and for hosts.
    pub priority: i32,
    /// The settings.
    pub settings: AgentSettings,
    /// How often they were changed: to be given with the next change.
    pub version: u64,
    /// When they were changed.
    pub changed_ms: i64,
}

/// All central settings, and what can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsLayers {
    /// For all first, then groups in the order in which they are applied, then hosts.
    pub layers: Vec<SettingsLayer>,
    /// The groups that agents are in.
    pub groups: Vec<String>,
    /// The names of all collectors.
    pub collectors: Vec<String>,
}

/// New settings for all, a group or a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAgentSettings {
    /// Between groups; see [`SettingsLayer`].
    #[serde(default)]
    pub priority: i32,
    /// The settings, all of them: what is absent is not set any more.
    pub settings: AgentSettings,
    /// The version that was seen (0: none was); the change is refused if there is another by now. Without it, it is made anyway.
    #[serde(default)]
    pub version: Option<u64>,
}

/// What one agent is told, all layers together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EffectiveSettings {
    /// The settings; `null` is the agent's own.
    pub settings: AgentSettings,
    /// The number of these settings: an agent that applies them says so in its series `muster_agent_settings_revision`.
    pub revision: u64,
}

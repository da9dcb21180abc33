//! Rules: those that come with Muster, with their thresholds, and those of people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{SettingsScope, Severity};

/// Which of Muster's jobs a rule belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleJob {
    /// Hosts, CPU, memory, load, temperature, clocks.
    Performance,
    /// File systems, disks and arrays.
    Disks,
    /// Units and processes.
    Services,
    /// Links and endpoints.
    Network,
    /// Muster itself, and its agents.
    Muster,
}

/// One grade of a built-in rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuleLevel {
    /// How urgent its alerts are.
    pub severity: Severity,
    /// Whether it is judged at all.
    pub enabled: bool,
    /// The value from which on (or below which, see [`BuiltInRule::below`]) it holds; absent where there is nothing to compare.
    pub threshold: Option<f64>,
    /// Once it holds, it does until the value is on the other side of this.
    pub clear: Option<f64>,
    /// How long it must have held before it fires, in milliseconds.
    pub for_ms: i64,
    /// How long it goes on firing after it held last, in milliseconds.
    pub keep_firing_for_ms: i64,
}

/// Changes to a grade of a built-in rule; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LevelChange {
    /// Whether it is judged at all.
    pub enabled: Option<bool>,
    /// See [`RuleLevel::threshold`].
    pub threshold: Option<f64>,
    /// See [`RuleLevel::for_ms`]: at most a week.
    pub for_ms: Option<i64>,
}

/// What differs from the default for somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuleLayer {
    /// For whom.
    pub scope: SettingsScope,
    /// The group's name or the host's; empty for all.
    pub target: String,
    /// What differs, by severity: `critical`, `warning`, `info`.
    pub levels: BTreeMap<String, LevelChange>,
}

/// The changes for one scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRuleLayer {
    /// What is to differ, by severity; a severity that is left out has no changes.
    pub levels: BTreeMap<String, LevelChange>,
}

/// A rule that comes with Muster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BuiltInRule {
    /// Its name in addresses, such as `disk_full`.
    pub id: String,
    /// The name of its alerts, such as `DiskFull`.
    pub alert: String,
    /// Which job it is for.
    pub job: RuleJob,
    /// What it is about, in English.
    pub title: String,
    /// The same in Chinese.
    pub title_zh: String,
    /// When it fires and what to do then, in English.
    pub about: String,
    /// The same in Chinese.
    pub about_zh: String,
    /// The expression whose values are compared, one series for each thing that can be the matter.
    pub expression: String,
    /// The unit of values and thresholds: `percent`, `seconds`, `bytes`, `celsius`, …; empty if none.
    pub unit: String,
    /// Whether it holds below the threshold; else above.
    pub below: bool,
    /// Its grades, the most urgent first, as they come.
    pub levels: Vec<RuleLevel>,
    /// What differs, all first, then groups, then hosts.
    pub layers: Vec<RuleLayer>,
    /// How many of its alerts fire now.
    pub firing: u64,
    /// When it was last evaluated.
    pub evaluated_ms: Option<i64>,
    /// How long that took, in seconds.
    pub evaluation_seconds: f64,
    /// Why it could not be evaluated, if so.
    pub failure: Option<String>,
}

/// A rule of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OwnRule {
    /// `FILE/GROUP/NAME`.
    pub key: String,
    /// The group's name.
    pub group: String,
    /// The name of the alert or of the recorded series.
    pub name: String,
    /// Whether it makes alerts; else it records.
    pub is_alerting: bool,
    /// The expression.
    pub expression: String,
    /// How long it must have held before it fires, in milliseconds.
    pub for_ms: i64,
    /// How many of its alerts fire now.
    pub firing: u64,
    /// How many are pending.
    pub pending: u64,
    /// When it was last evaluated.
    pub evaluated_ms: Option<i64>,
    /// Why it could not be evaluated, if so.
    pub failure: Option<String>,
}

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuleDocument {
    /// Its name: that of the page's, or the path of a file on the server.
    pub name: String,
    /// Whether it is a file on the server, which the page cannot change.
    pub is_file: bool,
    /// Its text, YAML as Prometheus has it.
    pub yaml: String,
    /// How often it was changed: to be given with the next change; 0 for files.
    pub version: u64,
    /// Its rules.
    pub rules: Vec<OwnRule>,
    /// Why it is not in force, if so.
    pub failure: Option<String>,
}

/// All rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuleList {
    /// Those that come with Muster, by job.
    pub built_in: Vec<BuiltInRule>,
    /// Those of people.
    pub documents: Vec<RuleDocument>,
    /// The groups that hosts are in.
    pub groups: Vec<String>,
}

/// The text of a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRuleDocument {
    /// YAML as Prometheus has it, at most 256 KiB.
    pub yaml: String,
    /// The version that this replaces; 0 for a new one.
    pub version: u64,
}

/// A text of rules to be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRules {
    /// YAML as Prometheus has it.
    pub yaml: String,
}

/// Something wrong with a text of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleProblem {
    /// The group and rule it is about; empty if the text as a whole.
    pub place: String,
    /// What is wrong and what to do.
    pub text: String,
}

/// What is wrong with a text of rules; nothing if it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleProblems {
    /// All that was found.
    pub problems: Vec<RuleProblem>,
    /// The rules that were found.
    pub rules: u64,
}

/// A rule to be replayed over what is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backtest {
    /// A built-in rule, by its id; else `yaml` is used.
    pub built_in: Option<String>,
    /// Changes to the built-in rule's grades, by severity, tried instead of what is set.
    pub levels: BTreeMap<String, LevelChange>,
    /// Which hosts are looked at: all, those of a group, or one.
    pub scope: SettingsScope,
    /// The group's or the host's name; empty for all.
    pub target: String,
    /// Rules as Prometheus has them; recording rules are evaluated too.
    pub yaml: Option<String>,
    /// From when on.
    pub from_ms: i64,
    /// Until when, at most 90 days later.
    pub to_ms: i64,
}

/// When a rule would have fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BacktestEpisode {
    /// The alert's name.
    pub name: String,
    /// How urgent.
    pub severity: Severity,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Since when it would have held.
    pub active_at_ms: i64,
    /// Since when it would have fired.
    pub starts_at_ms: i64,
    /// Until when; absent if it still would.
    pub ends_at_ms: Option<i64>,
    /// The value farthest on the wrong side.
    pub worst: f64,
    /// What it would have said, in English.
    pub summary: String,
    /// The same in Chinese; empty if there is none.
    pub summary_zh: String,
}

/// A message that would have been sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BacktestMessage {
    /// When.
    pub at_ms: i64,
    /// To whom.
    pub receiver: String,
    /// Its first line.
    pub subject: String,
    /// How many alerts it tells of.
    pub alerts: u64,
}

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BacktestResult {
    /// When it would have fired, the oldest first; at most 1,000.
    pub episodes: Vec<BacktestEpisode>,
    /// What would have been sent by today's routes; at most 1,000.
    pub messages: Vec<BacktestMessage>,
    /// How many episodes there are in all.
    pub total_episodes: u64,
    /// How many messages there are in all.
    pub total_messages: u64,
    /// The distance of two evaluations, in milliseconds.
    pub step_ms: i64,
    /// How long the replay took, in seconds.
    pub took_seconds: f64,
}

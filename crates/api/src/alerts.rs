//! Alerts: what fires, what was told to whom, and why not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody must act now, at night too.
    Critical,
    /// Somebody must act today.
    Warning,
    /// Good to know; nobody is told.
    Info,
}

/// What is the matter with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It holds, but not for long enough to tell anybody.
    Pending,
    /// It fires.
    Firing,
    /// It does not hold any more.
    Resolved,
}

/// Why nobody is told of an alert now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertHush {
    /// A silence or maintenance window hides it.
    Silenced,
    /// Another alert explains it: its host is down, or it fires more urgently already.
    Inhibited,
    /// Its route is muted at this time.
    Muted,
    /// It fires and resolves again and again; this was said once.
    Flapping,
    /// No receiver is to hear of it.
    NoReceiver,
}

/// Somebody has taken note of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledgement {
    /// Who did.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// What they said.
    pub note: String,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its number: the same for the same labels.
    pub id: String,
    /// Its name, such as `HostSilent`.
    pub name: String,
    /// How urgent it is.
    pub severity: Severity,
    /// What is the matter with it.
    pub state: AlertState,
    /// The rule that makes it: `built-in/ID`, or `FILE/GROUP/NAME`; absent if another program told of it.
    pub rule: Option<String>,
    /// The host, if it belongs to one.
    pub instance: Option<String>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Its texts: `summary`, `description`, `action` in English, with `_zh` behind in Chinese; and any others.
    pub annotations: BTreeMap<String, String>,
    /// The newest value.
    pub value: Option<f64>,
    /// What the value is compared with, where that is one number.
    pub threshold: Option<f64>,
    /// The unit of both: `percent`, `seconds`, `bytes`, `celsius` …; empty if none.
    pub unit: String,
    /// An expression that draws the value; empty if there is none.
    pub expression: String,
    /// Since when it holds.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub starts_at_ms: Option<i64>,
    /// When it was resolved.
    pub ends_at_ms: Option<i64>,
    /// Why nobody is told of it now; absent if somebody is.
    pub hush: Option<AlertHush>,
    /// The silences that hide it.
    pub silenced_by: Vec<String>,
    /// The alerts that explain it.
    pub inhibited_by: Vec<String>,
    /// The incident it belongs to: the number of the alert that explains it, or its own.
    pub incident: String,
    /// Who has taken note of it.
    pub acknowledged: Option<Acknowledgement>,
    /// Who cares for it.
    pub assignee: Option<String>,
    /// The receivers that its routes lead to.
    pub receivers: Vec<String>,
    /// When somebody was last told of it.
    pub notified_ms: Option<i64>,
}

/// How many alerts fire, those that nobody is told of left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertCounts {
    /// Critical ones.
    pub critical: u64,
    /// Warnings.
    pub warning: u64,
    /// Infos.
    pub info: u64,
    /// Those that are pending.
    pub pending: u64,
    /// Those that fire and that nobody is told of.
    pub hushed: u64,
}

/// Alerts, the most urgent and newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertList {
    /// The alerts that were asked for.
    pub alerts: Vec<Alert>,
    /// All that are there now.
    pub counts: AlertCounts,
    /// When this was so.
    pub at_ms: i64,
}

/// One past or present firing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertEpisode {
    /// The alert's number.
    pub alert: String,
    /// Its name.
    pub name: String,
    /// How urgent it was.
    pub severity: Severity,
    /// The host, if it belongs to one.
    pub instance: Option<String>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// `summary` in English.
    pub summary: String,
    /// `summary` in Chinese; empty if there is none.
    pub summary_zh: String,
    /// Since when it fired.
    pub starts_at_ms: i64,
    /// When it was resolved; absent while it fires.
    pub ends_at_ms: Option<i64>,
    /// How many messages told of it.
    pub messages: u64,
}

/// Past firings, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertHistory {
    /// At most as many as were asked for.
    pub episodes: Vec<AlertEpisode>,
    /// Give this as `before` for older ones; absent if there are none.
    pub before: Option<String>,
}

/// What a step of an alert's paper trail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrailKind {
    /// The rule's expression yielded it for the first time.
    Pending,
    /// It fires.
    Firing,
    /// It does not hold any more.
    Resolved,
    /// It went away before it fired.
    Dropped,
    /// It was put into a group of a route.
    Grouped,
    /// A silence or maintenance window hides it.
    Silenced,
    /// Another alert explains it.
    Inhibited,
    /// Its route is muted at this time.
    Muted,
    /// It fires and resolves again and again.
    Flapping,
    /// What hid it ended.
    Unhushed,
    /// A message about it was decided and queued.
    Queued,
    /// A channel took the message.
    Sent,
    /// A channel did not take the message; it is tried again.
    Failed,
    /// A message was given up.
    GivenUp,
    /// It was told together with many others.
    SummedUp,
    /// Somebody acknowledged it, or took that back.
    Acknowledged,
    /// It was given to somebody.
    Assigned,
    /// Nobody acknowledged it in time.
    Escalated,
    /// No receiver is to hear of it.
    NoReceiver,
    /// Nothing was sent as nothing had changed since the last message.
    Unchanged,
}

/// One step of an alert's paper trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrailStep {
    /// When.
    pub at_ms: i64,
    /// What.
    pub kind: TrailKind,
    /// The receiver it is about, if one.
    pub receiver: Option<String>,
    /// The message it is about, if one.
    pub message: Option<String>,
    /// The silence, the explaining alert, the person, the route …: what `kind` is about.
    pub subject: Option<String>,
    /// The value at that moment.
    pub value: Option<f64>,
    /// What happened, in English words.
    pub text: String,
}

/// An alert with all that happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertDetail {
    /// The alert.
    pub alert: Alert,
    /// Its paper trail, the oldest first.
    pub trail: Vec<TrailStep>,
    /// Others of the same incident or the same host.
    pub related: Vec<Alert>,
    /// Its earlier firings, the newest first.
    pub episodes: Vec<AlertEpisode>,
}

/// A series of an alert's host whose level changed when the alert began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnusualSeries {
    /// The metric's name.
    pub metric: String,
    /// Its other labels, but for `instance`.
    pub labels: BTreeMap<String, String>,
    /// Whether it is a counter, whose rise a second is told.
    pub is_rate: bool,
    /// An expression that draws it.
    pub expression: String,
    /// The middle value before the turn.
    pub before: f64,
    /// And after it.
    pub after: f64,
    /// How sure and large the change is: only of use to compare with others, above zero.
    pub score: f64,
}

/// What changed on an alert's host when the alert began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnusualList {
    /// Where the time before begins.
    pub from_ms: i64,
    /// Where it ends, and the time after begins: some minutes before the alert held.
    pub turn_ms: i64,
    /// Where the time after ends.
    pub to_ms: i64,
    /// How many series were compared.
    pub compared: u64,
    /// Whether all series were; else there was no time for more.
    pub complete: bool,
    /// At most 20, those that changed most first.
    pub series: Vec<UnusualSeries>,
}

/// What somebody says when they take note of an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Acknowledge {
    /// At most 1,000 bytes; may be empty.
    pub note: String,
}

/// Who is to care for an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignAlert {
    /// The name of an account; absent for nobody.
    pub to: Option<String>,
}

/// The answer to "why was I not told?".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WhyNot {
    /// One sentence in English, and the facts that it stands on below.
    pub answer: String,
    /// A word for the answer: `told`, `silenced`, `inhibited`, `muted`, `flapping`, `no_receiver`, `pending`, `not_firing`,
    /// `waiting`, `failed`, `unchanged`, `unknown_rule`, `not_evaluated`.
    pub code: String,
    /// The steps of the alerts in question around that moment.
    pub trail: Vec<TrailStep>,
    /// The alerts in question at that moment.
    pub alerts: Vec<AlertEpisode>,
}

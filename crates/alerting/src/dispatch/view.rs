//! What the dispatcher shows: alerts and groups as they are now, and what it has decided.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::trail::TrailLine;
use crate::notification::Notification;
use crate::posted::{LabelMap, PostedAlert, PostedState};

/// Why nobody is told of an alert now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hush {
    /// A silence or maintenance window hides it.
    Silenced,
    /// Another alert explains it: its host is down, or it fires more urgently already.
    Inhibited,
    /// All its routes are muted at this time.
    Muted,
    /// It fires and resolves again and again; this was said once.
    Flapping,
    /// No receiver is to hear of it.
    NoReceiver,
}

/// Somebody has taken note of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who did.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What they said.
    pub note: String,
}

/// An alert as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertView<'a> {
    /// Its fingerprint, as it is written.
    pub fingerprint: String,
    /// What was told of it last; a resolved alert's end is set, also if it ended by itself.
    pub posted: &'a PostedAlert,
    /// What is the matter with it.
    pub state: PostedState,
    /// Why nobody is told of it now.
    pub hush: Option<Hush>,
    /// The silences that hide it.
    pub silenced_by: &'a [String],
    /// The fingerprints of the alerts that explain it, as they are written.
    pub inhibited_by: Vec<String>,
    /// The fingerprint of the alert that explains it in the end, or its own.
    pub incident: String,
    /// Who has taken note of it.
    pub acknowledged: Option<&'a Acknowledgement>,
    /// Who cares for it.
    pub assignee: Option<&'a str>,
    /// The receivers that its routes lead to, in order.
    pub receivers: Vec<String>,
    /// When a message about it was last decided, in milliseconds since 1970.
    pub notified_ms: Option<i64>,
    /// How many messages told of this firing.
    pub messages: u64,
}

/// A group as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView<'a> {
    /// Whom it tells.
    pub receiver: &'a str,
    /// Its name, see [`Notification::group_key`].
    pub group_key: &'a str,
    /// The labels that its alerts share by definition.
    pub labels: &'a LabelMap,
    /// The fingerprints of its alerts, as they are written.
    pub alerts: Vec<String>,
}

/// One firing of an alert, for its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// The alert's fingerprint, as it is written.
    pub alert: String,
    /// Its name.
    pub name: String,
    /// Its severity, as its label says; `warning` if it has none.
    pub severity: String,
    /// The host, if it belongs to one.
    pub instance: Option<String>,
    /// All its labels.
    pub labels: LabelMap,
    /// Its texts.
    pub annotations: LabelMap,
    /// Since when it fired: together with `alert` the episode's identity.
    pub starts_at_ms: i64,
    /// When it was resolved; none while it fires.
    pub ends_at_ms: Option<i64>,
    /// How many messages told of it so far.
    pub messages: u64,
}

/// What was decided since the dispatcher was last asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions {
    /// Messages to send, in order.
    pub notifications: Vec<Notification>,
    /// What happened to each alert, in order.
    pub trail: Vec<TrailLine>,
    /// What must be known after a restart: kind, key, value.
    pub put: Vec<(String, String, Value)>,
    /// What need not be known any more: kind, key.
    pub remove: Vec<(String, String)>,
    /// Firings that began, changed or ended.
    pub episodes: Vec<Episode>,
}

impl Decisions {
    /// Whether nothing was decided.
    pub fn is_empty(&self) -> bool {
        self.notifications.is_empty()
            && self.trail.is_empty()
            && self.put.is_empty()
            && self.remove.is_empty()
            && self.episodes.is_empty()
    }
}

//! A message to one receiver, before anybody has decided what it looks like.

use serde::{Deserialize, Serialize};

use crate::posted::LabelMap;

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// A group has something new to tell: an alert that fires, or one that is resolved.
    Change,
    /// Nothing has changed for the repeat interval.
    Repeat,
    /// An alert fires and resolves again and again; this is said once.
    Flapping,
    /// Many groups at once, in one message.
    Storm,
    /// Nobody acknowledged an incident in time.
    Escalation,
    /// A person tries a channel.
    Test,
}

/// One alert of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// See [`crate::fingerprint`], as it is written.
    pub fingerprint: String,
    /// Whether it fires; else it is resolved.
    pub firing: bool,
    /// Its labels.
    pub labels: LabelMap,
    /// Its texts, see [`crate::PostedAlert`].
    pub annotations: LabelMap,
    /// Since when it fires, in milliseconds since 1970.
    pub starts_at_ms: i64,
    /// When it was resolved.
    pub ends_at_ms: Option<i64>,
    /// The newest value.
    pub value: Option<f64>,
    /// What the value is compared with; see [`crate::PostedAlert::threshold`].
    pub threshold: Option<f64>,
    /// The unit of both; see [`crate::PostedAlert::unit`]. What was queued before this was told has none.
    #[serde(default)]
    pub unit: String,
    /// A link to what made it; empty for rules of this server.
    pub generator_url: String,
}

/// A message to one receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Differs between messages; the same when one is sent again because nobody knows whether it arrived.
    pub id: String,
    /// Whom it is for: a receiver of the routes.
    pub receiver: String,
    /// Why it is sent.
    pub kind: NotificationKind,
    /// Names the group, as Alertmanager writes it: `{}/{severity="critical"}:{alertname="HostSilent"}`.
    pub group_key: String,
    /// The labels that the group shares by definition.
    pub group_labels: LabelMap,
    /// What all alerts of the message have in common.
    pub common_labels: LabelMap,
    /// The texts that all alerts of the message have in common.
    pub common_annotations: LabelMap,
    /// The incident that the group belongs to: the same for all messages of one thing that happened, so that mails thread.
    pub incident: String,
    /// The alerts, those that fire first.
    pub alerts: Vec<NotifiedAlert>,
    /// How many alerts were left out, as they are too many for a message.
    pub left_out: usize,
    /// How many alerts the incident swallows besides, such as the services of a dead host.
    pub swallowed: usize,
    /// When it was decided, in milliseconds since 1970.
    pub at_ms: i64,
}

impl Notification {
    /// Whether any of its alerts fires.
    pub fn is_firing(&self) -> bool {
        self.alerts.iter().any(|alert| alert.firing)
    }
}

//! Ways out: channels, the routes that lead to them, and what waits to be sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// A POST with Alertmanager's body.
    Webhook,
    /// A mail.
    Email,
    /// An existing Alertmanager.
    Alertmanager,
}

/// The language of what a channel says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum MessageLanguage {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese.
    #[serde(rename = "zh-CN")]
    Chinese,
}

/// How a channel is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSpec {
    /// Its name, which is a receiver of the routes too.
    pub name: String,
    /// What it is.
    pub kind: ChannelKind,
    /// Whether it is used.
    pub enabled: bool,
    /// The language of its messages.
    #[serde(default)]
    pub language: MessageLanguage,
    /// Whether it is told when alerts are resolved.
    pub send_resolved: bool,
    /// What the kind needs: `url` for webhook and alertmanager; `to`, `from`, `server` (HOST:PORT), `tls` (`starttls`, `tls`
    /// or `off`) and `user` for e-mail.
    pub settings: BTreeMap<String, String>,
    /// Secrets to be set, by name: `authorization` for webhook and alertmanager, `password` for e-mail, and `url` where it holds a
    /// secret itself. They are never given back; absent ones stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    /// Its number.
    pub id: String,
    /// How it is set up, without secrets.
    pub spec: ChannelSpec,
    /// The names of the secrets that are set.
    pub secrets_set: Vec<String>,
    /// How many messages wait for it.
    pub waiting: u64,
    /// When a message was last taken.
    pub last_sent_ms: Option<i64>,
    /// When one was last refused.
    pub last_failure_ms: Option<i64>,
    /// What the last refusal said; absent if a message was taken since.
    pub failure: Option<String>,
}

/// All channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelList {
    /// By name.
    pub channels: Vec<Channel>,
}

/// What came of a test message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelTest {
    /// Whether it was taken.
    pub sent: bool,
    /// What the other side said, or what went wrong and what to do.
    pub answer: String,
}

/// Routes, inhibition and time intervals, in Alertmanager's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Routing {
    /// YAML: `route`, `inhibit_rules`, `time_intervals`, `receivers` (each a name and the channels behind it).
    pub yaml: String,
    /// Whether it is what Muster does by itself: nobody has changed it.
    pub is_default: bool,
    /// How often it was changed: to be given with the next change.
    pub version: u64,
}

/// New routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRouting {
    /// See [`Routing::yaml`]; absent to go back to what Muster does by itself.
    pub yaml: Option<String>,
    /// The version that this replaces.
    pub version: u64,
}

/// A message on its way out, or there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxMessage {
    /// Its number.
    pub id: String,
    /// The channel's name.
    pub channel: String,
    /// Its first line.
    pub subject: String,
    /// When it was decided.
    pub queued_ms: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; absent if it is sent or given up.
    pub next_try_ms: Option<i64>,
    /// When it was taken.
    pub sent_ms: Option<i64>,
    /// What the other side said last.
    pub answer: Option<String>,
}

/// Messages, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxPage {
    /// At most 200.
    pub messages: Vec<OutboxMessage>,
    /// How many wait in all.
    pub waiting: u64,
}

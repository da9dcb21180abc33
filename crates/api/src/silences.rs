//! Silences and maintenance windows.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A condition on a label, as in Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SilenceMatcher {
    /// The label's name.
    pub name: String,
    /// A value, or a regular expression that must match as a whole.
    pub value: String,
    /// Whether `value` is a regular expression.
    pub is_regex: bool,
    /// Whether it must match; else it must not.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// When a silence comes back: on days of the week, from one time of day to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// Days of the week, 1 for Monday to 7 for Sunday, on which it begins; empty for every day.
    pub weekdays: Vec<u8>,
    /// When it begins, such as `22:00`.
    pub from: String,
    /// When it ends; a time before `from` is on the next day.
    pub to: String,
    /// The name of a time zone, such as `Asia/Shanghai` or `UTC`.
    pub time_zone: String,
}

/// What a silence hides, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceSpec {
    /// All must hold; at least one must not match an absent label.
    pub matchers: Vec<SilenceMatcher>,
    /// From when on.
    pub starts_at_ms: i64,
    /// Until when, at most 366 days later.
    pub ends_at_ms: i64,
    /// Why, in at most 1,000 bytes.
    pub comment: String,
    /// If set, it hides only at these times between its start and its end.
    #[serde(default)]
    pub recurrence: Option<Recurrence>,
    /// Whether it ends as soon as no alert that it hides fires any more.
    #[serde(default)]
    pub until_resolved: bool,
}

/// Whether a silence hides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// It begins later; for a recurring one, it is between two of its times.
    Pending,
    /// It hides.
    Active,
    /// It is over.
    Expired,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Silence {
    /// Its number.
    pub id: String,
    /// What it hides, and when.
    pub spec: SilenceSpec,
    /// Who made it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_ms: i64,
    /// Whether it hides.
    pub state: SilenceState,
    /// The numbers of the alerts that it hides now.
    pub hides: Vec<String>,
}

/// All silences, those that hide first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SilenceList {
    /// The silences; those that are over stay for five days.
    pub silences: Vec<Silence>,
}

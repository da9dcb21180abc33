//! Agents, and the tokens with which they join.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A request for a new enrolment token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateEnrollToken {
    /// How many agents may join with it.
    pub uses: u32,
    /// For how long it is valid.
    pub expires_in_ms: i64,
    /// Groups that the joining agents get: up to 32, of up to 64 characters.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Tags that the joining agents get: up to 32, of up to 64 characters.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// An enrolment token as listed; without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrollToken {
    /// Number of the token, to revoke it by.
    pub id: String,
    /// How many agents may join with it.
    pub uses: u32,
    /// How many have.
    pub used: u32,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// Whether an administrator revoked it.
    pub revoked: bool,
    /// Groups that the joining agents get.
    pub groups: Vec<String>,
    /// Tags that the joining agents get.
    pub tags: Vec<String>,
    /// Who made it; empty if that is not on record.
    pub made_by: String,
}

/// All enrolment tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrollTokenList {
    /// The newest first, those that let nobody in any more among them.
    pub tokens: Vec<EnrollToken>,
}

/// An agent that has joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its number.
    pub id: String,
    /// The name of its host: the label `instance` of its series.
    pub instance: String,
    /// The name that its host gave when it joined; another than `instance` if that was taken, or if it was renamed.
    pub asked_instance: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The version of its program when it last connected; empty if that is not on record.
    pub version: String,
    /// When it joined.
    pub created_ms: i64,
    /// When it was last heard of, to the minute.
    pub last_seen_ms: Option<i64>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether it is connected now.
    pub connected: bool,
    /// The release that this server has for its machine, if it is newer than its program.
    pub offered_version: Option<String>,
    /// What its agent last said of an update, since the server started.
    pub update: Option<AgentUpdate>,
}

/// What became of a release on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentUpdate {
    /// The release's version.
    pub version: String,
    /// What became of it.
    pub outcome: UpdateOutcome,
    /// Why, in the agent's words; may be empty.
    pub message: String,
}

/// What became of a release on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateOutcome {
    /// It runs.
    Installed,
    /// It did not come up; the former program runs again.
    RolledBack,
    /// It is not to be trusted.
    Refused,
    /// The host's administrator has not allowed updates.
    NotAllowed,
    /// It could not be fetched or stored, or something else was in its way.
    Failed,
}

/// All agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentList {
    /// By instance.
    pub agents: Vec<Agent>,
}

/// A change of an agent; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeAgent {
    /// The name of its host. What it sent under the former name stays there.
    pub instance: Option<String>,
    /// Its groups: up to 32, of up to 64 characters.
    pub groups: Option<Vec<String>>,
    /// Its tags: up to 32, of up to 64 characters.
    pub tags: Option<Vec<String>>,
}

//! Tokens for programs, enrolment tokens for agents, and the agents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do. `writer` may only push samples; each of the others may do all that the
/// one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May only push samples.
    Writer,
    /// May read everything but secrets.
    Viewer,
    /// May acknowledge and silence.
    Operator,
    /// May do everything.
    Admin,
}

/// A request for a new API token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateApiToken {
    /// What it is for; unique.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// For how long it is valid; `null` for ever.
    pub expires_in_ms: Option<i64>,
}

/// A request for a new enrolment token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateEnrollToken {
    /// How many agents may join with it.
    pub uses: u32,
    /// For how long it is valid.
    pub expires_in_ms: i64,
    /// Groups that the joining agents get.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A secret that was just made. It is shown this once: the server keeps only its hash.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewSecret {
    /// Number of the token, to revoke it by.
    pub id: String,
    /// The secret.
    pub token: String,
    /// When it ends.
    pub expires_ms: Option<i64>,
    /// For enrolment: the fingerprint of the server's CA, which belongs into the join command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_fingerprint: Option<String>,
}

/// An API token as listed; without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// Number of the token, to revoke it by.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<i64>,
}

/// All API tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiTokenList {
    /// By name.
    pub tokens: Vec<ApiToken>,
}

/// An agent that has joined.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its number.
    pub id: String,
    /// The name of its host.
    pub instance: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// When it joined.
    pub created_ms: i64,
    /// When it was last heard of, to the minute.
    pub last_seen_ms: Option<i64>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether it is connected now.
    pub connected: bool,
}

/// All agents.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AgentList {
    /// By instance.
    pub agents: Vec<Agent>,
}

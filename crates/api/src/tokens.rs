//! Tokens for programs, and secrets that are shown once.

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
    /// For enrolment: the SHA-256 of `/install.sh` in hexadecimal digits, by which the join command knows the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_sha256: Option<String>,
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
    /// Who made it; empty if that is not on record.
    pub made_by: String,
}

/// All API tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiTokenList {
    /// By name.
    pub tokens: Vec<ApiToken>,
}

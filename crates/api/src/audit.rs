//! Who did what.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditActor {
    /// `user`, `token`, `agent`, `command-line`, `server`, or `nobody`.
    pub kind: String,
    /// The number of the account, token or agent; empty for others.
    pub id: String,
    /// Its name at that time.
    pub name: String,
    /// The network address it came from; empty if from none.
    pub address: String,
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditTarget {
    /// The kind of thing: `user`, `token`, `enroll-token`, `agent`, `session`, `setting` and so on.
    pub kind: String,
    /// Its number, or the name of what has no number.
    pub id: String,
    /// Its name at that time.
    pub name: String,
}

/// One deed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number; a later entry has a greater one.
    pub id: String,
    /// When it was done.
    pub at_ms: i64,
    /// Who did it.
    pub actor: AuditActor,
    /// What was done, such as `user.create`: the kind of thing, a dot, a verb.
    pub action: String,
    /// To what.
    pub target: AuditTarget,
    /// What was there before, without secrets; `null` if there was nothing.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What was there afterwards, without secrets; `null` if there was nothing.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// Some of the deeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins, to be sent as `cursor`; `null` after the last one.
    pub next: Option<String>,
}

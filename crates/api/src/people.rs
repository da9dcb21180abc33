//! Signing in and out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Role;

/// A request to sign in.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct SignIn {
    /// Name of the account.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for SignIn {
    /// Leaves the password out, so that no log can hold it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Name of the account.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// When the session ends; `null` for a token without end.
    pub expires_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_reaches_a_log() {
        let request = SignIn { user: "admin".into(), password: "hunter2".into() };
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}

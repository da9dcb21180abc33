//! Signing in and out, and what people change of their own account.

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
    /// The six digits that the person's device shows, or a recovery code. Without it an account that needs one is refused
    /// with `second_factor_needed`: the same request is then to be sent again with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl std::fmt::Debug for SignIn {
    /// Leaves the secrets out, so that no log can hold them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// In which ways people may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInWays {
    /// The name of the identity provider, if there is one; signing in there begins at `/api/muster/v1/sign-in/provider`.
    pub provider: Option<String>,
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

/// One's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// Whether it has a password; without one it signs in at the identity provider only.
    pub has_password: bool,
    /// Whether signing in by password takes a second factor.
    pub second_factor: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: u64,
    /// The identity provider that it is tied to.
    pub provider: Option<String>,
}

/// A change of one's own password. All other sessions of the account end.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct ChangePassword {
    /// The password until now.
    pub old_password: String,
    /// The password from now on: 8 characters at least.
    pub new_password: String,
}

/// One's password, where it is asked for again.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct ConfirmPassword {
    /// The password.
    pub password: String,
}

/// The secret of a second factor, for the person's device. It guards nothing until one of its codes was shown.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct SecondFactorSecret {
    /// The secret in base32, to be typed.
    pub secret: String,
    /// The same as an address `otpauth://…`, to be shown as a QR code.
    pub uri: String,
}

/// A code that the person's device shows.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct ConfirmSecondFactor {
    /// Six digits.
    pub code: String,
}

/// Codes that stand in for the device, once each. They are shown this once.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes.
    pub codes: Vec<String>,
}

/// A session of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenSession {
    /// Its number, to end it by.
    pub id: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When it began.
    pub created_ms: i64,
    /// When it was last used, to the minute.
    pub last_seen_ms: i64,
    /// When it ends if it is not used until then.
    pub expires_ms: i64,
    /// The address from which it was opened.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
}

/// The sessions of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenSessionList {
    /// The newest first.
    pub sessions: Vec<OpenSession>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_reaches_a_log() {
        let request = SignIn {
            user: "admin".into(),
            password: "hunter2".into(),
            code: Some("123456".into()),
        };
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("123456"), "{shown}");
    }
}

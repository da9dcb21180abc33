//! The accounts of people, as an administrator sees them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Role;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Its number.
    pub id: String,
    /// The name to sign in with.
    pub name: String,
    /// What it may do; never `writer`.
    pub role: Role,
    /// Whether it is shut out.
    pub disabled: bool,
    /// Whether it has a password; without one it signs in at the identity provider only.
    pub has_password: bool,
    /// Whether signing in by password takes a second factor.
    pub second_factor: bool,
    /// The identity provider that it is tied to.
    pub provider: Option<String>,
    /// When it was made.
    pub created_ms: i64,
    /// When it last signed in.
    pub last_sign_in_ms: Option<i64>,
}

/// All accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonList {
    /// By name.
    pub people: Vec<Person>,
}

/// A request for a new account.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatePerson {
    /// The name to sign in with; up to 100 characters.
    pub name: String,
    /// What it may do; not `writer`.
    pub role: Role,
    /// Its password, of 8 characters at least; one is made if there is none here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// An account that was just made, or whose password was.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewPassword {
    /// The account.
    pub person: Person,
    /// The password, if it was made here. It is shown this once.
    pub password: Option<String>,
}

/// A change of an account; what is absent stays. Shutting one out ends its sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangePerson {
    /// What it may do; not `writer`.
    pub role: Option<Role>,
    /// Whether it is shut out.
    pub disabled: Option<bool>,
}

/// Another password for somebody. All sessions of the account end.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SetPassword {
    /// Its password, of 8 characters at least; one is made if there is none here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

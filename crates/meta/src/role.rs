//! What somebody may do: four roles, and what each permits.

use std::fmt;
use std::str::FromStr;

/// The role of an account or of an API token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May read everything but secrets.
    Viewer,
    /// May also acknowledge and silence, and push samples.
    Operator,
    /// May do everything.
    Admin,
    /// May only push samples; it cannot even read.
    Writer,
}

/// A kind of deed that a role permits or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read samples, hosts, alerts.
    Read,
    /// Acknowledge and silence alerts.
    Operate,
    /// Manage people, tokens, agents and settings.
    Administer,
    /// Push samples from outside, as remote write does.
    Push,
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role {0:?}; the roles are viewer, operator, admin and writer")]
pub struct UnknownRole(pub String);

impl Role {
    /// All roles, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Writer];

    /// The word for the role, in files, on the command line and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Writer => "writer",
        }
    }

    /// Whether the role permits such a deed.
    pub fn permits(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => self != Self::Writer,
            Permission::Operate => matches!(self, Self::Operator | Self::Admin),
            Permission::Administer => self == Self::Admin,
            Permission::Push => self != Self::Viewer,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Permission::{Administer, Operate, Push, Read};

    #[track_caller]
    fn check(role: Role, permitted: &[Permission]) {
        for permission in [Read, Operate, Administer, Push] {
            assert_eq!(role.permits(permission), permitted.contains(&permission), "{permission:?}");
        }
        assert_eq!(role.to_string().parse(), Ok(role));
    }

    #[test]
    fn each_role_permits_what_it_says_and_no_more() {
        check(Role::Viewer, &[Read]);
        check(Role::Operator, &[Read, Operate, Push]);
        check(Role::Admin, &[Read, Operate, Administer, Push]);
        check(Role::Writer, &[Push]);
    }

    #[test]
    fn an_unknown_role_is_told_with_the_known_ones() {
        let error = "root".parse::<Role>().unwrap_err().to_string();
        assert!(error.contains("\"root\"") && error.contains("viewer, operator, admin"), "{error}");
    }
}

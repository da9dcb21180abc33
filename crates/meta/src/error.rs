//! What can go wrong with the metadata, and with the enrolment of an agent.

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

use crate::Role;

/// Why the metadata could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The file or its folder cannot be created or opened.
    #[error(
        "cannot open the metadata database {place}: {reason}; check that the folder exists and that this user may read and write it"
    )]
    CannotOpen {
        /// The database file.
        place: String,
        /// What the system or the database said.
        reason: String,
    },
    /// The database server cannot be reached, or does not let us in.
    #[error(
        "cannot use the metadata database {place}: {reason}; check that it runs and can be reached, and name, password and TLS parameters in the database URL"
    )]
    CannotConnect {
        /// The database, without its password.
        place: String,
        /// What the system or the database said.
        reason: String,
    },
    /// The file holds something else, or was damaged.
    #[error(
        "{place} is no SQLite database or is damaged ({reason}); restore it from a backup, or move it away to start with an empty one"
    )]
    NotADatabase {
        /// The database file.
        place: String,
        /// What the database said.
        reason: String,
    },
    /// A newer Muster has written it.
    #[error(
        "{place} was written by a newer version of Muster (it has the migration {migration}); install that version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database.
        place: String,
        /// The first migration that this version does not know.
        migration: String,
    },
    /// Rows are to be brought into a database that has some.
    #[error(
        "{place} holds data already ({table} has rows); name an empty database, or empty this one first"
    )]
    NotEmpty {
        /// The database.
        place: String,
        /// The first table with a row.
        table: &'static str,
    },
    /// The name is in use.
    #[error("there is already {what} named {name:?}; choose another name")]
    NameTaken {
        /// The kind of thing, with its article.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// What is to be changed is not there.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its number or name.
        id: String,
    },
    /// A name that cannot be given.
    #[error(
        "{what} cannot be named {name:?}: a name has 1 to {max} characters, none of them a control character, and no space at either end"
    )]
    BadName {
        /// The kind of thing, with its article.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// How many characters there may be.
        max: usize,
    },
    /// More or longer words than a list takes.
    #[error("{what}: at most {max} words, none longer than 64 characters")]
    BadWords {
        /// Which list: groups or tags.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Without this account nobody could manage anything.
    #[error("{name:?} is the last administrator who can sign in; make another administrator first")]
    LastAdministrator {
        /// The account's name.
        name: String,
    },
    /// A role that is for tokens only.
    #[error("the role {0} is for tokens only; the roles of people are viewer, operator and admin")]
    RoleForTokens(Role),
    /// A second factor is to be set up where one guards the account.
    #[error("the account {name:?} has a second factor already; turn that off first")]
    SecondFactorIsOn {
        /// The account's name.
        name: String,
    },
    /// Another identity provider's account is tied to another account here.
    #[error("that identity belongs to another account already")]
    IdentityTaken,
    /// Somebody else has changed it meanwhile.
    #[error("{name:?} was changed meanwhile (it has version {version}); look at it again")]
    Changed {
        /// What it is.
        name: String,
        /// The version it has now; 0 if it is not there.
        version: u64,
    },
    /// A secret was sealed with another key, or was tampered with.
    #[error(
        "a secret in the metadata database cannot be opened with this server's key; restore the file {file} that belongs to the database"
    )]
    WrongKey {
        /// The name of the key's file.
        file: &'static str,
    },
    /// The file of the key is not what was written there.
    #[error("{path} cannot be used: {reason}; restore it from a backup")]
    KeyFile {
        /// Where it is.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A value in the database that this program never writes.
    #[error(
        "the metadata database holds {value:?} in {column}, which cannot be read; was it edited by hand?"
    )]
    Malformed {
        /// Table and column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random numbers: {0}")]
    NoRandomness(String),
    /// Another transaction was in the way, and was again each time it was tried anew.
    #[error("the metadata database is too busy: {0}; try again")]
    Conflict(String),
    /// The database failed at a statement.
    #[error("the metadata database failed: {0}")]
    Database(String),
}

/// Why an agent was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// No such token was ever made here.
    #[error("unknown enrolment token; make a new one with `muster enroll-token`")]
    UnknownToken,
    /// The token's time is over.
    #[error(
        "the enrolment token ended at {expires_ms} (ms since 1970); make a new one with `muster enroll-token`"
    )]
    Expired {
        /// When it ended, in milliseconds since 1970.
        expires_ms: i64,
    },
    /// As many agents have joined with the token as it allows.
    #[error(
        "the enrolment token was used {uses} times, as often as it may be; make a new one with `muster enroll-token`"
    )]
    UsedUp {
        /// How many agents it admits.
        uses: u32,
    },
    /// An administrator revoked the token.
    #[error("the enrolment token was revoked; make a new one with `muster enroll-token`")]
    TokenRevoked,
    /// An administrator revoked the agent that has this key.
    #[error(
        "the agent {instance:?} was revoked; to let its host join again, delete the agent's state folder there and use a new token"
    )]
    AgentRevoked {
        /// The host it reported for.
        instance: String,
    },
    /// The database failed; the token was not used up.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl From<DbErr> for MetaError {
    fn from(error: DbErr) -> Self {
        if is_conflict(&error) {
            Self::Conflict(error.to_string())
        } else {
            Self::Database(error.to_string())
        }
    }
}

impl From<DbErr> for EnrollError {
    fn from(error: DbErr) -> Self {
        Self::Meta(error.into())
    }
}

/// An error that may be gone when the whole transaction is tried again.
pub(crate) trait MayPass {
    /// Whether this one may.
    fn may_pass(&self) -> bool;
}

impl MayPass for MetaError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl MayPass for EnrollError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Meta(error) if error.may_pass())
    }
}

impl MetaError {
    /// Tells by SQLite's result code (<https://www.sqlite.org/rescode.html>) why `place` did not open.
    pub(crate) fn opening(place: &str, error: &DbErr) -> Self {
        let (place, reason) = (place.to_owned(), error.to_string());
        if place.contains("://") {
            return Self::CannotConnect { place, reason };
        }
        // The low byte is the primary code; the rest refines it.
        match code(error).and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
            Some(11 | 26) => Self::NotADatabase { place, reason },
            Some(3 | 8 | 10 | 13 | 14 | 23) => Self::CannotOpen { place, reason },
            _ => Self::Database(format!("{reason} (file {place})")),
        }
    }

    /// A violated uniqueness as what it means to the user; other errors as they are.
    pub(crate) fn taken(error: DbErr, what: &'static str, name: &str) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                Self::NameTaken { what, name: name.to_owned() }
            }
            _ => error.into(),
        }
    }
}

/// Whether two transactions were in each other's way, as each database says it: MySQL's deadlock and lock wait timeout
/// (a Galera cluster says the former at commit), PostgreSQL's serialization failure and deadlock, SQLite's busy.
fn is_conflict(error: &DbErr) -> bool {
    let Some(database) = database_error(error) else { return false };
    if let Some(error) = database.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(error.number(), 1205 | 1213);
    }
    matches!(code(error).as_deref(), Some("40001" | "40P01" | "5" | "517"))
}

fn code(error: &DbErr) -> Option<String> {
    database_error(error)?.code().map(std::borrow::Cow::into_owned)
}

fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => error.as_database_error(),
        _ => None,
    }
}

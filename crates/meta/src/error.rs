//! What can go wrong with the metadata, and with the enrolment of an agent.

use std::path::{Path, PathBuf};

use sea_orm::{DbErr, RuntimeErr};

/// Why the metadata could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The file or its folder cannot be created or opened.
    #[error(
        "cannot open the metadata database {path}: {reason}; check that the folder exists and that this user may read and write it"
    )]
    CannotOpen {
        /// The database file.
        path: PathBuf,
        /// What the system or the database said.
        reason: String,
    },
    /// The file holds something else, or was damaged.
    #[error(
        "{path} is no SQLite database or is damaged ({reason}); restore it from a backup, or move it away to start with an empty one"
    )]
    NotADatabase {
        /// The database file.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
    /// A newer Muster has written it.
    #[error(
        "{path} was written by a newer version of Muster (it has the migration {migration}); install that version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The first migration that this version does not know.
        migration: String,
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
        Self::Database(error.to_string())
    }
}

impl From<DbErr> for EnrollError {
    fn from(error: DbErr) -> Self {
        Self::Meta(error.into())
    }
}

impl MetaError {
    /// Tells by SQLite's result code (<https://www.sqlite.org/rescode.html>) why `path` did not open.
    pub(crate) fn opening(path: &Path, error: &DbErr) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        // The low byte is the primary code; the rest refines it.
        match sqlite_code(error).map(|code| code & 0xff) {
            Some(11 | 26) => Self::NotADatabase { path, reason },
            Some(3 | 8 | 10 | 13 | 14 | 23) => Self::CannotOpen { path, reason },
            _ => Self::Database(format!("{reason} (file {})", path.display())),
        }
    }
}

fn sqlite_code(error: &DbErr) -> Option<u32> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error()?.code()?.parse().ok()
        }
        _ => None,
    }
}

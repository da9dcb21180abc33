//! Opening the database: its file, its settings, its migrations.

use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    IsolationLevel, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::database_url::Server;
use crate::{DatabaseUrl, MetaError, SealingKey, migrations, pooled};

/// How often a file that somebody else is just setting up is tried.
const OPEN_TRIES: u32 = 50;
/// How long between two tries.
const OPEN_PAUSE: Duration = Duration::from_millis(100);
/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers work beside a writer; more connections than this only cost memory.
const CONNECTIONS: u32 = 4;
/// A server far away answers each statement later, so more of them are under way.
const SERVER_CONNECTIONS: u32 = 16;

/// Where the metadata is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file, made if it is not there; its folder must exist.
    Sqlite(PathBuf),
    /// A database of a MariaDB, MySQL or PostgreSQL server; the database must exist.
    Server(DatabaseUrl),
    /// A database that ends with its [`Meta`]; for tests.
    InMemory,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Server(url) => write!(f, "{url}"),
            Self::InMemory => f.write_str(":memory:"),
        }
    }
}

/// The metadata. A clone is another handle on the same database; so is a second [`Meta::open`] of
/// the same place, also from another process or another machine.
#[derive(Debug, Clone)]
pub struct Meta {
    pub(crate) db: DatabaseConnection,
    pub(crate) key: Arc<SealingKey>,
    place: Arc<str>,
}

impl Meta {
    /// Opens the database and brings its tables up to this version. Secrets that must be read again are sealed with `key`.
    ///
    /// A new file is readable by its owner only (0600). A database that a newer version of Muster has
    /// migrated is refused and left as it is.
    pub async fn open(location: &Location, key: SealingKey) -> Result<Self, MetaError> {
        let key = Arc::new(key);
        let mut tries = OPEN_TRIES;
        loop {
            match Self::open_once(location, &key).await {
                // SQLite does not wait where two turn a new file's write-ahead log on at once.
                Err(error) if tries > 1 && error.to_string().contains("database is locked") => {
                    tries -= 1;
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    async fn open_once(location: &Location, key: &Arc<SealingKey>) -> Result<Self, MetaError> {
        let place = location.to_string();
        if let Location::Sqlite(path) = location {
            create_private(path)?;
        }
        let opening = |error: DbErr| MetaError::opening(&place, &error);
        let db = Database::connect(options(location)).await.map_err(opening)?;
        let meta = Self { db, key: Arc::clone(key), place: place.as_str().into() };
        migrations::apply(&meta, &place).await?;
        Ok(meta)
    }

    /// The database, without a password: a path, or an address like `postgres://muster@db:5432/muster`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Waits for what is running and closes the database; SQLite also folds its write-ahead log back in.
    pub async fn close(self) -> Result<(), MetaError> {
        Ok(self.db.close().await?)
    }

    /// Begins a transaction that may write.
    ///
    /// On SQLite it takes the write lock at once: a transaction that first reads and then wants to
    /// write would fail when somebody else has written in between, however long it waited. On the others each
    /// statement sees what was committed before it, so that who waited for a row reads what the other left.
    pub(crate) async fn begin_write(&self) -> Result<DatabaseTransaction, DbErr> {
        let is_sqlite = self.db.get_database_backend() == DbBackend::Sqlite;
        self.db
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                isolation_level: (!is_sqlite).then_some(IsolationLevel::ReadCommitted),
                ..TransactionOptions::default()
            })
            .await
    }
}

/// Makes an empty file with mode 0600, before SQLite would make one that others can read; its log
/// files then inherit the mode. A file that exists is not opened: closing it again would drop the
/// locks that SQLite holds on it for this process.
pub(crate) fn create_private(path: &Path) -> Result<(), MetaError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(MetaError::CannotOpen {
            place: path.display().to_string(),
            reason: error.to_string(),
        }),
    }
}

/// For a look at a file that is not to be changed, and that somebody may be writing.
pub(crate) fn read_only_options(path: &Path) -> ConnectOptions {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.sqlx_logging(false).acquire_timeout(BUSY_TIMEOUT).max_connections(1);
    let path = path.to_owned();
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .in_memory(false)
            .shared_cache(false)
            .filename(&path)
            .create_if_missing(false)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
    });
    options
}

fn options(location: &Location) -> ConnectOptions {
    let url = match location {
        Location::Server(url) => url.secret_url(),
        Location::Sqlite(_) | Location::InMemory => "sqlite::memory:",
    };
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).acquire_timeout(BUSY_TIMEOUT).connect_timeout(BUSY_TIMEOUT);
    match location {
        // A database in memory lives in its one connection, so that must never be closed.
        Location::InMemory => {
            options.min_connections(1).max_connections(1);
            options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
            options.map_sqlx_sqlite_opts(|sqlite| sqlite.foreign_keys(true));
        }
        Location::Sqlite(path) => {
            let path = path.clone();
            options.max_connections(CONNECTIONS);
            pooled::keep_clean(&mut options);
            options.map_sqlx_sqlite_opts(move |sqlite| {
                sqlite
                    .in_memory(false)
                    .shared_cache(false)
                    .filename(&path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT)
                    .foreign_keys(true)
            });
        }
        Location::Server(url) => {
            options.max_connections(SERVER_CONNECTIONS);
            if url.server() == Server::Postgres {
                options.set_application_name("muster");
            }
        }
    }
    options
}

//! Opening the database: its file, its settings, its migrations.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::{MetaError, migrations};

/// How often a file that somebody else is just setting up is tried.
const OPEN_TRIES: u32 = 50;
/// How long between two tries.
const OPEN_PAUSE: Duration = Duration::from_millis(100);
/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers work beside a writer; more connections than this only cost memory.
const CONNECTIONS: u32 = 4;

/// Where the metadata is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file, made if it is not there; its folder must exist.
    Sqlite(PathBuf),
    /// A database that ends with its [`Meta`]; for tests.
    InMemory,
}

/// The metadata. A clone is another handle on the same database; so is a second [`Meta::open`] of
/// the same file, also from another process.
#[derive(Debug, Clone)]
pub struct Meta {
    pub(crate) db: DatabaseConnection,
}

impl Meta {
    /// Opens the database and brings its tables up to this version.
    ///
    /// A new file is readable by its owner only (0600). A file that a newer version of Muster has
    /// migrated is refused and left as it is.
    pub async fn open(location: &Location) -> Result<Self, MetaError> {
        let mut tries = OPEN_TRIES;
        loop {
            match Self::open_once(location).await {
                // SQLite does not wait where two turn a new file's write-ahead log on at once.
                Err(error) if tries > 1 && error.to_string().contains("database is locked") => {
                    tries -= 1;
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    async fn open_once(location: &Location) -> Result<Self, MetaError> {
        let path = match location {
            Location::Sqlite(path) => path.as_path(),
            Location::InMemory => Path::new(":memory:"),
        };
        if let Location::Sqlite(path) = location {
            create_private(path)?;
        }
        let opening = |error: DbErr| MetaError::opening(path, &error);
        let db = Database::connect(options(location)).await.map_err(opening)?;
        let meta = Self { db };
        migrations::apply(&meta, path).await?;
        Ok(meta)
    }

    /// Waits for what is running and closes the file, which also folds its write-ahead log back in.
    pub async fn close(self) -> Result<(), MetaError> {
        Ok(self.db.close().await?)
    }

    /// Begins a transaction that may write.
    ///
    /// On SQLite it takes the write lock at once: a transaction that first reads and then wants to
    /// write would fail when somebody else has written in between, however long it waited.
    pub(crate) async fn begin_write(&self) -> Result<DatabaseTransaction, DbErr> {
        self.db
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
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
        Err(error) => {
            Err(MetaError::CannotOpen { path: path.to_owned(), reason: error.to_string() })
        }
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
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.sqlx_logging(false).acquire_timeout(BUSY_TIMEOUT);
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
    }
    options
}

//! The database file from outside: a consistent copy of it and a check, both beside a process that has it open.
//!
//! Neither changes the file: it is opened for reading only and not migrated, so a newer program may look at what an older one uses.

use std::fs::File;
use std::path::Path;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::MetaError;
use crate::open::{create_private, read_only_options};

/// Writes what the database file `from` holds at one moment to `to`, which must not be there; it is durable when this returns, and
/// readable by its owner only.
pub async fn copy_database(from: &Path, to: &Path) -> Result<(), MetaError> {
    let refused =
        |reason: String| MetaError::CannotOpen { place: to.display().to_string(), reason };
    if to.exists() {
        return Err(refused("it is there already".into()));
    }
    let name = to.to_str().ok_or_else(|| refused("its name is not UTF-8".into()))?;
    let db = open(from).await?;
    create_private(to)?;
    let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [name.into()]);
    let copied = db.execute_raw(vacuum).await;
    db.close().await?;
    copied.map_err(|error: DbErr| MetaError::opening(&from.display().to_string(), &error))?;
    let sync = File::open(to).and_then(|file| file.sync_all());
    sync.map_err(|error| refused(error.to_string()))
}

/// Reads all of a database file; what is wrong with it, in the database's words, or nothing.
pub async fn check_database(path: &Path) -> Result<Vec<String>, MetaError> {
    let db = open(path).await?;
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check");
    let rows = db.query_all_raw(check).await;
    db.close().await?;
    let opening = |error: DbErr| MetaError::opening(&path.display().to_string(), &error);
    let rows = rows.map_err(opening)?;
    let texts = rows.iter().map(|row| row.try_get_by_index::<String>(0));
    let mut faults = texts.collect::<Result<Vec<String>, DbErr>>().map_err(opening)?;
    faults.retain(|fault| fault != "ok");
    Ok(faults)
}

async fn open(path: &Path) -> Result<DatabaseConnection, MetaError> {
    let opening = |error: DbErr| MetaError::opening(&path.display().to_string(), &error);
    Database::connect(read_only_options(path)).await.map_err(opening)
}

//! Which metadata database belongs to a data folder, so that a server and the commands beside it never take two.
//!
//! Without a database URL it is the SQLite file in the folder. A server that was given a URL notes it there, without its
//! password; whoever comes to that folder without the URL is told, instead of beginning an empty SQLite file.

use std::io;
use std::path::Path;

use muster_environment::replace_private_file;
use muster_meta::{DatabaseUrl, Location, Meta, MetaError, SealingKey};

use crate::config::data_paths;

/// The file in the data folder that names the database where it is not the SQLite file.
const NOTE: &str = "database";

/// Why the database of a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// There is no server's data in the folder.
    #[error(
        "there is no Muster data in {0}; start the server once, name its folder with --data-dir, \
         or ask a server elsewhere with --server and --api-token"
    )]
    NoData(String),
    /// The folder's server keeps its metadata in a database that was not named.
    #[error(
        "the server of {data_dir} keeps people, tokens and agents in {database}; name that database with --database-url \
         (or MUSTER_DATABASE_URL). To begin anew with a SQLite file instead, delete {data_dir}/{NOTE}"
    )]
    Elsewhere {
        /// The data folder.
        data_dir: String,
        /// The database, without its password.
        database: String,
    },
    /// The note in the folder cannot be read or written.
    #[error("cannot use {path}: {source}")]
    Note {
        /// Where it is.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error("{0}")]
    Meta(#[from] MetaError),
}

/// The database of a data folder.
pub fn location(data_dir: &Path, url: Option<&DatabaseUrl>) -> Result<Location, DatabaseError> {
    if let Some(url) = url {
        return Ok(Location::Server(url.clone()));
    }
    let path = data_dir.join(NOTE);
    match std::fs::read_to_string(&path) {
        Ok(database) => Err(DatabaseError::Elsewhere {
            data_dir: data_dir.display().to_string(),
            database: database.trim().to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Location::Sqlite(data_paths::meta(data_dir)))
        }
        Err(source) => Err(DatabaseError::Note { path: path.display().to_string(), source }),
    }
}

/// Opens the database for the server of the folder, which must exist, and notes which it is.
pub(crate) async fn open(
    data_dir: &Path,
    url: Option<&DatabaseUrl>,
) -> Result<Meta, DatabaseError> {
    let location = location(data_dir, url)?;
    let meta = Meta::open(&location, SealingKey::load_or_create(data_dir)?).await?;
    if url.is_some() {
        note(data_dir, &meta)?;
    }
    Ok(meta)
}

fn note(data_dir: &Path, meta: &Meta) -> Result<(), DatabaseError> {
    let path = data_dir.join(NOTE);
    let note = format!("{}\n", meta.place());
    let failed = |source| DatabaseError::Note { path: path.display().to_string(), source };
    replace_private_file(data_dir, NOTE, note.as_bytes()).map_err(failed)
}

/// Brings what the SQLite file `from` holds into a database server, whose database must be empty, and notes in the
/// folder that it is there now. The file is left as it is.
pub async fn move_to_server(
    data_dir: &Path,
    from: &Path,
    url: &DatabaseUrl,
) -> Result<(), DatabaseError> {
    let location = Location::Server(url.clone());
    let meta = Meta::open(&location, SealingKey::load_or_create(data_dir)?).await?;
    meta.take_from_file(from).await?;
    note(data_dir, &meta)?;
    Ok(meta.close().await?)
}

/// Opens the database beside the server of the folder, for a command on the same machine. It is not made if there is none.
pub async fn open_beside(
    data_dir: &Path,
    url: Option<&DatabaseUrl>,
) -> Result<Meta, DatabaseError> {
    let location = location(data_dir, url)?;
    let is_there = match &location {
        Location::Sqlite(path) => path.exists(),
        _ => data_dir.is_dir(),
    };
    if !is_there {
        return Err(DatabaseError::NoData(data_dir.display().to_string()));
    }
    Ok(Meta::open(&location, SealingKey::load_or_create(data_dir)?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_metadata_is_elsewhere_begins_no_second_database() {
        let dir = tempfile::tempdir().unwrap();
        let url: DatabaseUrl = "postgres://muster:s3cret@db/muster".parse().unwrap();
        let sqlite = Location::Sqlite(data_paths::meta(dir.path()));
        assert_eq!(location(dir.path(), None).unwrap(), sqlite);
        assert_eq!(location(dir.path(), Some(&url)).unwrap(), Location::Server(url.clone()));
        std::fs::write(dir.path().join(NOTE), format!("{url}\n")).unwrap();
        let error = location(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("in postgres://muster@db:5432/muster; name"), "{error}");
        assert_eq!(location(dir.path(), Some(&url)).unwrap(), Location::Server(url));
    }

    #[tokio::test]
    async fn a_command_makes_no_database() {
        let dir = tempfile::tempdir().unwrap();
        let error = open_beside(dir.path(), None).await.unwrap_err();
        assert!(matches!(error, DatabaseError::NoData(_)), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

//! A server on this machine as commands beside it see it: its data folder and its metadata database.

use std::path::{Path, PathBuf};

use muster_meta::{Actor, DatabaseUrl, Meta};
use muster_server::open_beside;

use crate::cli::PlaceArgs;
use crate::settings::{database_url, file_settings, state_dir};

/// Where a server keeps what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) data_dir: PathBuf,
    /// Where its metadata is, if not in a SQLite file in the data folder.
    pub(crate) database: Option<DatabaseUrl>,
}

impl Place {
    /// What the flags, the environment and the configuration file say.
    pub(crate) fn of(args: &PlaceArgs) -> anyhow::Result<Self> {
        let file = file_settings(args.config.as_deref())?;
        Ok(Self {
            data_dir: args
                .data_dir
                .clone()
                .or(file.data_dir)
                .unwrap_or_else(|| state_dir("muster")),
            database: database_url(args.database_url.as_deref().or(file.database_url.as_deref()))?,
        })
    }

    /// Opens the metadata database beside the server.
    pub(crate) async fn open(&self) -> anyhow::Result<Meta> {
        Ok(open_beside(&self.data_dir, self.database.as_ref()).await?)
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}

/// Who runs this command, for the audit log: the name of the system's account, as well as it is known.
pub(crate) fn actor() -> Actor {
    let name = ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let uid = rustix::process::getuid().as_raw();
    Actor::command_line(&name.unwrap_or_else(|| format!("user {uid}")))
}

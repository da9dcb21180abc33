//! What a server is told before it starts, and how its data folder is laid out.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use muster_meta::DatabaseUrl;

use crate::oidc::OidcConfig;
use crate::tls::TlsMode;

/// Settings of one server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Holds everything that survives a restart.
    pub data_dir: PathBuf,
    /// The metadata database; none is a SQLite file in the data folder.
    pub database: Option<DatabaseUrl>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How connections are secured.
    pub tls: TlsMode,
    /// How long samples are kept, in milliseconds.
    pub retention_ms: i64,
    /// Most bytes that samples may take on the disk; beyond it the oldest days go. `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// Files of rules, as patterns such as `/etc/muster/rules/*.yml`.
    pub rules: Vec<String>,
    /// Password of the first administrator; one is made if there is none here and no account yet.
    pub admin_password: Option<String>,
    /// The identity provider where people may sign in too.
    pub oidc: Option<OidcConfig>,
}

/// Where things lie in a data folder.
pub mod data_paths {
    use super::{Path, PathBuf};

    /// The folder of samples.
    pub fn metrics(data_dir: &Path) -> PathBuf {
        data_dir.join("metrics")
    }

    /// The folder of snapshots, a folder for each.
    pub fn snapshots(data_dir: &Path) -> PathBuf {
        data_dir.join("snapshots")
    }

    /// The metadata database, where it is a SQLite file.
    pub fn meta(data_dir: &Path) -> PathBuf {
        data_dir.join("muster.db")
    }

    /// Programs and releases for hosts, put there by an administrator.
    pub fn downloads(data_dir: &Path) -> PathBuf {
        data_dir.join("downloads")
    }

    /// The state of the agent that `muster up` runs for this machine.
    pub fn agent(data_dir: &Path) -> PathBuf {
        data_dir.join("agent")
    }
}

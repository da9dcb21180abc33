//! What a server is told before it starts, and how its data folder is laid out.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use muster_delivery::{SpecError, check_url};
use muster_meta::DatabaseUrl;
use reqwest::Url;

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
    /// The address by which people reach the page, for links in messages; none takes the identity provider's, else the
    /// host's name.
    pub public_url: Option<String>,
    /// Who outside hears regularly that messages leave; nobody if none.
    pub deadman: Option<Deadman>,
}

/// The dead-man's signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadman {
    /// What is asked with GET; whoever is there raises the alarm when it is not asked any more.
    pub url: Url,
    /// How often, in milliseconds.
    pub every_ms: i64,
}

impl Deadman {
    /// The signal to this address; what is wrong with it is told as it is to be mended.
    pub fn new(url: &str, every_ms: i64) -> Result<Self, SpecError> {
        Ok(Self { url: check_url("deadman_url", url)?, every_ms })
    }
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

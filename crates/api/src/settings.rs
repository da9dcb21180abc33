//! How the server is set up, and what room its data takes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How connections are secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TlsKind {
    /// Plain HTTP.
    Off,
    /// An own CA, whose fingerprint agents pin.
    Auto,
    /// A certificate from files.
    Files,
}

/// How connections are secured, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TlsSettings {
    /// Where the certificate comes from.
    pub kind: TlsKind,
    /// When the certificate that is served expires.
    pub not_after_ms: Option<i64>,
    /// The fingerprint of the own CA: `sha256:` and 64 hexadecimal digits.
    pub ca_fingerprint: Option<String>,
}

/// The room that samples take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskUse {
    /// Bytes of all blocks of samples.
    pub block_bytes: u64,
    /// Bytes of the log of what is not yet in a block.
    pub log_bytes: u64,
    /// How many series may be written to now.
    pub series: u64,
    /// How many blocks there are.
    pub blocks: u64,
    /// Bytes that are free for the server on the file system of its data; `null` if the system does not say.
    pub free_bytes: Option<u64>,
    /// Bytes of that file system.
    pub size_bytes: Option<u64>,
}

/// How the server is set up. All of it is set where the server is started, none over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Version of the server.
    pub version: String,
    /// When it was started.
    pub started_ms: i64,
    /// The folder of its data.
    pub data_dir: String,
    /// Where it listens.
    pub listen: String,
    /// How connections are secured.
    pub tls: TlsSettings,
    /// How long samples are kept.
    pub retention_ms: i64,
    /// The most bytes that samples may take; `null` is no limit.
    pub retention_bytes: Option<u64>,
    /// The room that samples take.
    pub disk: DiskUse,
    /// Where people, tokens and agents are kept: a file, or a database server without its password.
    pub database: String,
    /// The name of the identity provider, if there is one.
    pub provider: Option<String>,
}

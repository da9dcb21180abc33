//! Why a simulation cannot go on.

use std::io;
use std::path::PathBuf;

use muster_agent::{AgentError, FingerprintError, KeyError};
use muster_wire::{RejectCode, WireError};

/// What stops a simulation, or one connection of it.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The server's address is of no use.
    #[error("{url:?} is no address of a server; write http://HOST:PORT or https://HOST:PORT")]
    Address {
        /// What was given.
        url: String,
    },
    /// What was given as the fingerprint of the server's CA is none.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// TLS cannot be set up.
    #[error("cannot set TLS up: {0}")]
    Tls(rustls::Error),
    /// A file or folder cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A host's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A whole agent cannot run.
    #[error("{instance}: {source}")]
    Agent {
        /// The host.
        instance: String,
        /// Why.
        source: AgentError,
    },
    /// The system gave no random bytes.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// The connection could not be made, or broke.
    #[error("connection to the server: {0}")]
    Connection(String),
    /// The server did not answer in time.
    #[error("the server did not answer for {0} s")]
    Silent(u64),
    /// One side broke the protocol.
    #[error("agent protocol: {0}")]
    Wire(#[from] WireError),
    /// The server did not let an agent in.
    #[error("the server rejects {instance}: {message}")]
    Rejected {
        /// The host.
        instance: String,
        /// Why, for the program.
        code: RejectCode,
        /// Why, in the server's words.
        message: String,
    },
    /// The server ended the session.
    #[error("the server ended the session: {0}")]
    Ended(String),
}

impl SimulationError {
    /// Whether to try again is of no use.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Rejected { code, .. } => code.is_permanent(),
            Self::Connection(_) | Self::Silent(_) | Self::Wire(_) | Self::Ended(_) => false,
            _ => true,
        }
    }

    pub(crate) fn connection(error: impl std::fmt::Display) -> Self {
        Self::Connection(error.to_string())
    }
}

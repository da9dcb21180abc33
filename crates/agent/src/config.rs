//! What an agent is told, and how it can fail.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use muster_environment::{LockError, ServiceManager};
use muster_wire::RejectCode;

use crate::fallback::{AddressError, FallbackConfig};
use crate::key::KeyError;
use crate::target::TargetError;
use crate::update::UpdatePolicy;

/// How an agent is to run.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct AgentConfig {
    /// `http://host:port` or `https://host:port` of the server.
    pub server_url: String,
    /// The join token; needed until the server knows this agent.
    pub token: Option<String>,
    /// SHA-256 of the DER of the server's CA certificate. If given, the server must present a chain
    /// that holds and leads to exactly that certificate; the name in the URL is then not compared.
    /// If not, the chain must lead to a CA of this machine's store.
    pub ca_fingerprint: Option<[u8; 32]>,
    /// Where the agent keeps its key and its spool; made with access for this user alone.
    pub state_dir: PathBuf,
    /// Milliseconds from one fast collection to the next.
    pub interval_ms: i64,
    /// Milliseconds from one slow collection to the next.
    pub slow_interval_ms: i64,
    /// Whether `interval_ms` was asked for on this host: then the server's settings do not change it.
    pub interval_is_fixed: bool,
    /// Whether settings of the server are applied.
    pub central_settings: bool,
    /// Whether tables of processes show programs without their arguments, whatever the server's settings say.
    pub hide_arguments: bool,
    /// The name under which this host is to be known; by default its host name.
    pub instance: Option<String>,
    /// Version of the program, for the server's list of agents.
    pub agent_version: String,
    /// Whether that program is a release that the launcher has become.
    pub launched: bool,
    /// Which releases may take its place.
    pub updates: UpdatePolicy,
    /// Who is told that the agent works and lives.
    pub service_manager: Option<Arc<ServiceManager>>,
    /// `/proc`, or where the host's is mounted.
    pub proc_root: PathBuf,
    /// `/`, or where the host's is mounted.
    pub rootfs: PathBuf,
    /// Most bytes that unsent batches may take on disk.
    pub spool_bytes: u64,
    /// Most bytes, about, that unsent batches may take in memory.
    pub memory_bytes: usize,
    /// Most bytes, about, that the recorder may take in memory, and again on disk; 0 for no recorder.
    pub recorder_bytes: usize,
    /// The most CPU time that the agent should take, as a share of one core; beyond it, it goes slower.
    pub max_cpu_ratio: f64,
    /// Whether `max_cpu_ratio` was asked for on this host: then the server's settings do not change it.
    pub max_cpu_is_fixed: bool,
    /// Which CPU time that is.
    pub cpu_counted: CpuCounted,
    /// Who is told when no server is reached; nobody if none.
    pub fallback: Option<FallbackConfig>,
}

/// Which CPU time counts as an agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuCounted {
    /// All of the process, which is this agent's alone.
    Process,
    /// That of the thread that collects, where others share the process.
    Collecting,
}

impl AgentConfig {
    /// The defaults for this machine.
    pub fn new(server_url: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            server_url: server_url.into(),
            token: None,
            ca_fingerprint: None,
            state_dir: state_dir.into(),
            interval_ms: 5_000,
            slow_interval_ms: 30_000,
            interval_is_fixed: false,
            central_settings: true,
            hide_arguments: false,
            instance: None,
            agent_version: env!("CARGO_PKG_VERSION").into(),
            launched: false,
            updates: UpdatePolicy::default(),
            service_manager: None,
            proc_root: "/proc".into(),
            rootfs: "/".into(),
            spool_bytes: 512 << 20,
            memory_bytes: 4 << 20,
            recorder_bytes: 4 << 20,
            max_cpu_ratio: 0.02,
            max_cpu_is_fixed: false,
            cpu_counted: CpuCounted::Process,
            fallback: None,
        }
    }
}

/// What an agent did, told when it was stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgentReport {
    /// Batches that the server has made durable.
    pub acknowledged: u64,
    /// Batches that were lost: no room, or refused for good.
    pub dropped: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Bytes left on disk for the next start.
    pub spooled_bytes: u64,
    /// Whether the agent ended so that another program takes its place: see [`crate::relaunch`].
    pub relaunch: bool,
}

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The server's address cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The fallback's address cannot be used.
    #[error(transparent)]
    Fallback(#[from] AddressError),
    /// The agent's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state folder cannot be used.
    #[error("cannot use the state folder {}: {source}; check that this user may write there", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another agent uses the state folder.
    #[error("cannot lock the state folder {}: {source}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who holds it.
        source: LockError,
    },
    /// This host has no usable name.
    #[error("this host's name cannot be read from {}; give one with --instance", path.display())]
    NoName {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// An interval is not usable.
    #[error("an interval of {0} ms is not possible; it must be at least 100 ms")]
    Interval(i64),
    /// The server does not let this new agent in.
    #[error("the server rejects this agent: {message}; {}", advice(*code))]
    Rejected {
        /// Why, for the program.
        code: RejectCode,
        /// Why, in the server's words.
        message: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
    /// The random source of the system fails.
    #[error("the system gives no random numbers")]
    Random,
    /// The system has no timer for the agent.
    #[error("the system's timer cannot be used: {0}")]
    Timer(io::Error),
    /// The thread that collects has ended by itself.
    #[error("the collecting thread has ended, which is a bug in Muster")]
    CollectorGone,
}

/// What the person at the agent can do about a rejection.
pub(crate) fn advice(code: RejectCode) -> &'static str {
    match code {
        RejectCode::Version => "upgrade the older side",
        RejectCode::BadToken => "make a new token with `muster enroll-token` and join with it",
        RejectCode::UnknownAgent => {
            "join it with a token from `muster enroll-token`, given as --token"
        }
        RejectCode::Revoked => {
            "an administrator removed this agent; to let it in again, remove its state folder and join with a new token"
        }
        RejectCode::InstanceTaken => {
            "give this host another name with --instance, or remove the agent that has it"
        }
        RejectCode::BadSignature => {
            "its key file may be damaged; remove the state folder and join with a new token"
        }
        RejectCode::BadName => "choose another name with --instance",
        RejectCode::Other | RejectCode::Protocol | RejectCode::Busy => "it will try again",
    }
}

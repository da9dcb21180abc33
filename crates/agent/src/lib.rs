//! The agent: it runs on each host, asks a [`Source`] for samples at a steady cadence, and brings them
//! to the server over one outgoing connection.
//!
//! A batch is kept until the server says that it is durable: in memory, then in a bounded spool on
//! disk. After an outage live batches go first and the backlog follows, with its original timestamps.
//! The agent has no code that executes anything on a word of the server; what it may become is a release of its own program
//! (`update`), signed with a key that the server does not have.
//!
//! Decisions are made by parts without I/O (`schedule`, `queue`, `exchange`); the loop in `agent`
//! feeds them and does what they say.

mod config;
mod host_source;
mod source;
mod textfile;

mod agent;
mod tasks;

mod governor;
mod schedule;

mod central_settings;
mod exchange;
mod process_watch;
mod queue;
mod recorder;
mod series_table;
mod spool;

mod fallback;
mod metrics_listener;
mod scrape;
mod supervision;
mod update;

mod alarm;
mod backoff;
mod enrolment;
mod host_facts;
mod key;
mod link;
mod own_metrics;
mod target;
mod tls;
mod watching;

pub use agent::run;
pub use central_settings::stored_settings;
pub use config::{AgentConfig, AgentError, AgentReport, CpuCounted};
pub use fallback::{AddressError, FallbackConfig};
pub use host_source::HostSource;
pub use key::{AgentKey, KeyError};
pub use metrics_listener::serve_metrics;
pub use muster_collectors::{Change, Watcher};
pub use scrape::Scraper;
pub use source::{Collection, MakeProcessSource, ProcessSource, Source, Tick};
pub use target::TargetError;
pub use tls::{FingerprintError, client_config as tls_client_config, parse_fingerprint};
pub use update::{
    LAUNCHED_VERSION, ReleaseKey, ReleaseKeyError, UpdatePolicy, built_in_key, launch, relaunch,
};

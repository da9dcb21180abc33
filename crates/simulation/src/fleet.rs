//! Many hosts in one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use muster_agent::{AgentConfig, AgentKey, CpuCounted};
use muster_environment::Clock;
use muster_wire::Group;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::host_loop::HostTask;
use crate::link::Introduction;
use crate::script::{Script, Ticks};
use crate::{HostModel, ModelSource, SimulationError, Target};

/// How many hosts may be connecting at the same time.
const CONNECTING: usize = 32;

/// What a fleet is and does.
#[derive(Clone)]
pub struct FleetConfig {
    /// The server.
    pub target: Target,
    /// The join token; needed by hosts that the server does not know yet.
    pub token: Option<String>,
    /// How many hosts there are.
    pub hosts: u32,
    /// Milliseconds from tick to tick.
    pub interval_ms: i64,
    /// Where the hosts' keys are kept: a fleet with the same folder is the same agents again.
    pub state_dir: PathBuf,
    /// What the hosts send.
    pub kind: FleetKind,
}

/// What the hosts of a fleet send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetKind {
    /// The series of a [`HostModel`].
    Model {
        /// From which the hosts grow.
        seed: u64,
        /// How much of the past is filled first, in milliseconds; 0 for none.
        backfill_ms: i64,
        /// Milliseconds from tick to tick in that past.
        backfill_step_ms: i64,
        /// What comes after the past.
        present: Present,
    },
    /// Series that count ticks.
    Numbered {
        /// How many series each host has.
        series: u32,
    },
}

/// How a fleet goes on once the past is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// Not at all: it ends.
    None,
    /// In one task a host, while the past is being filled: thousands of hosts cost little.
    Light,
    /// As whole agents with thread, schedule and spool of their own, once the past is filled. Of
    /// what they do, [`Totals`] and the acknowledgement channel say nothing.
    WholeAgents,
}

/// A batch that is durable on the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    /// The host, by the name that the server gave it.
    pub instance: String,
    /// Its samples; series are numbered as in [`HostModel::series`].
    pub groups: Vec<Group>,
}

/// What a fleet has done so far.
#[derive(Debug, Default)]
pub struct Totals {
    connected: AtomicU64,
    samples: AtomicU64,
    batches: AtomicU64,
    lost_batches: AtomicU64,
    reconnects: AtomicU64,
    skipped_ticks: AtomicU64,
}

/// The numbers of [`Totals`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetReport {
    /// Hosts that are connected.
    pub connected: u64,
    /// Samples that are durable on the server.
    pub samples: u64,
    /// Batches that are durable on the server.
    pub batches: u64,
    /// Batches that the server refused for good.
    pub lost_batches: u64,
    /// Attempts to connect that failed, and connections that broke.
    pub reconnects: u64,
    /// Ticks that were passed over because a host was cut off for too long.
    pub skipped_ticks: u64,
}

/// Runs a fleet until it is stopped, or until there is nothing more to send. `totals` can be read
/// meanwhile; `acknowledged` is told of each batch that is durable.
///
/// An error is one that concerns all hosts alike, such as a bad token; it stops the fleet.
pub async fn run_fleet(
    config: FleetConfig,
    clock: Arc<dyn Clock>,
    totals: Arc<Totals>,
    acknowledged: Option<mpsc::Sender<Acknowledged>>,
    stop: watch::Receiver<bool>,
) -> Result<FleetReport, SimulationError> {
    make_private(&config.state_dir)?;
    let gate = Arc::new(Semaphore::new(CONNECTING));
    let started_ms = clock.now_ms();
    let mut hosts = JoinSet::new();
    for number in 0..config.hosts {
        let (instance, kernel, script) = cast(&config, number, started_ms);
        let state_dir = config.state_dir.join(&instance);
        let key = AgentKey::load_or_create(&state_dir)?;
        let task = HostTask {
            introduction: Introduction { instance, kernel, token: config.token.clone(), key },
            script,
            target: config.target.clone(),
            clock: Arc::clone(&clock),
            gate: Arc::clone(&gate),
            totals: Arc::clone(&totals),
            acknowledged: acknowledged.clone(),
            stop: stop.clone(),
        };
        match config.kind {
            FleetKind::Model { seed, present: Present::WholeAgents, .. } => {
                let host = HostModel::new(seed, number);
                let agent = agent_config(&config, &host, state_dir);
                hosts.spawn(past_and_agent(task, agent, host));
            }
            _ => {
                hosts.spawn(task.run());
            }
        }
    }
    while let Some(ended) = hosts.join_next().await {
        ended.expect("a host's task does not panic and is not aborted")?;
    }
    Ok(totals.report())
}

async fn past_and_agent(
    task: HostTask,
    config: AgentConfig,
    host: HostModel,
) -> Result<(), SimulationError> {
    let (clock, stop) = (Arc::clone(&task.clock), task.stop.clone());
    task.run().await?;
    let instance = host.instance().to_owned();
    let source = Box::new(ModelSource::new(host));
    muster_agent::run(config, source, clock, stop)
        .await
        .map(|_| ())
        .map_err(|source| SimulationError::Agent { instance, source })
}

fn agent_config(config: &FleetConfig, host: &HostModel, state_dir: PathBuf) -> AgentConfig {
    AgentConfig {
        token: config.token.clone(),
        ca_fingerprint: config.target.ca_fingerprint(),
        interval_ms: config.interval_ms,
        instance: Some(host.instance().to_owned()),
        // Hundreds of them share this process and its processors.
        recorder_bytes: 0,
        max_cpu_ratio: f64::INFINITY,
        cpu_counted: CpuCounted::Collecting,
        ..AgentConfig::new(config.target.url(), state_dir)
    }
}

/// Name, kernel and script of a host.
fn cast(config: &FleetConfig, number: u32, started_ms: i64) -> (String, String, Script) {
    let live = Ticks::from(started_ms, config.interval_ms);
    match config.kind {
        FleetKind::Model { seed, backfill_ms, backfill_step_ms, present } => {
            let host = HostModel::new(seed, number);
            let first_ms = started_ms - backfill_ms;
            let backfill = Ticks::between(first_ms, started_ms, backfill_step_ms);
            let names = (host.instance().to_owned(), host.kernel().to_owned());
            let live = (present == Present::Light).then_some(live);
            (names.0, names.1, Script::Model { host, backfill, live })
        }
        FleetKind::Numbered { series } => {
            let instance = format!("numbered-{number:04}");
            (instance, "simulated".to_owned(), Script::Numbered { series, live, ticked: 0 })
        }
    }
}

fn make_private(folder: &Path) -> Result<(), SimulationError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| SimulationError::File { path: folder.to_owned(), source })
}

impl Totals {
    /// The numbers now.
    pub fn report(&self) -> FleetReport {
        FleetReport {
            connected: self.connected.load(Relaxed),
            samples: self.samples.load(Relaxed),
            batches: self.batches.load(Relaxed),
            lost_batches: self.lost_batches.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            skipped_ticks: self.skipped_ticks.load(Relaxed),
        }
    }

    /// Counts a host as connected for as long as the value lives.
    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.connected.fetch_add(1, Relaxed);
        Connected(Arc::clone(self))
    }

    pub(crate) fn count_acknowledged(&self, samples: usize) {
        self.batches.fetch_add(1, Relaxed);
        self.samples.fetch_add(samples as u64, Relaxed);
    }

    pub(crate) fn count_lost(&self) {
        self.lost_batches.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_skipped(&self, ticks: u64) {
        self.skipped_ticks.fetch_add(ticks, Relaxed);
    }
}

/// A host that is connected.
pub(crate) struct Connected(Arc<Totals>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Relaxed);
    }
}

//! How an agent starts: its settings are looked at, its state folder is opened, and what the last run left is taken over.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use muster_environment::{Clock, DirLock, Disk, RealDisk};
use muster_wire::Configuration;
use rustls::ClientConfig;

use crate::backoff::Backoff;
use crate::central_settings;
use crate::config::{AgentConfig, AgentError, CpuCounted};
use crate::enrolment::{Enrolment, left_token};
use crate::exchange::Exchange;
use crate::fallback::Fallback;
use crate::governor::Governor;
use crate::host_facts::HostFacts;
use crate::key::AgentKey;
use crate::process_watch::ProcessWatch;
use crate::recorder::Recorder;
use crate::recorder::disk::{Left, RecorderDisk};
use crate::schedule::{Cadence, Schedule};
use crate::source::Source;
use crate::spool::Spool;
use crate::supervision::Supervision;
use crate::target::Target;
use crate::tasks::{Collector, RecorderWriter, Watching, on_disk, process_cpu_us};
use crate::update::Updater;

use super::Agent;

const MIN_INTERVAL_MS: i64 = 100;
/// How often the recorder wants to know how the host is.
pub(super) const RECORD_MS: i64 = 1_000;

impl Agent {
    pub(super) async fn prepare(
        mut config: AgentConfig,
        source: Box<dyn Source>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AgentError> {
        for interval_ms in [config.interval_ms, config.slow_interval_ms] {
            if interval_ms < MIN_INTERVAL_MS {
                return Err(AgentError::Interval(interval_ms));
            }
        }
        let (target, tls) = server_of(&config)?;
        let facts = HostFacts::read(&config.proc_root, &config.rootfs);
        let instance = name_of(&config, &facts)?;
        let state = {
            let (config, clock, boot_id) =
                (config.clone(), Arc::clone(&clock), facts.boot_id.clone());
            on_disk(move || State::open(Arc::new(RealDisk), &config, &*clock, &boot_id)).await?
        };
        config.token = config.token.or(state.token);
        let watching = Watching::spawn(source.watchers(), Arc::clone(&clock))
            .map_err(|_| AgentError::CollectorGone)?;
        let make_process_source = source.processes();
        let collector =
            Collector::spawn(source, Arc::clone(&clock)).map_err(|_| AgentError::CollectorGone)?;
        let enrolled = state.enrolment.is_some();
        let now_ms = clock.monotonic_ms();
        let cpu_us = match config.cpu_counted {
            CpuCounted::Process => process_cpu_us(),
            CpuCounted::Collecting => 0,
        };
        let mut agent = Self {
            schedule: Schedule::new(cadence(&config)),
            governor: Governor::new(config.max_cpu_ratio, now_ms, cpu_us),
            exchange: Exchange::new(state.key, config.memory_bytes),
            connect_at_ms: now_ms,
            supervision: Supervision::new(config.service_manager.clone()),
            updater: updater(&config, now_ms),
            fallback: Fallback::new(&config, &instance, now_ms)?,
            config,
            clock,
            disk: state.disk,
            target,
            tls,
            facts,
            instance,
            enrolled,
            use_token: !enrolled,
            collector,
            watching,
            spool: Some(state.spool),
            unreadable: HashMap::new(),
            source_numbers: HashMap::new(),
            ended: Vec::new(),
            recorder: state.recorder,
            recorder_writer: state.recorder_writer,
            collector_cpu_us: 0,
            collect_seconds: 0.0,
            skipped_ticks: 0,
            central: Configuration::default(),
            refused_revision: 0,
            process_watch: ProcessWatch::default(),
            make_process_source,
            process_reader: None,
            link: None,
            welcomed_ms: None,
            backoff: Backoff::default(),
            rejected_wait_ms: None,
            _lock: state.lock,
        };
        if agent.config.central_settings {
            agent.apply(state.central).await;
        }
        Ok(agent)
    }
}

/// Where the server is, and how it is known if it speaks TLS.
fn server_of(config: &AgentConfig) -> Result<(Arc<Target>, Option<Arc<ClientConfig>>), AgentError> {
    let target = Target::parse(&config.server_url)?;
    let tls = target
        .tls
        .then(|| crate::tls::client_config(config.ca_fingerprint).map(Arc::new))
        .transpose()
        .map_err(AgentError::Tls)?;
    Ok((Arc::new(target), tls))
}

/// The name under which the host asks to be known.
fn name_of(config: &AgentConfig, facts: &HostFacts) -> Result<String, AgentError> {
    let instance = config.instance.as_ref().unwrap_or(&facts.hostname);
    if instance.is_empty() {
        let path = config.proc_root.join("sys/kernel/hostname");
        return Err(AgentError::NoName { path });
    }
    Ok(instance.clone())
}

fn updater(config: &AgentConfig, now_ms: i64) -> Updater {
    let AgentConfig { updates, state_dir, agent_version, launched, .. } = config;
    Updater::new(updates.clone(), state_dir, agent_version, *launched, now_ms)
}

fn cadence(config: &AgentConfig) -> Cadence {
    Cadence {
        interval_ms: config.interval_ms,
        slow_interval_ms: config.slow_interval_ms,
        record_ms: (config.recorder_bytes > 0).then_some(RECORD_MS),
    }
}

/// What the state folder holds.
struct State {
    disk: Arc<dyn Disk>,
    key: AgentKey,
    lock: Box<dyn DirLock>,
    enrolment: Option<Enrolment>,
    central: Configuration,
    token: Option<String>,
    spool: Spool,
    recorder: Option<Recorder>,
    recorder_writer: Option<RecorderWriter>,
}

impl State {
    fn open(
        disk: Arc<dyn Disk>,
        config: &AgentConfig,
        clock: &dyn Clock,
        boot_id: &str,
    ) -> Result<Self, AgentError> {
        let dir = &config.state_dir;
        let failed = |source| AgentError::State { path: dir.clone(), source };
        let key = AgentKey::load_or_create(dir)?;
        let lock = disk
            .lock(&dir.join("lock"))
            .map_err(|source| AgentError::InUse { path: dir.clone(), source })?;
        let enrolment = Enrolment::load(&*disk, dir).map_err(failed)?;
        let central = central_settings::load(&*disk, dir).map_err(failed)?;
        let token = left_token(dir).map_err(failed)?;
        let spool_dir = dir.join("spool");
        private_dir(&spool_dir).map_err(failed)?;
        let mut spool =
            Spool::open(Arc::clone(&disk), &spool_dir, config.spool_bytes).map_err(failed)?;
        let (mut recorder, mut recorder_writer) = (None, None);
        if config.recorder_bytes > 0 {
            let opened = open_recorder(&disk, config, clock, boot_id, &mut spool);
            (recorder, recorder_writer) = match opened {
                Ok((recorder, writer)) => (Some(recorder), Some(writer)),
                // Nothing that was promised depends upon it.
                Err(error) => {
                    tracing::warn!(%error, "the recorder's folder cannot be used; the last minutes are kept in memory only");
                    (Some(Recorder::new(config.recorder_bytes, Vec::new())), None)
                }
            };
        }
        Ok(Self { disk, key, lock, enrolment, central, token, spool, recorder, recorder_writer })
    }
}

fn open_recorder(
    disk: &Arc<dyn Disk>,
    config: &AgentConfig,
    clock: &dyn Clock,
    boot_id: &str,
    spool: &mut Spool,
) -> io::Result<(Recorder, RecorderWriter)> {
    let dir = config.state_dir.join("recorder");
    private_dir(&dir)?;
    let (now_ms, monotonic_ms) = (clock.now_ms(), clock.monotonic_ms());
    let (mut folder, left, mut segments) =
        RecorderDisk::open(Arc::clone(disk), &dir, boot_id, now_ms, monotonic_ms)?;
    if left == Left::Abruptly {
        let groups = folder.hand_over(&segments, spool)?;
        segments.clear();
        tracing::info!(
            groups,
            "the last run ended abruptly; what was recorded before that is sent to the server"
        );
    }
    let recorder = Recorder::new(config.recorder_bytes, segments);
    Ok((recorder, RecorderWriter::spawn(folder)?))
}

/// Makes the folder for this user alone, also if it is there with more access.
fn private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

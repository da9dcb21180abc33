//! The life of an agent: collect, keep, send.

mod spooling;

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use muster_collectors::Change;
use muster_environment::{Clock, DirLock, Disk, RealDisk};
use muster_series::is_stale_marker;
use muster_wire::{AgentHello, GoodbyeReason, Group, RejectCode};
use rustls::ClientConfig;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::config::{AgentConfig, AgentError, AgentReport, advice};
use crate::enrolment::Enrolment;
use crate::exchange::{Exchange, Notice};
use crate::host_facts::HostFacts;
use crate::key::AgentKey;
use crate::link::LinkEvent;
use crate::own_metrics::OwnFigures;
use crate::schedule::Schedule;
use crate::source::Source;
use crate::spool::Spool;
use crate::target::Target;
use crate::tasks::{Collected, Collector, Link, Watching, on_disk};

const MIN_INTERVAL_MS: i64 = 100;
/// The loop wakes at least so often: a clock that was set is noticed soon.
const LONGEST_SLEEP_MS: i64 = 5_000;
/// How long the last frames may take when the agent stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// From here on the difference between this host's clock and the server's is told.
const CLOCK_OFFSET_MS: i64 = 60_000;

/// Runs an agent until `stop` becomes true or its sender is gone. Batches that are not delivered then
/// are on disk afterwards, for the next run with the same state folder.
///
/// It returns early only where trying again is of no use: a configuration that cannot work, or a
/// server that rejects an agent that it never let in.
pub async fn run(
    config: AgentConfig,
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) -> Result<AgentReport, AgentError> {
    let mut agent = Agent::prepare(config, source, clock).await?;
    loop {
        agent.transmit();
        agent.tend_spool().await;
        if *stop.borrow() {
            break;
        }
        let sleep = Duration::from_millis(agent.wait_ms() as u64);
        let event = tokio::select! {
            biased;
            changed = stop.changed() => match changed {
                Ok(()) => Event::Wake,
                Err(_) => break,
            },
            event = next_link_event(&mut agent.link) => Event::Link(event),
            changes = agent.watching.next() => Event::Changed(changes),
            collected = agent.collector.next() => Event::Collected(collected),
            () = tokio::time::sleep(sleep) => Event::Wake,
        };
        agent.handle(event).await?;
    }
    Ok(agent.shut_down().await)
}

#[derive(Debug)]
enum Event {
    Link(Option<LinkEvent>),
    Collected(Option<Collected>),
    /// Between two ticks.
    Changed(Vec<Change>),
    Wake,
}

/// Waits for ever while there is no connection.
async fn next_link_event(link: &mut Option<Link>) -> Option<LinkEvent> {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

struct Agent {
    config: AgentConfig,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    target: Arc<Target>,
    tls: Option<Arc<ClientConfig>>,
    facts: HostFacts,
    instance: String,
    enrolled: bool,
    use_token: bool,
    schedule: Schedule,
    collector: Collector,
    watching: Watching,
    exchange: Exchange,
    /// Absent only while the disk works on it.
    spool: Option<Spool>,
    /// Spool files that could not be read, and when each is tried again.
    unreadable: HashMap<u64, i64>,
    source_numbers: HashMap<u32, u32>,
    collect_seconds: f64,
    skipped_ticks: u64,
    link: Option<Link>,
    welcomed_ms: Option<i64>,
    backoff: Backoff,
    connect_at_ms: i64,
    /// When the server has rejected this agent: how long to wait before the next attempt.
    rejected_wait_ms: Option<i64>,
    _lock: Box<dyn DirLock>,
}

impl Agent {
    async fn prepare(
        config: AgentConfig,
        source: Box<dyn Source>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AgentError> {
        for interval_ms in [config.interval_ms, config.slow_interval_ms] {
            if interval_ms < MIN_INTERVAL_MS {
                return Err(AgentError::Interval(interval_ms));
            }
        }
        let target = Arc::new(Target::parse(&config.server_url)?);
        let tls = if target.tls {
            let tls = crate::tls::client_config(config.ca_fingerprint);
            Some(Arc::new(tls.map_err(AgentError::Tls)?))
        } else {
            None
        };
        let state_dir = config.state_dir.clone();
        let spool_bytes = config.spool_bytes;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let opening = Arc::clone(&disk);
        let (key, lock, enrolment, spool) =
            on_disk(move || open_state(&opening, &state_dir, spool_bytes)).await?;
        let facts = HostFacts::read(&config.proc_root, &config.rootfs);
        let instance = config.instance.clone().unwrap_or_else(|| facts.hostname.clone());
        if instance.is_empty() {
            let path = config.proc_root.join("sys/kernel/hostname");
            return Err(AgentError::NoName { path });
        }
        let watching = Watching::spawn(source.watchers(), Arc::clone(&clock))
            .map_err(|_| AgentError::CollectorGone)?;
        let collector =
            Collector::spawn(source, Arc::clone(&clock)).map_err(|_| AgentError::CollectorGone)?;
        let enrolled = enrolment.is_some();
        Ok(Self {
            schedule: Schedule::new(config.interval_ms, config.slow_interval_ms),
            exchange: Exchange::new(key, config.memory_bytes),
            connect_at_ms: clock.monotonic_ms(),
            config,
            clock,
            disk,
            target,
            tls,
            facts,
            instance,
            enrolled,
            use_token: !enrolled,
            collector,
            watching,
            spool: Some(spool),
            unreadable: HashMap::new(),
            source_numbers: HashMap::new(),
            collect_seconds: 0.0,
            skipped_ticks: 0,
            link: None,
            welcomed_ms: None,
            backoff: Backoff::default(),
            rejected_wait_ms: None,
            _lock: lock,
        })
    }

    fn transmit(&mut self) {
        let now_ms = self.clock.monotonic_ms();
        if let Some(link) = &self.link {
            while let Some(frame) = self.exchange.poll_transmit(now_ms) {
                link.send(frame);
            }
        }
    }

    /// Milliseconds until something is due.
    fn wait_ms(&self) -> i64 {
        let (wall_ms, now_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
        let mut wait = self.schedule.wait_ms(wall_ms, now_ms).min(LONGEST_SLEEP_MS);
        if self.link.is_none() {
            wait = wait.min(self.connect_at_ms - now_ms);
        }
        if let Some(deadline_ms) = self.exchange.next_deadline() {
            wait = wait.min(deadline_ms - now_ms);
        }
        wait.max(0)
    }

    async fn handle(&mut self, event: Event) -> Result<(), AgentError> {
        match event {
            Event::Link(event) => self.handle_link(event).await?,
            Event::Collected(Some(collected)) => self.keep(collected),
            Event::Collected(None) => return Err(AgentError::CollectorGone),
            Event::Changed(changes) => {
                self.exchange.push_urgent(changes, self.clock.monotonic_ms());
            }
            Event::Wake => {}
        }
        let (wall_ms, now_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
        if let Some(due) = self.schedule.poll(wall_ms, now_ms)
            && !self.collector.request(due)
        {
            self.skipped_ticks += 1;
        }
        if let Err(error) = self.exchange.handle_timeout(now_ms) {
            tracing::warn!(%error, "the session with the server fails");
            self.hang_up();
        }
        if self.link.is_none() && self.connect_at_ms <= now_ms {
            self.link = Some(Link::spawn(Arc::clone(&self.target), self.tls.clone()));
        }
        Ok(())
    }

    async fn handle_link(&mut self, event: Option<LinkEvent>) -> Result<(), AgentError> {
        let now_ms = self.clock.monotonic_ms();
        match event {
            Some(LinkEvent::Up) => {
                let hello = self.hello()?;
                self.exchange.connected(hello, now_ms);
            }
            Some(LinkEvent::Frame(frame)) => {
                match self.exchange.handle_frame(&frame, self.clock.now_ms(), now_ms) {
                    Ok(Some(notice)) => self.heed(notice).await?,
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the session with the server fails");
                        self.hang_up();
                    }
                }
            }
            Some(LinkEvent::Down(reason)) => {
                tracing::warn!(server = %self.config.server_url, %reason, "no connection to the server; samples are kept");
                self.hang_up();
            }
            None => self.hang_up(),
        }
        Ok(())
    }

    fn hello(&self) -> Result<AgentHello, AgentError> {
        let mut nonce = [0; 32];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| AgentError::Random)?;
        Ok(AgentHello {
            instance: self.instance.clone(),
            public_key: [0; 32],
            enroll_token: self.config.token.clone().filter(|_| self.use_token),
            agent_version: self.config.agent_version.clone(),
            boot_id: self.facts.boot_id.clone(),
            nonce,
            os: self.facts.os.clone(),
        })
    }

    async fn heed(&mut self, notice: Notice) -> Result<(), AgentError> {
        match notice {
            Notice::Welcomed { instance, interval_ms } => {
                tracing::info!(server = %self.config.server_url, %instance, "connected");
                self.welcomed_ms = Some(self.clock.monotonic_ms());
                self.tell_clock_offset();
                if interval_ms > 0 {
                    self.schedule.set_interval(interval_ms);
                }
                self.record_enrolment(instance).await;
            }
            Notice::Settings { interval_ms, lease_ms } => {
                self.schedule.boost(interval_ms, lease_ms, self.clock.monotonic_ms());
            }
            Notice::Goodbye { reason: GoodbyeReason::Replaced, message } => {
                tracing::warn!(
                    %message,
                    "another agent with this agent's key has connected; if two hosts run with copies of one \
                     state folder, remove identity.key on one of them and join it with a new token"
                );
                self.hang_up();
            }
            Notice::Goodbye { reason, message } => {
                tracing::info!(?reason, %message, "the server ends the session");
                self.hang_up();
            }
            Notice::Rejected { code, message } => self.rejected(code, message)?,
        }
        Ok(())
    }

    /// Warns once a session if this host's clock and the server's are far apart.
    fn tell_clock_offset(&self) {
        let Some(offset_ms) = self.exchange.clock_offset_ms() else {
            return;
        };
        if offset_ms.abs() > CLOCK_OFFSET_MS {
            let side = if offset_ms > 0 { "behind" } else { "ahead of" };
            tracing::warn!(
                "this host's clock is {} s {side} the server's; one of the two is wrong: compare both with the true time \
                 (`timedatectl`) and let NTP set them, or samples appear at wrong times and may be refused",
                offset_ms.abs() / 1_000
            );
        }
    }

    async fn record_enrolment(&mut self, instance: String) {
        if self.enrolled && !self.use_token && self.instance == instance {
            return;
        }
        self.enrolled = true;
        self.use_token = false;
        self.instance.clone_from(&instance);
        let enrolment = Enrolment { server_url: self.config.server_url.clone(), instance };
        let (disk, state_dir) = (Arc::clone(&self.disk), self.config.state_dir.clone());
        if let Err(error) = on_disk(move || enrolment.save(&*disk, &state_dir)).await {
            tracing::warn!(%error, "the enrolment cannot be put on record; the token will be shown again");
        }
    }

    fn rejected(&mut self, code: RejectCode, message: String) -> Result<(), AgentError> {
        if !self.enrolled && code.is_permanent() {
            return Err(AgentError::Rejected { code, message });
        }
        tracing::error!(?code, %message, advice = advice(code), "the server rejects this agent");
        if code == RejectCode::UnknownAgent && self.config.token.is_some() && !self.use_token {
            // The server was made anew: the token that was given may open it.
            self.use_token = true;
        } else if code.is_permanent() {
            self.rejected_wait_ms = Some(Backoff::after_rejection(random()));
        }
        self.hang_up();
        Ok(())
    }

    /// Gives the connection up, if there is one, and plans the next.
    fn hang_up(&mut self) {
        if self.link.take().is_none() {
            return;
        }
        self.exchange.disconnected();
        let now_ms = self.clock.monotonic_ms();
        if let Some(welcomed_ms) = self.welcomed_ms.take() {
            self.backoff.session_ended(now_ms - welcomed_ms);
        }
        let wait_ms = match self.rejected_wait_ms.take() {
            Some(wait_ms) => wait_ms,
            None => self.backoff.after_failure(random()),
        };
        self.connect_at_ms = now_ms + wait_ms;
    }

    /// Turns a collection into a batch.
    fn keep(&mut self, collected: Collected) {
        let Collected { due, collection, took_ms } = collected;
        self.collect_seconds = took_ms as f64 / 1_000.0;
        for (own, labels) in collection.new_series {
            self.source_numbers.insert(own, self.exchange.table().number_of(labels));
        }
        let mut samples = Vec::with_capacity(collection.samples.len());
        for (own, value) in collection.samples {
            if let Some(&number) = self.source_numbers.get(&own) {
                samples.push((number, value));
                if is_stale_marker(value) {
                    self.source_numbers.remove(&own);
                }
            }
        }
        self.figures().append(self.exchange.table(), &mut samples);
        let group = Group { timestamp_ms: due.timestamp_ms, samples };
        let now_ms = self.clock.monotonic_ms();
        self.exchange.push(collection.urgent, group, now_ms);
        self.exchange.forget_idle_series(self.source_numbers.values().copied());
    }

    fn figures(&self) -> OwnFigures {
        let (acknowledged, dropped, dropped_samples, sessions) = self.exchange.counts();
        OwnFigures {
            queued_batches: self.exchange.queued(),
            spool_bytes: self.spool.as_ref().map_or(0, Spool::bytes),
            acknowledged,
            dropped,
            dropped_samples,
            sessions,
            skipped_ticks: self.skipped_ticks,
            collect_seconds: self.collect_seconds,
            clock_offset_seconds: self.exchange.clock_offset_ms().map(|ms| ms as f64 / 1_000.0),
        }
    }

    /// The reverse of the start: the session, then what is left in memory.
    async fn shut_down(mut self) -> AgentReport {
        self.exchange.goodbye();
        self.transmit();
        if let Some(link) = self.link.take() {
            // A connection that does not close in time is cut when the process ends.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, link.close()).await;
        }
        self.exchange.disconnected();
        self.save_everything().await;
        let (acknowledged, dropped, _, sessions) = self.exchange.counts();
        let spooled_bytes = self.spool.as_ref().map_or(0, Spool::bytes);
        AgentReport { acknowledged, dropped, sessions, spooled_bytes }
    }
}

type State = (AgentKey, Box<dyn DirLock>, Option<Enrolment>, Spool);

fn open_state(
    disk: &Arc<dyn Disk>,
    state_dir: &Path,
    spool_bytes: u64,
) -> Result<State, AgentError> {
    let failed = |source| AgentError::State { path: state_dir.into(), source };
    let key = AgentKey::load_or_create(state_dir)?;
    let lock = disk
        .lock(&state_dir.join("lock"))
        .map_err(|source| AgentError::InUse { path: state_dir.into(), source })?;
    let enrolment = Enrolment::load(&**disk, state_dir).map_err(failed)?;
    let spool_dir = state_dir.join("spool");
    private_dir(&spool_dir).map_err(failed)?;
    let spool = Spool::open(Arc::clone(disk), &spool_dir, spool_bytes).map_err(failed)?;
    Ok((key, lock, enrolment, spool))
}

/// Makes the folder for this user alone, also if it is there with more access.
fn private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// A uniform number for jitter; 0 if the system has none, which only means no jitter.
fn random() -> u64 {
    let mut bytes = [0; 8];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 0;
    }
    u64::from_le_bytes(bytes)
}

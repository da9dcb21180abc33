//! The life of an agent: collect, keep, send.

mod keeping;
mod session;
mod spooling;
mod start;
mod told;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use muster_collectors::Change;
use muster_environment::{Clock, DirLock, Disk};
use muster_wire::{Configuration, ProcessTable};
use rustls::ClientConfig;
use tokio::sync::watch;

use crate::alarm::Alarm;
use crate::backoff::Backoff;
use crate::config::{AgentConfig, AgentError, AgentReport};
use crate::exchange::Exchange;
use crate::fallback::Fallback;
use crate::governor::Governor;
use crate::host_facts::HostFacts;
use crate::link::LinkEvent;
use crate::process_watch::ProcessWatch;
use crate::recorder::Recorder;
use crate::schedule::Schedule;
use crate::source::{MakeProcessSource, Source};
use crate::spool::Spool;
use crate::supervision::Supervision;
use crate::target::Target;
use crate::tasks::{Collected, Collector, Link, ProcessReader, RecorderWriter, Watching, Written};
use crate::update::Updater;

/// The loop wakes at least so often: a clock that was set is noticed soon.
const LONGEST_SLEEP_MS: i64 = 5_000;
/// How long the last frames may take when the agent stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

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
    let mut alarm = Alarm::new().map_err(AgentError::Timer)?;
    agent.supervision.started();
    loop {
        agent.transmit();
        agent.tend_recorder();
        agent.tend_spool().await;
        agent.tend_processes();
        agent.tend_update().await;
        agent.tend_fallback().await;
        if *stop.borrow() || agent.updater.wants_restart() {
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
            written = next_written(&mut agent.recorder_writer) => Event::Recorded(written),
            table = next_table(&mut agent.process_reader) => Event::Processes(table),
            waited = alarm.after(sleep) => {
                waited.map_err(AgentError::Timer)?;
                Event::Wake
            }
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
    Recorded(Option<Written>),
    Processes(Option<ProcessTable>),
    Wake,
}

/// Waits for ever while there is no connection.
async fn next_link_event(link: &mut Option<Link>) -> Option<LinkEvent> {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever while nothing is being written.
async fn next_written(writer: &mut Option<RecorderWriter>) -> Option<Written> {
    match writer {
        Some(writer) if writer.is_busy() => writer.next().await,
        _ => std::future::pending().await,
    }
}

/// Waits for ever while nobody looks at the processes.
async fn next_table(reader: &mut Option<ProcessReader>) -> Option<ProcessTable> {
    match reader {
        Some(reader) => reader.next().await,
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
    /// Series that have ended, of which the server was not told yet.
    ended: Vec<u32>,
    /// None if it was switched off.
    recorder: Option<Recorder>,
    /// None if its folder cannot be used: then it is in memory only.
    recorder_writer: Option<RecorderWriter>,
    governor: Governor,
    collector_cpu_us: i64,
    collect_seconds: f64,
    skipped_ticks: u64,
    /// The server's settings that are applied.
    central: Configuration,
    /// Which settings were told to be refused.
    refused_revision: u64,
    process_watch: ProcessWatch,
    make_process_source: Option<MakeProcessSource>,
    process_reader: Option<ProcessReader>,
    link: Option<Link>,
    welcomed_ms: Option<i64>,
    backoff: Backoff,
    connect_at_ms: i64,
    /// When the server has rejected this agent: how long to wait before the next attempt.
    rejected_wait_ms: Option<i64>,
    supervision: Supervision,
    updater: Updater,
    /// None if the host has none.
    fallback: Option<Fallback>,
    _lock: Box<dyn DirLock>,
}

impl Agent {
    /// Does what is due about releases, and tells the server of it.
    async fn tend_update(&mut self) {
        let (wall_ms, now_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
        self.supervision.alive(now_ms);
        let paused = self.central.updates_paused;
        self.updater.tend(&self.target, self.tls.as_ref(), paused, wall_ms, now_ms).await;
        for report in self.updater.take_reports() {
            self.exchange.report_update(&report);
        }
    }

    /// Tells people directly where no server is reached.
    async fn tend_fallback(&mut self) {
        if let Some(fallback) = &mut self.fallback {
            let (wall_ms, now_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
            fallback.tend(self.welcomed_ms.is_some(), wall_ms, now_ms).await;
        }
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
        let deadlines = [self.exchange.next_deadline(), self.process_watch.next_deadline()];
        for deadline_ms in deadlines.into_iter().flatten() {
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
            Event::Recorded(written) => self.recorded(written),
            Event::Processes(table) => self.send_processes(table),
            Event::Wake => {}
        }
        let (wall_ms, now_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
        if let Some(due) = self.schedule.poll(wall_ms, now_ms) {
            self.collect(due, now_ms);
        }
        self.govern(now_ms);
        if let Err(error) = self.exchange.handle_timeout(now_ms) {
            tracing::warn!(%error, "the session with the server fails");
            self.hang_up();
        }
        if self.link.is_none() && self.connect_at_ms <= now_ms {
            self.link = Some(Link::spawn(Arc::clone(&self.target), self.tls.clone()));
        }
        Ok(())
    }

    /// The reverse of the start: the session, then what is left in memory.
    async fn shut_down(mut self) -> AgentReport {
        let relaunch = self.updater.wants_restart();
        if !relaunch {
            self.supervision.stopping();
        }
        self.exchange.goodbye();
        self.transmit();
        if let Some(link) = self.link.take() {
            // A connection that does not close in time is cut when the process ends.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, link.close()).await;
        }
        self.exchange.disconnected();
        self.save_everything().await;
        self.end_recording().await;
        let (acknowledged, dropped, _, sessions) = self.exchange.counts();
        let spooled_bytes = self.spool.as_ref().map_or(0, Spool::bytes);
        AgentReport { acknowledged, dropped, sessions, spooled_bytes, relaunch }
    }
}

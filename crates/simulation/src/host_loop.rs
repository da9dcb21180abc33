//! One host's life: connect, send what its script says, hear what became of it, connect again.

use std::sync::Arc;
use std::time::Duration;

use muster_environment::Clock;
use muster_wire::{AgentEvent, Group};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::fleet::{Acknowledged, Totals};
use crate::link::{Introduction, Link};
use crate::outbox::Outbox;
use crate::script::{Script, Step};
use crate::{SimulationError, Target};

/// How many batches of one host are under way at most.
const WINDOW: usize = 4;
/// How often a host pings, as real agents do: one that is silent for 12 s counts as gone.
const PING_INTERVAL: Duration = Duration::from_secs(4);
/// How long the server may leave a batch unanswered, in milliseconds.
const ANSWER_TIMEOUT_MS: i64 = 30_000;
/// How long a stop waits for batches under way, in milliseconds.
const DRAIN_MS: i64 = 5_000;
/// How long a host waits when the server has no room for a batch, in milliseconds.
const REFUSED_PAUSE_MS: i64 = 1_000;
/// Shortest and longest pause before a host connects again, in milliseconds.
const BACKOFF_MS: (u64, u64) = (100, 5_000);

/// Everything that one host needs.
pub(crate) struct HostTask {
    pub(crate) introduction: Introduction,
    pub(crate) script: Script,
    pub(crate) target: Target,
    pub(crate) clock: Arc<dyn Clock>,
    /// Lets a few hosts connect at the same time, not all.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) totals: Arc<Totals>,
    pub(crate) acknowledged: Option<mpsc::Sender<Acknowledged>>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What a session remembers besides the batches.
#[derive(Default)]
struct Session {
    /// The script has nothing more.
    done: bool,
    /// When to give up waiting for answers; set by a stop.
    drain_until_ms: Option<i64>,
    /// Nothing is sent before.
    paused_until_ms: i64,
    /// When the server last answered, or was last owed nothing.
    answered_ms: i64,
}

impl HostTask {
    /// Runs until the script ends or a stop is asked for; an error is one that trying again cannot mend.
    pub(crate) async fn run(mut self) -> Result<(), SimulationError> {
        let mut outbox = Outbox::default();
        let mut pause_ms = BACKOFF_MS.0;
        loop {
            let opened = self.open().await;
            let connected = opened.is_ok();
            let result = match opened {
                Ok(link) => self.session(link, &mut outbox).await,
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(()) => return Ok(()),
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => error,
            };
            outbox.handle_disconnected();
            self.totals.count_reconnect();
            tracing::debug!(instance = self.introduction.instance, %error, "connecting again");
            pause_ms = if connected { BACKOFF_MS.0 } else { (pause_ms * 2).min(BACKOFF_MS.1) };
            if self.stopped_within(Duration::from_millis(pause_ms)).await {
                return Ok(());
            }
        }
    }

    async fn open(&self) -> Result<Link, SimulationError> {
        let _permit = self.gate.acquire().await.expect("the gate is never closed");
        Link::open(&self.target, &self.introduction, self.clock.now_ms()).await
    }

    async fn session(
        &mut self,
        mut link: Link,
        outbox: &mut Outbox,
    ) -> Result<(), SimulationError> {
        let _connected = self.totals.connected();
        let mut session = Session { answered_ms: self.clock.now_ms(), ..Session::default() };
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now_ms = self.clock.now_ms();
            if *self.stop.borrow() && session.drain_until_ms.is_none() {
                session.drain_until_ms = Some(now_ms + DRAIN_MS);
            }
            let due_ms = self.send_due(&mut session, &mut link, outbox, now_ms).await?;
            let drained = session.drain_until_ms.is_some_and(|until_ms| now_ms >= until_ms);
            let finished = session.done || session.drain_until_ms.is_some();
            if drained || (finished && outbox.len() == 0) {
                link.close().await;
                return Ok(());
            }
            if !outbox.awaits_answer() {
                session.answered_ms = now_ms;
            } else if now_ms - session.answered_ms > ANSWER_TIMEOUT_MS {
                return Err(SimulationError::Silent(ANSWER_TIMEOUT_MS as u64 / 1000));
            }
            let wait_ms = (due_ms - now_ms).clamp(1, 1_000) as u64;
            tokio::select! {
                event = link.next(now_ms) => {
                    let event = event?;
                    self.handle(event, link.instance(), &mut session, outbox).await?;
                }
                _ = pings.tick() => link.ping().await?,
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
                _ = self.stop.changed(), if session.drain_until_ms.is_none() => {}
            }
        }
    }

    /// Sends what is due and fits the window; returns when to look again.
    async fn send_due(
        &mut self,
        session: &mut Session,
        link: &mut Link,
        outbox: &mut Outbox,
        now_ms: i64,
    ) -> Result<i64, SimulationError> {
        let mut due_ms = i64::MAX;
        while outbox.len() < WINDOW && !session.done && session.drain_until_ms.is_none() {
            match self.script.next(now_ms) {
                Step::Send(groups) => outbox.push(groups),
                Step::WaitUntil(until_ms) => {
                    due_ms = until_ms;
                    break;
                }
                Step::Done => session.done = true,
            }
        }
        self.totals.count_skipped(self.script.take_skipped());
        if now_ms < session.paused_until_ms {
            return Ok(session.paused_until_ms);
        }
        while let Some(groups) = outbox.to_send(WINDOW) {
            let sequence = link.send(groups, |number| self.script.labels(number)).await?;
            outbox.handle_sent(sequence);
        }
        Ok(due_ms)
    }

    async fn handle(
        &mut self,
        event: AgentEvent,
        instance: &str,
        session: &mut Session,
        outbox: &mut Outbox,
    ) -> Result<(), SimulationError> {
        let now_ms = self.clock.now_ms();
        match event {
            AgentEvent::Acknowledged(sequences) => {
                session.answered_ms = now_ms;
                for groups in outbox.handle_acknowledged(&sequences) {
                    self.report(instance, groups).await;
                }
            }
            AgentEvent::Refused { sequence, reason } => {
                session.answered_ms = now_ms;
                if outbox.handle_refused(sequence, reason).is_some() {
                    tracing::warn!(instance, ?reason, "a batch was refused");
                    self.totals.count_lost();
                } else {
                    session.paused_until_ms = now_ms + REFUSED_PAUSE_MS;
                }
            }
            AgentEvent::Settings { interval_ms, lease_ms } => {
                self.script.boost(interval_ms, now_ms + lease_ms);
            }
            // A simulated host sends what its model says, whatever is set; it has no processes to show, keeps no record of
            // seconds past, and stays what it is.
            AgentEvent::Configuration(_)
            | AgentEvent::ProcessWatch { .. }
            | AgentEvent::Recall { .. }
            | AgentEvent::Release(_) => {}
            AgentEvent::Goodbye { reason, message } => {
                return Err(SimulationError::Ended(format!("{reason:?} {message}")));
            }
            event @ (AgentEvent::Challenged { .. }
            | AgentEvent::Welcomed(_)
            | AgentEvent::Rejected { .. }) => {
                return Err(SimulationError::Ended(format!("{event:?} after the welcome")));
            }
        }
        Ok(())
    }

    async fn report(&self, instance: &str, groups: Vec<Group>) {
        self.totals.count_acknowledged(groups.iter().map(|group| group.samples.len()).sum());
        if let Some(listener) = &self.acknowledged {
            let instance = instance.to_owned();
            // A listener that has gone away is told nothing.
            let _ = listener.send(Acknowledged { instance, groups }).await;
        }
    }

    /// Waits; whether a stop was asked for before the end.
    async fn stopped_within(&mut self, pause: Duration) -> bool {
        let stopped = self.stop.wait_for(|stop| *stop);
        // A closed channel means that whoever could ask for a stop is gone, which is one too.
        tokio::time::timeout(pause, stopped).await.is_ok()
    }
}

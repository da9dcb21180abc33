//! One agent's connection: moves frames between the WebSocket, the session's state machine and the store.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use muster_tsdb::{Appended, TsdbError, WriteBatch};
use muster_wire::{
    Batch, GoodbyeReason, Identity, Limits, RefuseReason, RejectCode, ServerEvent, ServerSession,
    UpdateReport, Welcome,
};
use tokio::sync::mpsc;

use super::admission::{Admission, admit, is_admitted};
use super::admitted::Admitted;
use crate::app::App;
use crate::judging::metric_names::MetricNumber;
use crate::roster::HostFacts;
use crate::secrets::random_bytes;

/// How often an agent sends while somebody looks at its host.
const WATCHED_INTERVAL_MS: i64 = 1_000;
/// How long an agent goes on like that without hearing of it again.
const WATCHED_LEASE_MS: i64 = 30_000;
/// How long an agent goes on sending its processes without hearing of it again.
const PROCESS_LEASE_MS: i64 = 30_000;
/// How often the leases are renewed.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How much of the time before somebody looks is asked for, second by second: what an agent's recorder holds.
const RECALLED_MS: i64 = 600_000;
/// A recall reaches this far beyond the server's present, for agents whose clock is ahead of it.
const CLOCK_MARGIN_MS: i64 = 60_000;
/// The shortest time between two recalls of one agent.
const RECALL_EVERY_MS: i64 = 10_000;
/// Batches of one agent on their way to disk; beyond, the socket is not read until some are durable.
const MAX_UNACKNOWLEDGED: usize = 32;
/// How long an agent that was let in may say nothing at all; it pings every 4 s.
const SILENCE_LIMIT_MS: i64 = 12_000;
/// How long the peer has to take a frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// What the store said of a batch.
struct Stored {
    sequence: u64,
    newest_ms: i64,
    samples: u64,
    result: Result<Appended, TsdbError>,
    /// The metrics of an urgent batch: the rules that read them are not to wait.
    urgent: Vec<MetricNumber>,
}

/// What can happen to a session.
enum Event {
    Frame(Option<Result<Message, axum::Error>>),
    Stored(Stored),
    Viewers,
    ProcessViewers,
    Central,
    Recall,
    Renew,
    End(GoodbyeReason),
    Deadline,
}

/// Serves one agent until either side ends.
pub(crate) async fn serve(socket: WebSocket, app: Arc<App>, address: SocketAddr) {
    let (stored_sender, stored) = mpsc::channel(MAX_UNACKNOWLEDGED);
    let mut session = Session {
        // The state machine's deadlines run on the clock that never jumps.
        wire: ServerSession::new(Limits::default(), random_bytes(), app.clock.monotonic_ms()),
        admitted: None,
        unacknowledged: 0,
        heard_ms: app.clock.monotonic_ms(),
        stored_sender,
        address,
        app,
    };
    session.run(socket, stored).await;
    if let Some(admitted) = session.admitted {
        let now_ms = session.app.clock.now_ms();
        tracing::info!(instance = &*admitted.hold.entry.instance, "agent disconnected");
        admitted.hold.release(now_ms);
        session.app.presence_changed.notify_one();
        if let Err(error) = session.app.meta.touch_agent(&admitted.agent_id, now_ms).await {
            tracing::warn!(%error, "cannot note when the agent was last seen");
        }
    }
}

struct Session {
    wire: ServerSession,
    admitted: Option<Admitted>,
    unacknowledged: usize,
    /// When anything came last, pings included, on the clock that never jumps.
    heard_ms: i64,
    stored_sender: mpsc::Sender<Stored>,
    address: SocketAddr,
    app: Arc<App>,
}

impl Session {
    async fn run(&mut self, mut socket: WebSocket, mut stored: mpsc::Receiver<Stored>) {
        let mut renew = tokio::time::interval(RENEW_EVERY);
        let mut stop = self.app.stop.clone();
        loop {
            while let Some(frame) = self.wire.poll_transmit() {
                let sent = socket.send(Message::Binary(frame.into()));
                if !matches!(tokio::time::timeout(SEND_TIMEOUT, sent).await, Ok(Ok(()))) {
                    return;
                }
            }
            self.note_arrival().await;
            if self.wire.is_closed() {
                let _ = tokio::time::timeout(SEND_TIMEOUT, socket.send(Message::Close(None))).await;
                return;
            }
            let event = {
                let reading = self.unacknowledged < MAX_UNACKNOWLEDGED;
                let deadline = until(self.next_deadline(), self.app.clock.monotonic_ms());
                let admitted = &mut self.admitted;
                tokio::select! {
                    // In this order, so that a busy agent can hold up neither the server's end nor its own
                    // acknowledgements, and what has arrived is read before the agent counts as silent.
                    biased;
                    _ = stop.wait_for(|&stop| stop) => Event::End(GoodbyeReason::Shutdown),
                    event = told(admitted) => event,
                    Some(done) = stored.recv() => Event::Stored(done),
                    _ = renew.tick() => Event::Renew,
                    frame = socket.recv(), if reading => Event::Frame(frame),
                    () = tokio::time::sleep(deadline) => Event::Deadline,
                }
            };
            if self.handle(event).await.is_break() {
                return;
            }
        }
    }

    fn silence_deadline(&self) -> i64 {
        self.heard_ms + SILENCE_LIMIT_MS
    }

    /// Whether an agent was let in and its socket is read: else nobody can be heard.
    fn is_listening(&self) -> bool {
        self.admitted.is_some() && self.unacknowledged < MAX_UNACKNOWLEDGED
    }

    fn next_deadline(&self) -> Option<i64> {
        let silence = self.is_listening().then(|| self.silence_deadline());
        self.wire.next_deadline().into_iter().chain(silence).min()
    }

    async fn handle(&mut self, event: Event) -> ControlFlow<()> {
        let now_ms = self.app.clock.monotonic_ms();
        if matches!(event, Event::Frame(_)) {
            self.heard_ms = now_ms;
            if let Some(admitted) = &self.admitted {
                admitted.hold.entry.heard(now_ms);
            }
        }
        match event {
            Event::Frame(Some(Ok(Message::Binary(frame)))) => self.frame(&frame, now_ms).await,
            Event::Frame(Some(Ok(Message::Text(_)))) => {
                tracing::warn!(address = %self.address, "an agent sent text, not a frame; closed");
                self.app.counters.bad_frames.add(1);
                return ControlFlow::Break(());
            }
            // A ping shows only that the agent's end of the socket lives; the agent itself must speak.
            Event::Frame(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Event::Frame(Some(Ok(Message::Close(_)) | Err(_)) | None) => {
                return ControlFlow::Break(());
            }
            Event::Stored(stored) => self.stored(&stored),
            Event::Viewers => self.settings(true),
            Event::ProcessViewers => self.watch_processes(true),
            Event::Central => self.configure(),
            Event::Recall => self.recall(now_ms),
            Event::Renew => {
                self.settings(false);
                self.watch_processes(false);
                self.recall(now_ms);
                self.offer();
            }
            Event::End(reason) => {
                self.wire.goodbye(reason);
            }
            Event::Deadline if self.is_listening() && self.silence_deadline() <= now_ms => {
                tracing::warn!(address = %self.address, "an agent has said nothing for 12 s; its connection is given up");
                return ControlFlow::Break(());
            }
            Event::Deadline => {
                if let Err(error) = self.wire.handle_timeout(now_ms) {
                    tracing::info!(address = %self.address, %error, "agent session given up");
                }
            }
        }
        ControlFlow::Continue(())
    }

    async fn frame(&mut self, frame: &[u8], now_ms: i64) {
        match self.wire.handle_frame(frame, now_ms) {
            Ok(None) => {}
            Ok(Some(ServerEvent::Identified(identity))) => self.identified(*identity).await,
            Ok(Some(ServerEvent::Series(definitions))) => {
                if let Some(admitted) = &mut self.admitted {
                    admitted.define(definitions);
                }
            }
            Ok(Some(ServerEvent::Batch(batch))) => self.batch(batch),
            Ok(Some(ServerEvent::UpdateReport(report))) => self.update_report(report),
            Ok(Some(ServerEvent::Processes(table))) => {
                if let Some(admitted) = &self.admitted {
                    admitted.hold.entry.processes_arrived(table);
                }
            }
            Ok(Some(ServerEvent::Goodbye(reason))) => {
                tracing::debug!(address = %self.address, ?reason, "agent says goodbye");
                if let Some(admitted) = &self.admitted {
                    admitted.hold.entry.said_goodbye(now_ms);
                }
            }
            Err(error) => {
                // The state machine has queued what tells the agent, and closes.
                self.app.counters.bad_frames.add(1);
                let instance = self.admitted.as_ref().map(|a| &*a.hold.entry.instance);
                tracing::warn!(address = %self.address, instance, %error, "agent session ended by a bad frame");
            }
        }
    }

    async fn identified(&mut self, identity: Identity) {
        let now_ms = self.app.clock.now_ms();
        let (agent_id, instance, groups) =
            match admit(&self.app.meta, &identity, &self.address, now_ms).await {
                Admission::Admitted { agent_id, instance, groups } => (agent_id, instance, groups),
                Admission::Rejected(code, message) => {
                    return self.send_away(&identity.instance, code, &message);
                }
            };
        let facts = HostFacts {
            agent_version: identity.agent_version,
            os: identity.os,
            boot_id: identity.boot_id,
        };
        let Ok(hold) = self.app.roster.hold(&instance, facts, now_ms) else {
            let message = "another machine is connected with the same key: its state folder was copied; \
                           remove the copy here and join again with a new token";
            return self.send_away(&instance, RejectCode::Busy, message);
        };
        // Who was revoked between the first look and the hold would stay otherwise.
        if !is_admitted(&self.app.meta, &identity.public_key).await {
            hold.release(now_ms);
            return self.send_away(&instance, RejectCode::Revoked, "this agent was revoked");
        }
        let session = hold.session;
        tracing::info!(address = %self.address, instance, session, "agent connected");
        self.wire.accept(Welcome { session, server_time_ms: now_ms, instance, interval_ms: 0 });
        hold.entry.heard(self.app.clock.monotonic_ms());
        self.admitted = Some(Admitted::new(&self.app, hold, agent_id, groups));
        self.app.presence_changed.notify_one();
        self.configure();
        self.settings(false);
        self.watch_processes(false);
        self.offer();
    }

    /// Tells the agent of a release that it does not have and was not told of in this session.
    fn offer(&mut self) {
        let Some(admitted) = &mut self.admitted else { return };
        if let Some(offer) = admitted.next_offer(&self.app) {
            self.wire.offer(&offer);
        }
    }

    fn update_report(&mut self, report: UpdateReport) {
        let Some(admitted) = &self.admitted else { return };
        let UpdateReport { version, outcome, message } = &report;
        let instance = &*admitted.hold.entry.instance;
        tracing::info!(instance, version, ?outcome, message, "an agent reports of an update");
        admitted.hold.entry.set_update(report);
    }

    fn send_away(&mut self, asked_for: &str, code: RejectCode, message: &str) {
        self.app.counters.rejected_agents.add(1);
        tracing::warn!(address = %self.address, asked_for, ?code, message, "agent sent away");
        self.wire.reject(code, message);
    }

    /// Notes that the agent was here, after its welcome has left, as the database may be slow.
    async fn note_arrival(&mut self) {
        let Some(admitted) = self.admitted.as_mut().filter(|admitted| !admitted.noted) else {
            return;
        };
        admitted.noted = true;
        let now_ms = self.app.clock.now_ms();
        let facts = admitted.hold.entry.presence().facts;
        let version = facts.map_or_else(String::new, |facts| facts.agent_version);
        let meta = &self.app.meta;
        if let Err(error) = meta.note_agent(&admitted.agent_id, &version, now_ms).await {
            tracing::warn!(%error, "cannot note when the agent was last seen");
        }
    }

    fn batch(&mut self, batch: Batch) {
        let Some(admitted) = &mut self.admitted else { return };
        let now_ms = self.app.clock.monotonic_ms();
        let samples = batch.groups.iter().map(|group| group.samples.len()).sum();
        let mut urgent = Vec::new();
        let mut stored = WriteBatch { samples: Vec::with_capacity(samples) };
        let newest_ms = batch.groups.iter().map(|group| group.timestamp_ms).max().unwrap_or(0);
        for group in batch.groups {
            let samples = group.samples.into_iter().filter_map(|(number, value)| {
                let (id, metric) = admitted.resolve(number, &self.app, now_ms)?;
                if batch.urgent {
                    urgent.push(metric);
                }
                Some((id, value))
            });
            stored.push_scrape(group.timestamp_ms, samples);
        }
        urgent.sort_unstable();
        urgent.dedup();
        let samples = stored.samples.len() as u64;
        let (sender, sequence) = (self.stored_sender.clone(), batch.sequence);
        self.unacknowledged += 1;
        self.app.store.append(
            stored,
            Box::new(move |result| {
                // The channel has room for every batch that may be under way; a closed one means that the session is over.
                let _ = sender.try_send(Stored { sequence, newest_ms, samples, result, urgent });
            }),
        );
    }

    fn stored(&mut self, stored: &Stored) {
        if self.unacknowledged == MAX_UNACKNOWLEDGED {
            self.heard_ms = self.app.clock.monotonic_ms();
        }
        self.unacknowledged -= 1;
        let Some(admitted) = &self.admitted else {
            return;
        };
        let instance = &*admitted.hold.entry.instance;
        let now_ms = self.app.clock.monotonic_ms();
        // While the store is slow the socket is not read, which is no silence of the host.
        admitted.hold.entry.heard(now_ms);
        match &stored.result {
            Ok(appended) => {
                let refused = appended.refused.total();
                self.app.counters.samples.add(stored.samples - refused.min(stored.samples));
                if refused > 0 {
                    self.app.refusals.note(instance, appended, now_ms);
                }
                if refused < stored.samples || stored.samples == 0 {
                    admitted.hold.entry.arrived(stored.newest_ms);
                }
                if !stored.urgent.is_empty() {
                    let judging = &self.app.judging;
                    let names = judging.names.names(&stored.urgent);
                    let metrics = names.iter().map(|name| &**name);
                    judging.nudge(metrics, stored.newest_ms, self.app.clock.now_ms());
                }
            }
            Err(error) => self.app.refusals.failed(instance, error, now_ms),
        }
        match answer(stored.samples, &stored.result) {
            Answer::Acknowledge => self.wire.acknowledge(stored.sequence),
            Answer::Refuse(reason) => self.wire.refuse(stored.sequence, reason),
            Answer::NameAnew => {
                tracing::info!(
                    instance,
                    "an agent wrote to series that were idle for long; it connects again and names them anew"
                );
                self.wire.goodbye(GoodbyeReason::Idle);
            }
        }
    }

    /// Tells the agent how often to send. `changed` is false for renewals, which nobody needs while nobody looks.
    fn settings(&mut self, changed: bool) {
        let Some(admitted) = &mut self.admitted else {
            return;
        };
        let watched = *admitted.viewers.borrow_and_update() > 0;
        if watched {
            self.wire.settings(WATCHED_INTERVAL_MS, WATCHED_LEASE_MS);
        } else if changed {
            self.wire.settings(0, 0);
        }
        if watched && !admitted.watched {
            let now_ms = self.app.clock.now_ms();
            admitted.hold.entry.recall(now_ms - RECALLED_MS, now_ms + CLOCK_MARGIN_MS);
        }
        admitted.watched = watched;
    }

    /// Passes on what the agent is asked for of its recorder. Asked too soon after the last time, it waits for the next
    /// renewal.
    fn recall(&mut self, now_ms: i64) {
        let Some(admitted) = &mut self.admitted else {
            return;
        };
        let rests = |asked_ms| now_ms - asked_ms < RECALL_EVERY_MS;
        if admitted.recalled_ms.is_some_and(rests) {
            return;
        }
        if let Some(range) = admitted.hold.entry.take_recall() {
            self.wire.recall(range.from_ms, range.to_ms);
            admitted.recalled_ms = Some(now_ms);
        }
    }

    /// Gives the agent its settings, where it does not have them.
    fn configure(&mut self) {
        if let Some(configuration) = self.admitted.as_mut().and_then(Admitted::settings_to_give) {
            self.wire.configure(configuration);
        }
    }

    /// Tells the agent whether somebody looks at its processes. `changed` is false for renewals, which nobody needs while
    /// nobody looks.
    fn watch_processes(&mut self, changed: bool) {
        let Some(admitted) = &mut self.admitted else {
            return;
        };
        let watched = *admitted.process_viewers.borrow_and_update() > 0;
        if watched {
            self.wire.watch_processes(PROCESS_LEASE_MS);
        } else if changed {
            self.wire.watch_processes(0);
        }
    }
}

/// What an agent is told of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Acknowledge,
    Refuse(RefuseReason),
    /// Nothing; the session ends. The store has forgotten series that this session named, so the agent has to name them again,
    /// and then sends what was not acknowledged once more. What of it was stored is dropped as a duplicate.
    NameAnew,
}

fn answer(samples: u64, result: &Result<Appended, TsdbError>) -> Answer {
    match result {
        Ok(appended) if appended.refused.unknown_series > 0 => Answer::NameAnew,
        // Nothing of it is stored, and one of the clocks may be set right: the agent keeps it.
        Ok(appended) if appended.refused.too_new > 0 && appended.refused.too_new == samples => {
            Answer::Refuse(RefuseReason::ClockAhead)
        }
        Ok(_) => Answer::Acknowledge,
        Err(TsdbError::DiskFull { .. }) => Answer::Refuse(RefuseReason::DiskFull),
        Err(TsdbError::Busy) => Answer::Refuse(RefuseReason::Overloaded),
        Err(_) => Answer::Refuse(RefuseReason::Other),
    }
}

/// What the rest of the server tells a session: somebody looks at the host or its processes, settings changed, or the session
/// has to end.
async fn told(admitted: &mut Option<Admitted>) -> Event {
    let Some(admitted) = admitted else {
        return std::future::pending().await;
    };
    let end = &mut admitted.hold.end;
    let ended = async { end.wait_for(Option::is_some).await.ok().and_then(|reason| *reason) };
    tokio::select! {
        Ok(()) = admitted.viewers.changed() => Event::Viewers,
        Ok(()) = admitted.process_viewers.changed() => Event::ProcessViewers,
        Ok(()) = admitted.central.changed() => Event::Central,
        Ok(()) = admitted.recalls.changed() => Event::Recall,
        Some(reason) = ended => Event::End(reason),
        else => std::future::pending().await,
    }
}

fn until(deadline_ms: Option<i64>, now_ms: i64) -> Duration {
    let ms = deadline_ms.map_or(3_600_000, |deadline| deadline.saturating_sub(now_ms).max(0));
    Duration::from_millis(ms.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_tsdb::Refused;

    #[track_caller]
    fn check(refused: Refused, expected: &Answer) {
        let appended = Appended { samples: 5 - refused.total(), refused, ..Appended::default() };
        assert_eq!(answer(5, &Ok(appended)), *expected);
    }

    #[test]
    fn a_batch_is_acknowledged_only_if_nothing_of_it_is_worth_another_try() {
        let refused = Refused::default();
        check(refused, &Answer::Acknowledge);
        check(Refused { too_old: 5, ..refused }, &Answer::Acknowledge);
        check(Refused { too_new: 4, ..refused }, &Answer::Acknowledge);
        check(Refused { too_new: 5, ..refused }, &Answer::Refuse(RefuseReason::ClockAhead));
        check(Refused { unknown_series: 1, ..refused }, &Answer::NameAnew);
        check(Refused { unknown_series: 1, too_new: 4, ..refused }, &Answer::NameAnew);
        assert_eq!(answer(5, &Err(TsdbError::Busy)), Answer::Refuse(RefuseReason::Overloaded));
        assert_eq!(answer(5, &Err(TsdbError::Closed)), Answer::Refuse(RefuseReason::Other));
    }
}

//! The conversation with the server, without I/O: what is sent in which order, what an answer means.
//!
//! It holds the batches and, while there is one, the session. Times are milliseconds: `wall_ms` since
//! 1970-01-01 UTC, `now_ms` of a monotonic clock.

use std::collections::HashSet;

use muster_collectors::Change;
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, Configuration, GoodbyeReason, Group, Offer, ProcessTable,
    RefuseReason, RejectCode, UpdateReport, WireError,
};

use crate::key::AgentKey;
use crate::queue::{Queue, QueuedBatch, Taken};
use crate::series_table::SeriesTable;
use crate::spool::{SEGMENT_MEMORY_BYTES, Segment, Spill};

/// How long a batch is in memory only: what an agent that is killed, or whose host loses power, may lose.
pub(crate) const SAVE_AFTER_MS: i64 = 10_000;
/// Series that may be known beyond those in use before they are looked through.
const IDLE_SERIES: usize = 2_000;

/// What the server said that concerns more than the batches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Notice {
    /// The agent is let in.
    Welcomed { instance: String, interval_ms: i64 },
    /// The agent is sent away; the session is over.
    Rejected { code: RejectCode, message: String },
    /// Another interval for a while.
    Settings { interval_ms: i64, lease_ms: i64 },
    /// The samples of a time that were not sent, both ends included.
    Recall { from_ms: i64, to_ms: i64 },
    /// Settings to apply and to keep.
    Configuration(Box<Configuration>),
    /// Somebody looks at the processes for so long.
    ProcessWatch { lease_ms: i64 },
    /// The server has a release.
    Release(Box<Offer>),
    /// The server ends the session.
    Goodbye { reason: GoodbyeReason, message: String },
}

/// Batches, and the session over which they go.
pub(crate) struct Exchange {
    key: AgentKey,
    table: SeriesTable,
    queue: Queue,
    session: Option<AgentSession>,
    memory_limit: usize,
    /// After the spool has failed: when it is tried again.
    spool_retry_ms: i64,
    proof_sent_ms: i64,
    offset_ms: Option<i64>,
    sessions: u64,
    acknowledged: u64,
    dropped: u64,
    dropped_samples: u64,
}

impl Exchange {
    /// Nothing to send and no session.
    pub(crate) fn new(key: AgentKey, memory_limit: usize) -> Self {
        Self {
            key,
            table: SeriesTable::default(),
            queue: Queue::default(),
            session: None,
            memory_limit,
            spool_retry_ms: i64::MIN,
            proof_sent_ms: 0,
            offset_ms: None,
            sessions: 0,
            acknowledged: 0,
            dropped: 0,
            dropped_samples: 0,
        }
    }

    /// The numbers of series that batches use.
    pub(crate) fn table(&mut self) -> &mut SeriesTable {
        &mut self.table
    }

    /// A batch just collected.
    pub(crate) fn push(&mut self, group: Group, now_ms: i64) {
        let groups = vec![group];
        self.queue.push(QueuedBatch { urgent: false, groups, segment: None, since_ms: now_ms });
    }

    /// What has changed between the ticks: a batch that overtakes the others.
    pub(crate) fn push_urgent(&mut self, changes: Vec<Change>, now_ms: i64) {
        let groups = changes.into_iter().map(|Change { timestamp_ms, samples }| {
            let numbered = |(labels, value)| (self.table.number_of(labels), value);
            Group { timestamp_ms, samples: samples.into_iter().map(numbered).collect() }
        });
        let groups = groups.collect();
        self.queue.push(QueuedBatch { urgent: true, groups, segment: None, since_ms: now_ms });
    }

    /// A connection was opened: begins a session. The hello's public key is filled in here.
    pub(crate) fn connected(&mut self, hello: AgentHello, now_ms: i64) {
        let hello = AgentHello { public_key: self.key.public_key(), ..hello };
        self.session = Some(AgentSession::new(hello, now_ms));
    }

    /// Sends a table of processes, if there is a session.
    pub(crate) fn send_processes(&mut self, table: ProcessTable) {
        if let Some(session) = &mut self.session {
            session.send_processes(table);
        }
    }

    /// The connection is gone. What was not acknowledged will be sent again.
    pub(crate) fn disconnected(&mut self) {
        self.session = None;
        self.queue.connection_lost();
    }

    /// Tells the server what became of a release, if there is a session.
    pub(crate) fn report_update(&mut self, report: &UpdateReport) {
        if let Some(session) = &mut self.session {
            session.report_update(report);
        }
    }

    /// Says goodbye; what [`Exchange::poll_transmit`] still has should be sent.
    pub(crate) fn goodbye(&mut self) {
        if let Some(session) = &mut self.session {
            session.goodbye(GoodbyeReason::Shutdown);
        }
    }

    /// Takes one frame of the server. After an error, or a notice that ends the session, the
    /// connection is to be closed.
    pub(crate) fn handle_frame(
        &mut self,
        frame: &[u8],
        wall_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Notice>, WireError> {
        let session = self.session.as_mut().ok_or(WireError::Closed)?;
        let Some(event) = session.handle_frame(frame, now_ms)? else {
            return Ok(None);
        };
        Ok(match event {
            AgentEvent::Challenged { message } => {
                session.prove(self.key.sign(&message))?;
                self.proof_sent_ms = now_ms;
                None
            }
            AgentEvent::Welcomed(welcome) => {
                // The server looked at its clock between the proof and now: half of that on average.
                let travel_ms = (now_ms - self.proof_sent_ms) / 2;
                self.offset_ms = Some(welcome.server_time_ms.saturating_add(travel_ms) - wall_ms);
                self.sessions += 1;
                let (instance, interval_ms) = (welcome.instance, welcome.interval_ms);
                Some(Notice::Welcomed { instance, interval_ms })
            }
            AgentEvent::Rejected { code, message } => Some(Notice::Rejected { code, message }),
            AgentEvent::Acknowledged(sequences) => {
                for sequence in sequences {
                    self.acknowledged += u64::from(self.queue.settle(sequence));
                }
                None
            }
            AgentEvent::Refused { sequence, reason } => {
                if reason == RefuseReason::ClockAhead {
                    self.queue.set_aside(sequence, now_ms);
                } else if reason.is_temporary() {
                    self.queue.postpone(sequence, now_ms);
                } else if self.queue.settle(sequence) {
                    self.dropped += 1;
                    tracing::warn!(?reason, "the server refuses a batch for good; it is dropped");
                }
                None
            }
            AgentEvent::Settings { interval_ms, lease_ms } => {
                Some(Notice::Settings { interval_ms, lease_ms })
            }
            AgentEvent::Recall { from_ms, to_ms } => Some(Notice::Recall { from_ms, to_ms }),
            AgentEvent::Configuration(Ok(configuration)) => {
                Some(Notice::Configuration(configuration))
            }
            AgentEvent::Configuration(Err(error)) => {
                tracing::warn!(%error, "settings of the server cannot be taken; those from before hold");
                None
            }
            AgentEvent::ProcessWatch { lease_ms } => Some(Notice::ProcessWatch { lease_ms }),
            AgentEvent::Release(offer) => Some(Notice::Release(offer)),
            AgentEvent::Goodbye { reason, message } => Some(Notice::Goodbye { reason, message }),
        })
    }

    /// The next frame to send.
    pub(crate) fn poll_transmit(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        let session = self.session.as_mut()?;
        loop {
            if let Some(frame) = session.poll_transmit() {
                return Some(frame);
            }
            if !session.is_active() {
                return None;
            }
            let (batch, backlog) = self.queue.next(now_ms)?;
            let labels_of = |number| self.table.labels_of(number);
            match session.send_batch(batch.urgent, &batch.groups, labels_of) {
                Ok(sent) => {
                    self.dropped_samples += sent.dropped as u64;
                    self.queue.sent(sent.sequence, batch, backlog);
                }
                Err(error) => {
                    tracing::warn!(%error, "a batch cannot be sent; it is dropped");
                    self.queue.forget(&batch);
                    self.dropped += 1;
                }
            }
        }
    }

    /// When to call [`Exchange::handle_timeout`] and [`Exchange::poll_transmit`] again, at the latest.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        let of_session = self.session.as_ref().and_then(|session| {
            if session.is_active() { self.queue.next_deadline() } else { session.next_deadline() }
        });
        of_session.into_iter().chain(self.spool_deadline()).min()
    }

    /// When the oldest batch in memory is to go to the spool.
    fn spool_deadline(&self) -> Option<i64> {
        let oldest_ms = self.queue.oldest_unsaved_ms()?;
        Some((oldest_ms + SAVE_AFTER_MS).max(self.spool_retry_ms))
    }

    /// Whether the server has let the handshake's time pass: an error, and the connection is to be closed.
    pub(crate) fn handle_timeout(&mut self, now_ms: i64) -> Result<(), WireError> {
        self.session.as_mut().map_or(Ok(()), |session| session.handle_timeout(now_ms))
    }

    /// What has to go to the spool, if anything: because it waits for long, or because memory is full.
    /// If it cannot be written, tell so by [`Exchange::spool_failed`].
    pub(crate) fn poll_spool(&mut self, now_ms: i64) -> Option<Spill> {
        let due = self.spool_deadline().is_some_and(|at_ms| at_ms <= now_ms);
        if !due && self.queue.memory_bytes() <= self.memory_limit {
            return None;
        }
        self.take_for_spool()
    }

    /// All that would be lost if the process ended now, part by part.
    pub(crate) fn take_for_spool(&mut self) -> Option<Spill> {
        let bytes = SEGMENT_MEMORY_BYTES.min(self.memory_limit);
        let taken = self.queue.take_for_spool(bytes);
        taken.batches().next()?;
        Some(Spill::of(taken, |number| self.table.labels_of(number)))
    }

    /// The spool could not be written: its batches stay in memory as far as there is room, and it is
    /// tried again later. Tells how many were lost.
    pub(crate) fn spool_failed(&mut self, taken: Taken, now_ms: i64) -> u64 {
        self.spool_retry_ms = now_ms + SAVE_AFTER_MS;
        self.queue.restore(taken);
        let excess = self.queue.memory_bytes().saturating_sub(self.memory_limit);
        if excess == 0 {
            return 0;
        }
        self.queue.drop_oldest(excess)
    }

    /// Groups of the recorder that the server has asked for.
    pub(crate) fn push_recalled(&mut self, groups: Vec<Group>, now_ms: i64) {
        let batch = QueuedBatch { urgent: false, groups, segment: None, since_ms: now_ms };
        self.queue.push_backlog(batch);
    }

    /// Whether a spool file, or more of what the recorder was asked for, should be read now.
    pub(crate) fn wants_segment(&self, now_ms: i64) -> bool {
        let active = self.session.as_ref().is_some_and(AgentSession::is_active);
        active
            && self.queue.wants_segment(now_ms)
            && self.queue.memory_bytes() < self.memory_limit / 2
    }

    /// Whether a spool file was read and is not delivered yet.
    pub(crate) fn has_segment(&self, number: u64) -> bool {
        self.queue.has_segment(number)
    }

    /// The content of a spool file.
    pub(crate) fn push_segment(&mut self, number: u64, segment: Segment, now_ms: i64) {
        self.dropped += segment.damaged;
        let numbers: Vec<u32> =
            segment.series.into_iter().map(|labels| self.table.number_of(labels)).collect();
        let batches = segment.batches.into_iter().map(|mut groups| {
            for sample in groups.iter_mut().flat_map(|group| &mut group.samples) {
                sample.0 = numbers[sample.0 as usize];
            }
            QueuedBatch { urgent: false, groups, segment: Some(number), since_ms: now_ms }
        });
        self.queue.push_segment(number, batches.collect());
    }

    /// Spool files that are delivered and can be removed.
    pub(crate) fn take_finished_segments(&mut self) -> Vec<u64> {
        self.queue.take_finished_segments()
    }

    /// Batches that were lost elsewhere.
    pub(crate) fn count_dropped(&mut self, batches: u64) {
        self.dropped += batches;
    }

    /// Forgets series that neither a batch nor the source uses, once there are many beside the `count` in use.
    pub(crate) fn forget_idle_series(&mut self, count: usize, in_use: impl Iterator<Item = u32>) {
        if self.table.len() <= 2 * count + IDLE_SERIES {
            return;
        }
        let mut used: HashSet<u32> = in_use.collect();
        for group in self.queue.batches().flat_map(|batch| &batch.groups) {
            used.extend(group.samples.iter().map(|sample| sample.0));
        }
        self.table.retain(&used);
    }

    /// How many batches wait or are on their way.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Batches acknowledged, batches dropped, samples dropped, sessions opened.
    pub(crate) fn counts(&self) -> (u64, u64, u64, u64) {
        (self.acknowledged, self.dropped, self.dropped_samples, self.sessions)
    }

    /// How far this host's clock is behind the server's, in milliseconds, as seen at the last welcome.
    pub(crate) fn clock_offset_ms(&self) -> Option<i64> {
        self.offset_ms
    }
}

#[cfg(test)]
mod tests;

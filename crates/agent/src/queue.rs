//! Which batch is sent next, and what becomes of it: pure.
//!
//! A batch is here until the server has it on disk. New batches go first; what waits from before (the
//! backlog) follows in their gaps, a few at a time, so that a host that returns after a day is seen
//! live at once. What the server has not taken for some seconds, and what memory cannot hold, goes to the spool.

use std::collections::{BTreeMap, HashMap, VecDeque};

use muster_wire::Group;

/// Batches on their way at the same time.
const WINDOW: usize = 8;
/// How many of those may be backlog.
const BACKLOG_WINDOW: usize = 4;
/// Milliseconds from one batch of the backlog to the next: fifty a second.
const BACKLOG_GAP_MS: i64 = 20;
/// How long to hold back after the server could not take a batch for now.
const REFUSED_PAUSE_MS: i64 = 10_000;
/// How long the backlog rests after its batch was too new for the server's clock.
const CLOCK_PAUSE_MS: i64 = 30_000;

/// A batch that the server does not have yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueuedBatch {
    pub(crate) urgent: bool,
    /// Samples by the numbers of the agent's series table.
    pub(crate) groups: Vec<Group>,
    /// The spool file that holds it too.
    pub(crate) segment: Option<u64>,
    /// When it was collected, by the monotonic clock.
    pub(crate) since_ms: i64,
}

impl QueuedBatch {
    /// About how many bytes of memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let of_group = |group: &Group| size_of::<Group>() + group.samples.len() * 16;
        size_of::<Self>() + self.groups.iter().map(of_group).sum::<usize>()
    }
}

#[derive(Debug)]
struct InFlight {
    batch: QueuedBatch,
    backlog: bool,
    /// A copy is in the spool, so it need not be sent again from here.
    saved: bool,
}

/// What is taken for the spool.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Taken {
    /// Batches that are in memory no more.
    pub(crate) moved: Vec<QueuedBatch>,
    /// Copies of batches that are on their way, by their sequence.
    pub(crate) copied: Vec<(u64, QueuedBatch)>,
}

impl Taken {
    /// All of them.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &QueuedBatch> {
        let copied = self.copied.iter().map(|(_, batch)| batch);
        self.moved.iter().chain(copied)
    }
}

/// All batches in memory.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    live: VecDeque<QueuedBatch>,
    backlog: VecDeque<QueuedBatch>,
    in_flight: BTreeMap<u64, InFlight>,
    memory_bytes: usize,
    /// Of each spool file that was read: how many of its batches the server does not have yet.
    segments: HashMap<u64, usize>,
    finished_segments: Vec<u64>,
    next_backlog_ms: i64,
    paused_until_ms: i64,
    backlog_paused_until_ms: i64,
}

impl Queue {
    /// A batch just collected. Urgent ones overtake the others.
    pub(crate) fn push(&mut self, batch: QueuedBatch) {
        self.memory_bytes += batch.memory_bytes();
        let at = if batch.urgent {
            self.live.iter().take_while(|other| other.urgent).count()
        } else {
            self.live.len()
        };
        self.live.insert(at, batch);
    }

    /// The batches of a spool file, to be sent as backlog; the file can go once all are delivered.
    pub(crate) fn push_segment(&mut self, segment: u64, batches: Vec<QueuedBatch>) {
        if batches.is_empty() {
            self.finished_segments.push(segment);
            return;
        }
        self.segments.insert(segment, batches.len());
        for batch in batches {
            self.memory_bytes += batch.memory_bytes();
            self.backlog.push_back(batch);
        }
    }

    /// A batch from before, to be sent in the gaps of the live ones.
    pub(crate) fn push_backlog(&mut self, batch: QueuedBatch) {
        self.memory_bytes += batch.memory_bytes();
        self.backlog.push_back(batch);
    }

    /// The batch to send now, if one may go. Tell its sequence by [`Queue::sent`].
    pub(crate) fn next(&mut self, now_ms: i64) -> Option<(QueuedBatch, bool)> {
        if self.in_flight.len() >= WINDOW || now_ms < self.paused_until_ms {
            return None;
        }
        if let Some(batch) = self.live.pop_front() {
            return Some((batch, false));
        }
        if now_ms < self.next_backlog_ms.max(self.backlog_paused_until_ms)
            || self.backlog_in_flight() >= BACKLOG_WINDOW
        {
            return None;
        }
        let batch = self.backlog.pop_front()?;
        self.next_backlog_ms = now_ms + BACKLOG_GAP_MS;
        Some((batch, true))
    }

    /// When [`Queue::next`] may have something that it does not have now, if nothing else happens.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        if self.in_flight.len() >= WINDOW {
            return None;
        }
        if !self.live.is_empty() {
            return Some(self.paused_until_ms);
        }
        let waiting = !self.backlog.is_empty() && self.backlog_in_flight() < BACKLOG_WINDOW;
        let paused_until_ms = self.paused_until_ms.max(self.backlog_paused_until_ms);
        waiting.then_some(self.next_backlog_ms.max(paused_until_ms))
    }

    fn backlog_in_flight(&self) -> usize {
        self.in_flight.values().filter(|sent| sent.backlog).count()
    }

    /// A batch from [`Queue::next`] was sent under this number.
    pub(crate) fn sent(&mut self, sequence: u64, batch: QueuedBatch, backlog: bool) {
        let saved = false;
        self.in_flight.insert(sequence, InFlight { batch, backlog, saved });
    }

    /// The server has a batch for good, or will never take it. Whether it was on its way.
    pub(crate) fn settle(&mut self, sequence: u64) -> bool {
        let Some(sent) = self.in_flight.remove(&sequence) else {
            return false;
        };
        self.forget(&sent.batch);
        true
    }

    /// A batch from [`Queue::next`] that can never be sent, or one that found no room.
    pub(crate) fn forget(&mut self, batch: &QueuedBatch) {
        self.memory_bytes -= batch.memory_bytes();
        if let Some(segment) = batch.segment
            && let Some(left) = self.segments.get_mut(&segment)
        {
            *left -= 1;
            if *left == 0 {
                self.segments.remove(&segment);
                self.finished_segments.push(segment);
            }
        }
    }

    /// The server cannot take a batch now: it waits, and all others with it.
    pub(crate) fn postpone(&mut self, sequence: u64, now_ms: i64) {
        if let Some(sent) = self.in_flight.remove(&sequence) {
            self.paused_until_ms = now_ms + REFUSED_PAUSE_MS;
            self.put_back(sent);
        }
    }

    /// A batch is too new for the server's clock: it waits. Live batches are still tried; the backlog
    /// rests a while, since what follows in it is newer.
    pub(crate) fn set_aside(&mut self, sequence: u64, now_ms: i64) {
        if let Some(sent) = self.in_flight.remove(&sequence) {
            if sent.backlog {
                self.backlog_paused_until_ms = now_ms + CLOCK_PAUSE_MS;
            }
            self.put_back(sent);
        }
    }

    /// A batch that was on its way is backlog now, or only in the spool if it has been saved there.
    fn put_back(&mut self, sent: InFlight) {
        if sent.saved {
            self.memory_bytes -= sent.batch.memory_bytes();
            return;
        }
        let key = backlog_order(&sent.batch);
        let at = self.backlog.partition_point(|other| backlog_order(other) < key);
        self.backlog.insert(at, sent.batch);
    }

    /// The connection is lost: all that is not delivered is backlog now, oldest first.
    pub(crate) fn connection_lost(&mut self) {
        for sent in std::mem::take(&mut self.in_flight).into_values() {
            self.put_back(sent);
        }
        self.backlog.append(&mut self.live);
        self.sort_backlog();
        self.paused_until_ms = 0;
        self.backlog_paused_until_ms = 0;
    }

    fn sort_backlog(&mut self) {
        self.backlog.make_contiguous().sort_by_key(backlog_order);
    }

    /// Since when the oldest batch waits that is in memory only.
    pub(crate) fn oldest_unsaved_ms(&self) -> Option<i64> {
        let in_flight = self.in_flight.values().filter(|sent| !sent.saved);
        let waiting = self.live.iter().chain(&self.backlog);
        waiting
            .chain(in_flight.map(|sent| &sent.batch))
            .filter(|batch| batch.segment.is_none())
            .map(|batch| batch.since_ms)
            .min()
    }

    /// Takes the oldest batches that are in memory only, of about `bytes`, for the spool; of those on
    /// their way copies, for the server may still answer.
    pub(crate) fn take_for_spool(&mut self, bytes: usize) -> Taken {
        let mut taken = Taken::default();
        let mut size = 0;
        for list in [&mut self.backlog, &mut self.live] {
            let mut kept = VecDeque::new();
            while let Some(batch) = list.pop_front() {
                if batch.segment.is_none() && size < bytes {
                    size += batch.memory_bytes();
                    taken.moved.push(batch);
                } else {
                    kept.push_back(batch);
                }
            }
            *list = kept;
        }
        self.memory_bytes -= size;
        for (sequence, sent) in &mut self.in_flight {
            if sent.batch.segment.is_none() && !sent.saved && size < bytes {
                size += sent.batch.memory_bytes();
                sent.saved = true;
                taken.copied.push((*sequence, sent.batch.clone()));
            }
        }
        taken
    }

    /// What was taken for the spool did not get there.
    pub(crate) fn restore(&mut self, taken: Taken) {
        for batch in taken.moved {
            self.memory_bytes += batch.memory_bytes();
            self.backlog.push_back(batch);
        }
        self.sort_backlog();
        for (sequence, _) in taken.copied {
            if let Some(sent) = self.in_flight.get_mut(&sequence) {
                sent.saved = false;
            }
        }
    }

    /// Gives the oldest batches up that wait in memory only, of `bytes` at least. Tells how many.
    pub(crate) fn drop_oldest(&mut self, bytes: usize) -> u64 {
        let (mut count, mut size) = (0, 0);
        for list in [&mut self.backlog, &mut self.live] {
            list.retain(|batch| {
                let kept = batch.segment.is_some() || size >= bytes;
                if !kept {
                    size += batch.memory_bytes();
                    count += 1;
                }
                kept
            });
        }
        self.memory_bytes -= size;
        count
    }

    /// Spool files whose every batch is delivered.
    pub(crate) fn take_finished_segments(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.finished_segments)
    }

    /// Whether everything from before is sent and more may be, so that the next spool file may be read.
    /// It may hold copies of batches that still wait for their answer; then it is too early.
    pub(crate) fn wants_segment(&self, now_ms: i64) -> bool {
        self.backlog.is_empty()
            && now_ms >= self.paused_until_ms.max(self.backlog_paused_until_ms)
            && !self.in_flight.values().any(|sent| sent.saved)
    }

    /// Whether batches of this spool file are here.
    pub(crate) fn has_segment(&self, segment: u64) -> bool {
        self.segments.contains_key(&segment)
    }

    /// About how many bytes of memory the batches take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// How many batches there are.
    pub(crate) fn len(&self) -> usize {
        self.live.len() + self.backlog.len() + self.in_flight.len()
    }

    /// Every batch, in no particular order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &QueuedBatch> {
        let in_flight = self.in_flight.values().map(|sent| &sent.batch);
        self.live.iter().chain(&self.backlog).chain(in_flight)
    }
}

/// What is in spool files is older than what is not.
fn backlog_order(batch: &QueuedBatch) -> (bool, Option<i64>) {
    let timestamp_ms = batch.groups.first().map(|group| group.timestamp_ms);
    (batch.segment.is_none(), timestamp_ms)
}

#[cfg(test)]
mod tests;

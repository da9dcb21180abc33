//! Which batch is sent next, and what becomes of it: pure.
//!
//! A batch is here until the server has it on disk. New batches go first; what waits from before (the
//! backlog) follows in their gaps, a few at a time, so that a host that returns after a day is seen
//! live at once. What memory cannot hold goes to the spool, oldest first.

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

/// A batch that the server does not have yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueuedBatch {
    pub(crate) urgent: bool,
    /// Samples by the numbers of the agent's series table.
    pub(crate) groups: Vec<Group>,
    /// The spool file that holds it too.
    pub(crate) segment: Option<u64>,
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

    /// The batch to send now, if one may go. Tell its sequence by [`Queue::sent`].
    pub(crate) fn next(&mut self, now_ms: i64) -> Option<(QueuedBatch, bool)> {
        if self.in_flight.len() >= WINDOW || now_ms < self.paused_until_ms {
            return None;
        }
        if let Some(batch) = self.live.pop_front() {
            return Some((batch, false));
        }
        if now_ms < self.next_backlog_ms || self.backlog_in_flight() >= BACKLOG_WINDOW {
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
        waiting.then_some(self.next_backlog_ms.max(self.paused_until_ms))
    }

    fn backlog_in_flight(&self) -> usize {
        self.in_flight.values().filter(|sent| sent.backlog).count()
    }

    /// A batch from [`Queue::next`] was sent under this number.
    pub(crate) fn sent(&mut self, sequence: u64, batch: QueuedBatch, backlog: bool) {
        self.in_flight.insert(sequence, InFlight { batch, backlog });
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
            self.backlog.push_front(sent.batch);
            self.paused_until_ms = now_ms + REFUSED_PAUSE_MS;
        }
    }

    /// The connection is lost: all that is not delivered is backlog now, oldest first.
    pub(crate) fn connection_lost(&mut self) {
        let mut again: VecDeque<QueuedBatch> = std::mem::take(&mut self.in_flight)
            .into_values()
            .map(|sent| sent.batch)
            .collect();
        again.append(&mut self.backlog);
        self.backlog = again;
        self.backlog.append(&mut self.live);
        self.backlog.make_contiguous().sort_by_key(|batch| {
            (
                batch.segment.is_none(),
                batch.groups.first().map(|group| group.timestamp_ms),
            )
        });
        self.paused_until_ms = 0;
    }

    /// Takes the oldest batches that are in memory only, of about `bytes`, for the spool.
    pub(crate) fn take_for_spool(&mut self, bytes: usize) -> Vec<QueuedBatch> {
        let mut taken = Vec::new();
        let mut size = 0;
        for list in [&mut self.backlog, &mut self.live] {
            let mut kept = VecDeque::new();
            while let Some(batch) = list.pop_front() {
                if batch.segment.is_none() && size < bytes {
                    size += batch.memory_bytes();
                    taken.push(batch);
                } else {
                    kept.push_back(batch);
                }
            }
            *list = kept;
        }
        self.memory_bytes -= size;
        taken
    }

    /// Spool files whose every batch is delivered.
    pub(crate) fn take_finished_segments(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.finished_segments)
    }

    /// Whether everything from before is sent, so that the next spool file may be read.
    pub(crate) fn wants_segment(&self) -> bool {
        self.backlog.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(timestamp_ms: i64) -> QueuedBatch {
        let groups = vec![Group {
            timestamp_ms,
            samples: vec![(0, 1.0)],
        }];
        QueuedBatch {
            urgent: false,
            groups,
            segment: None,
        }
    }

    fn spooled(timestamp_ms: i64, segment: u64) -> QueuedBatch {
        QueuedBatch {
            segment: Some(segment),
            ..batch(timestamp_ms)
        }
    }

    /// Sends what may go at `now_ms`, under the timestamp as sequence, and tells the timestamps.
    fn send_all(queue: &mut Queue, now_ms: i64) -> Vec<i64> {
        let mut sent = Vec::new();
        while let Some((batch, backlog)) = queue.next(now_ms) {
            let timestamp_ms = batch.groups[0].timestamp_ms;
            queue.sent(timestamp_ms as u64, batch, backlog);
            sent.push(timestamp_ms);
        }
        sent
    }

    #[test]
    fn urgent_overtakes_live_and_live_overtakes_backlog() {
        let mut queue = Queue::default();
        queue.push(batch(1));
        queue.connection_lost();
        queue.push(batch(2));
        queue.push(QueuedBatch {
            urgent: true,
            ..batch(3)
        });
        queue.push(QueuedBatch {
            urgent: true,
            ..batch(4)
        });
        assert_eq!(send_all(&mut queue, 0), [3, 4, 2, 1]);
    }

    #[test]
    fn the_window_is_kept_and_the_backlog_is_paced() {
        let mut queue = Queue::default();
        (0..10).for_each(|at| queue.push(batch(at)));
        assert_eq!(send_all(&mut queue, 0).len(), WINDOW);
        assert_eq!(queue.next_deadline(), None);
        queue.connection_lost();
        assert_eq!(send_all(&mut queue, 100), [0]);
        assert_eq!(queue.next_deadline(), Some(120));
        assert_eq!(send_all(&mut queue, 119), [] as [i64; 0]);
        for now_ms in [120, 140, 160] {
            assert_eq!(send_all(&mut queue, now_ms).len(), 1);
        }
        assert_eq!(
            send_all(&mut queue, 180),
            [] as [i64; 0],
            "four of the backlog are on their way"
        );
        queue.push(batch(50));
        assert_eq!(send_all(&mut queue, 180), [50]);
    }

    #[test]
    fn what_was_on_its_way_is_sent_again_oldest_first() {
        let mut queue = Queue::default();
        (1..=3).for_each(|at| queue.push(batch(at)));
        send_all(&mut queue, 0);
        assert!(queue.settle(2));
        assert!(!queue.settle(2));
        queue.push(batch(4));
        queue.connection_lost();
        let order: Vec<i64> = (0..3)
            .flat_map(|at| send_all(&mut queue, at * 20))
            .collect();
        assert_eq!(order, [1, 3, 4]);
    }

    #[test]
    fn a_file_is_finished_with_its_last_batch() {
        let mut queue = Queue::default();
        queue.push_segment(7, vec![spooled(1, 7), spooled(2, 7)]);
        queue.push_segment(8, vec![]);
        assert_eq!(queue.take_finished_segments(), [8]);
        send_all(&mut queue, 0);
        queue.settle(1);
        queue.connection_lost();
        assert_eq!(queue.take_finished_segments(), [] as [u64; 0]);
        send_all(&mut queue, 100);
        queue.settle(2);
        assert_eq!(queue.take_finished_segments(), [7]);
        assert_eq!((queue.len(), queue.memory_bytes()), (0, 0));
    }

    #[test]
    fn the_oldest_in_memory_go_to_the_spool() {
        let mut queue = Queue::default();
        queue.push_segment(7, vec![spooled(0, 7)]);
        (1..=4).for_each(|at| queue.push(batch(at)));
        let size = batch(0).memory_bytes();
        let taken = queue.take_for_spool(size * 2);
        assert_eq!(taken, [batch(1), batch(2)]);
        assert_eq!(queue.memory_bytes(), size * 3);
        assert_eq!(queue.take_for_spool(usize::MAX).len(), 2);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_refused_batch_waits_with_all_others() {
        let mut queue = Queue::default();
        queue.push(batch(1));
        send_all(&mut queue, 0);
        queue.postpone(1, 0);
        queue.push(batch(2));
        assert_eq!(send_all(&mut queue, REFUSED_PAUSE_MS - 1), [] as [i64; 0]);
        assert_eq!(queue.next_deadline(), Some(REFUSED_PAUSE_MS));
        assert_eq!(send_all(&mut queue, REFUSED_PAUSE_MS), [2, 1]);
    }
}

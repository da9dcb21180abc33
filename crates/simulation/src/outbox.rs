//! Batches on their way to the server: not yet sent, or sent and not yet acknowledged.
//!
//! Without I/O. A batch leaves only when the server says what became of it, so after a broken
//! connection all that was under way is sent again, with its timestamps as they were.

use std::collections::{BTreeMap, VecDeque};

use muster_wire::{Group, RefuseReason};

/// The batches of one host.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Vec<Group>>,
    under_way: BTreeMap<u64, Vec<Group>>,
}

impl Outbox {
    /// Adds a batch behind all others.
    pub(crate) fn push(&mut self, batch: Vec<Group>) {
        self.waiting.push_back(batch);
    }

    /// The batch to be sent next, if fewer than `window` are under way.
    pub(crate) fn to_send(&self, window: usize) -> Option<&[Group]> {
        let batch = self.waiting.front()?;
        (self.under_way.len() < window).then_some(batch.as_slice())
    }

    /// That batch was sent, under this number.
    pub(crate) fn handle_sent(&mut self, sequence: u64) {
        let batch = self.waiting.pop_front().expect("the batch that was just sent was waiting");
        self.under_way.insert(sequence, batch);
    }

    /// The server has stored these; hands them out. Numbers that are unknown are passed over.
    pub(crate) fn handle_acknowledged(&mut self, sequences: &[u64]) -> Vec<Vec<Group>> {
        sequences.iter().filter_map(|sequence| self.under_way.remove(sequence)).collect()
    }

    /// The server did not store a batch: it waits again if that may pass, else it is handed out.
    pub(crate) fn handle_refused(
        &mut self,
        sequence: u64,
        reason: RefuseReason,
    ) -> Option<Vec<Group>> {
        let batch = self.under_way.remove(&sequence)?;
        if reason.is_temporary() {
            self.waiting.push_front(batch);
            return None;
        }
        Some(batch)
    }

    /// The connection broke: what was under way comes first again, in its order.
    pub(crate) fn handle_disconnected(&mut self) {
        for batch in std::mem::take(&mut self.under_way).into_values().rev() {
            self.waiting.push_front(batch);
        }
    }

    /// How many batches there are, sent or not.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// Whether the server owes an answer.
    pub(crate) fn awaits_answer(&self) -> bool {
        !self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(timestamp_ms: i64) -> Vec<Group> {
        vec![Group { timestamp_ms, samples: vec![(0, 1.0)] }]
    }

    fn next(outbox: &Outbox) -> Option<i64> {
        outbox.to_send(2).map(|groups| groups[0].timestamp_ms)
    }

    /// Three batches; the first two under way.
    fn filled() -> Outbox {
        let mut outbox = Outbox::default();
        for timestamp_ms in [10, 20, 30] {
            outbox.push(batch(timestamp_ms));
        }
        outbox.handle_sent(1);
        outbox.handle_sent(2);
        outbox
    }

    #[test]
    fn no_more_than_the_window_is_under_way() {
        let mut outbox = filled();
        assert_eq!(next(&outbox), None);
        assert_eq!(outbox.handle_acknowledged(&[1, 7]), [batch(10)]);
        assert_eq!(next(&outbox), Some(30));
        assert_eq!(outbox.len(), 2);
    }

    #[test]
    fn what_was_under_way_is_sent_again_first_and_in_order() {
        let mut outbox = filled();
        outbox.handle_disconnected();
        assert!(!outbox.awaits_answer());
        for (sequence, expected) in [(1, 10), (2, 20)] {
            assert_eq!(next(&outbox), Some(expected));
            outbox.handle_sent(sequence);
        }
        assert_eq!(outbox.len(), 3);
    }

    #[test]
    fn a_refused_batch_waits_again_only_if_that_can_help() {
        let mut outbox = filled();
        assert_eq!(outbox.handle_refused(2, RefuseReason::DiskFull), None);
        assert_eq!(next(&outbox), Some(20));
        assert_eq!(outbox.handle_refused(1, RefuseReason::TooOld), Some(batch(10)));
        assert_eq!(outbox.handle_refused(1, RefuseReason::TooOld), None);
        assert_eq!(outbox.len(), 2);
    }
}

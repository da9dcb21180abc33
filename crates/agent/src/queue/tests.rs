//! Order, pace, and what becomes of batches that are not taken.

use super::*;

fn batch(timestamp_ms: i64) -> QueuedBatch {
    let groups = vec![Group { timestamp_ms, samples: vec![(0, 1.0)] }];
    QueuedBatch { urgent: false, groups, segment: None, since_ms: timestamp_ms }
}

fn spooled(timestamp_ms: i64, segment: u64) -> QueuedBatch {
    QueuedBatch { segment: Some(segment), ..batch(timestamp_ms) }
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
    queue.push(QueuedBatch { urgent: true, ..batch(3) });
    queue.push(QueuedBatch { urgent: true, ..batch(4) });
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
    assert_eq!(send_all(&mut queue, 180), [] as [i64; 0], "four of the backlog are on their way");
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
    let order: Vec<i64> = (0..3).flat_map(|at| send_all(&mut queue, at * 20)).collect();
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
    assert_eq!(taken.moved, [batch(1), batch(2)]);
    assert_eq!(queue.memory_bytes(), size * 3);
    assert_eq!(queue.take_for_spool(usize::MAX).moved.len(), 2);
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

#[test]
fn what_is_too_new_for_the_server_does_not_hold_live_batches_back() {
    let mut queue = Queue::default();
    queue.push(batch(1));
    send_all(&mut queue, 0);
    queue.set_aside(1, 0);
    assert_eq!(send_all(&mut queue, 0), [1], "the backlog is tried once");
    queue.set_aside(1, 0);
    queue.push(batch(2));
    assert_eq!(send_all(&mut queue, 1), [2]);
    queue.set_aside(2, 1);
    assert_eq!(queue.next_deadline(), Some(CLOCK_PAUSE_MS));
    assert!(send_all(&mut queue, CLOCK_PAUSE_MS - 1).is_empty());
    assert_eq!(send_all(&mut queue, CLOCK_PAUSE_MS), [1], "the oldest first");
    queue.settle(1);
    assert_eq!(send_all(&mut queue, CLOCK_PAUSE_MS + 20), [2]);
    queue.settle(2);
    assert!(queue.wants_segment(CLOCK_PAUSE_MS) && !queue.wants_segment(CLOCK_PAUSE_MS - 1));
}

#[test]
fn a_batch_without_an_answer_is_saved_once_and_counted_once() {
    let mut queue = Queue::default();
    (1..=2).for_each(|at| queue.push(batch(at)));
    send_all(&mut queue, 0);
    queue.push(batch(3));
    assert_eq!(queue.oldest_unsaved_ms(), Some(1));
    let taken = queue.take_for_spool(usize::MAX);
    assert_eq!(taken.moved, [batch(3)]);
    assert_eq!(taken.copied, [(1, batch(1)), (2, batch(2))]);
    assert_eq!(queue.oldest_unsaved_ms(), None);
    assert_eq!(queue.take_for_spool(usize::MAX), Taken::default());
    assert!(queue.settle(1), "a late answer still counts");
    queue.connection_lost();
    assert_eq!((queue.len(), queue.memory_bytes()), (0, 0));
}

#[test]
fn what_could_not_be_saved_is_here_again() {
    let mut queue = Queue::default();
    (1..=2).for_each(|at| queue.push(batch(at)));
    let (first, backlog) = queue.next(0).unwrap();
    queue.sent(1, first, backlog);
    let memory_bytes = queue.memory_bytes();
    let taken = queue.take_for_spool(usize::MAX);
    queue.restore(taken);
    assert_eq!((queue.oldest_unsaved_ms(), queue.memory_bytes()), (Some(1), memory_bytes));
    queue.connection_lost();
    assert_eq!(queue.len(), 2);
}

//! What waits for the writer's thread; bounded, so that a slow disk shows as refusals and not as memory.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::{Appended, TsdbError, WriteBatch};

/// Samples that are made durable by one sync at most, so that none waits for a very large write.
const COMMIT_SAMPLES: usize = 400_000;

pub(super) type Done = Box<dyn FnOnce(Result<Appended, TsdbError>) + Send>;

/// A batch that waits, and whom to tell.
pub(super) struct Pending {
    pub(super) batch: WriteBatch,
    pub(super) done: Done,
}

impl Pending {
    fn samples(&self) -> usize {
        self.batch.samples.len()
    }
}

/// What the writer is to do next.
#[derive(Default)]
pub(super) struct Work {
    pub(super) pending: Vec<Pending>,
    /// Somebody wants the head cut now; they are told whether it was.
    pub(super) cuts: Vec<mpsc::Sender<bool>>,
    /// Nothing more will come, and nothing waits.
    pub(super) ended: bool,
}

#[derive(Default)]
struct Waiting {
    pending: VecDeque<Pending>,
    samples: usize,
    cuts: Vec<mpsc::Sender<bool>>,
    closed: bool,
}

pub(super) struct Queue {
    most_samples: usize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    head_written: Condvar,
}

impl Queue {
    pub(super) fn new(most_samples: usize) -> Self {
        let (arrived, head_written) = (Condvar::new(), Condvar::new());
        Self { most_samples, waiting: Mutex::default(), arrived, head_written }
    }

    /// Queues a batch, or gives it back with the reason. A batch larger than the bound is taken when nothing else waits.
    pub(super) fn push(&self, pending: Pending) -> Result<(), (Pending, TsdbError)> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err((pending, TsdbError::Closed));
        }
        if waiting.samples > 0 && waiting.samples + pending.samples() > self.most_samples {
            return Err((pending, TsdbError::Busy));
        }
        waiting.samples += pending.samples();
        waiting.pending.push_back(pending);
        self.arrived.notify_one();
        Ok(())
    }

    /// Tells the writer that a cut head has become a block.
    pub(super) fn tell_head_written(&self) {
        self.head_written.notify_all();
    }

    /// Waits until a cut head has become a block, at most so long. It may end early, and it may miss the news that comes as it begins.
    pub(super) fn wait_for_head(&self, at_most: Duration) {
        self.head_written.wait_for(&mut self.waiting.lock(), at_most);
    }

    /// Asks for a cut of the head; the receiver learns whether it was made.
    pub(super) fn request_cut(&self) -> Result<mpsc::Receiver<bool>, TsdbError> {
        let (sender, receiver) = mpsc::channel();
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(TsdbError::Closed);
        }
        waiting.cuts.push(sender);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// No more batches are taken; those that wait are still written.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Waits for work, at most so long.
    pub(super) fn take(&self, at_most: Duration) -> Work {
        let mut waiting = self.waiting.lock();
        if waiting.pending.is_empty() && waiting.cuts.is_empty() && !waiting.closed {
            self.arrived.wait_for(&mut waiting, at_most);
        }
        let mut work = Work::default();
        let mut taken = 0;
        while let Some(next) = waiting.pending.pop_front() {
            taken += next.samples();
            work.pending.push(next);
            if taken >= COMMIT_SAMPLES {
                break;
            }
        }
        waiting.samples -= taken;
        work.cuts = std::mem::take(&mut waiting.cuts);
        work.ended = waiting.closed && work.pending.is_empty() && work.cuts.is_empty();
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeriesId;

    fn pending(samples: usize) -> Pending {
        let batch = WriteBatch::scrape(0, vec![(SeriesId(0), 0.0); samples]);
        Pending { batch, done: Box::new(drop) }
    }

    #[test]
    fn the_queue_is_bounded_and_can_be_closed() {
        let queue = Queue::new(10);
        assert!(queue.push(pending(30)).is_ok(), "a large batch alone is taken");
        assert!(matches!(queue.push(pending(1)), Err((_, TsdbError::Busy))));
        assert_eq!(queue.take(Duration::ZERO).pending.len(), 1);
        assert!(queue.push(pending(10)).is_ok());
        queue.close();
        assert!(matches!(queue.push(pending(1)), Err((_, TsdbError::Closed))));
        assert!(!queue.take(Duration::ZERO).ended);
        assert!(queue.take(Duration::ZERO).ended);
    }
}

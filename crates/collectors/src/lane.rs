//! Where collectors run that may hang: on a thread of their own, one after the other, each within a time limit.
//!
//! A driver that waits for its device, a file system whose server is gone, a process that is stuck in the kernel: reading
//! about them may take for ever, and nothing can end it. So the thread that hangs is left behind with the collector that it
//! runs, and another takes its place. A collector that hangs is not run again until its thread comes back, so there are
//! never more threads left behind than collectors.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Collectors read files and talk to sockets; the deepest of them parses what a container engine answers.
const STACK_BYTES: usize = 512 << 10;

/// Work for a collector, which is handed back with what it brought.
pub(crate) trait Job: Send + 'static {
    /// Does it; may take for ever, and does not panic.
    fn run(&mut self);
}

/// A job by the number of its collector.
#[derive(Debug)]
pub(crate) struct Numbered<J> {
    pub(crate) number: usize,
    pub(crate) job: J,
}

struct State<J> {
    waiting: VecDeque<Numbered<J>>,
    /// Which collector the present worker runs, and since when.
    running: Option<(usize, Instant)>,
    done: Vec<Numbered<J>>,
    /// The present worker. Those left behind see that they are others, and end.
    worker: u64,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    to_do: Condvar,
    all_done: Condvar,
}

/// The thread and its work.
pub(crate) struct Lane<J: Job> {
    shared: Arc<Shared<J>>,
    limit: Duration,
    has_worker: bool,
}

impl<J: Job> Lane<J> {
    /// A lane without a thread so far; each job may take as long as `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        let state = State { waiting: VecDeque::new(), running: None, done: Vec::new(), worker: 0 };
        let shared =
            Shared { state: Mutex::new(state), to_do: Condvar::new(), all_done: Condvar::new() };
        Self { shared: Arc::new(shared), limit, has_worker: false }
    }

    /// Runs jobs in order, and waits for them. Tells which came back, those that were left behind earlier included,
    /// and the numbers of those that have passed the limit and are left behind now.
    pub(crate) fn run(&mut self, jobs: Vec<Numbered<J>>) -> (Vec<Numbered<J>>, Vec<usize>) {
        let mut left_behind = Vec::new();
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.waiting.extend(jobs);
        if !self.has_worker && !state.waiting.is_empty() {
            self.has_worker = self.start(state.worker);
        }
        self.shared.to_do.notify_one();
        while self.has_worker && (state.running.is_some() || !state.waiting.is_empty()) {
            let spent = state.running.map_or(Duration::ZERO, |(_, since)| since.elapsed());
            if let Some((number, _)) = state.running
                && spent >= self.limit
            {
                left_behind.push(number);
                state.running = None;
                state.worker += 1;
                self.has_worker = self.start(state.worker);
                continue;
            }
            let waited = self.shared.all_done.wait_timeout(state, self.limit.saturating_sub(spent));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut back = std::mem::take(&mut state.done);
        // Without a thread, which the system may refuse, they come back as they are.
        back.extend(state.waiting.drain(..));
        (back, left_behind)
    }

    fn start(&self, worker: u64) -> bool {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("slow collector".into()).stack_size(STACK_BYTES);
        thread.spawn(move || shared.work(worker)).is_ok()
    }
}

impl<J: Job> Drop for Lane<J> {
    fn drop(&mut self) {
        self.shared.lock().worker = u64::MAX;
        self.shared.to_do.notify_all();
    }
}

impl<J: Job> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // Nothing that holds it can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a worker.
    fn work(&self, worker: u64) {
        let mut state = self.lock();
        while state.worker == worker {
            if let Some(mut next) = state.waiting.pop_front() {
                state.running = Some((next.number, Instant::now()));
                drop(state);
                next.job.run();
                state = self.lock();
                state.done.push(next);
                if state.worker == worker {
                    state.running = None;
                }
            } else {
                self.all_done.notify_all();
                state = self.to_do.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Waits for a word, if it has somebody to wait for.
    struct Waits(Option<Receiver<()>>, bool);

    impl Job for Waits {
        fn run(&mut self) {
            if let Some(word) = &self.0 {
                let _ = word.recv();
            }
            self.1 = true;
        }
    }

    fn jobs(numbers: &[usize]) -> Vec<Numbered<Waits>> {
        numbers.iter().map(|&number| Numbered { number, job: Waits(None, false) }).collect()
    }

    fn numbers(back: &[Numbered<Waits>]) -> Vec<usize> {
        assert!(back.iter().all(|one| one.job.1), "each was run");
        back.iter().map(|one| one.number).collect()
    }

    #[test]
    fn one_that_hangs_is_left_behind_and_comes_back_later() {
        let mut lane = Lane::new(Duration::from_millis(200));
        let (release, word) = channel();
        let mut first = jobs(&[1, 2, 3]);
        first[1].job.0 = Some(word);
        let (back, left) = lane.run(first);
        assert_eq!((numbers(&back), left), (vec![1, 3], vec![2]));
        let (back, left) = lane.run(jobs(&[1, 3]));
        assert_eq!((numbers(&back), left), (vec![1, 3], vec![]));
        release.send(()).unwrap();
        let mut back = Vec::new();
        while back.is_empty() {
            back = lane.run(Vec::new()).0;
            thread::yield_now();
        }
        assert_eq!(numbers(&back), [2]);
        assert_eq!(numbers(&lane.run(jobs(&[1, 2, 3])).0), [1, 2, 3]);
    }

    #[test]
    fn all_may_hang_at_once() {
        let mut lane = Lane::new(Duration::from_millis(20));
        let (releases, words): (Vec<_>, Vec<_>) = (0..4).map(|_| channel()).unzip();
        let mut hanging = jobs(&[0, 1, 2, 3]);
        for (job, word) in hanging.iter_mut().zip(words) {
            job.job.0 = Some(word);
        }
        let (back, left) = lane.run(hanging);
        assert!(back.is_empty());
        assert_eq!(left, [0, 1, 2, 3]);
        drop(releases);
        let mut back = Vec::new();
        while back.len() < 4 {
            back.extend(lane.run(Vec::new()).0);
            thread::yield_now();
        }
    }
}

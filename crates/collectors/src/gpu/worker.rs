//! The thread that asks the graphics processors.
//!
//! The driver's library takes seconds to load, and a broken card makes its calls hang. So all calls are
//! made on one thread, which has one question at a time: what hangs holds up only itself.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::reading::{Gpu, Gpus};

/// Loads the driver's library; `None` where it is not there or does not work. Called on the thread.
pub(super) type Load = Arc<dyn Fn() -> Option<Box<dyn Gpus>> + Send + Sync>;

/// How long a reading waits for the answer; one that comes later is taken with the next reading.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a library that could not be loaded is left alone, in monotonic milliseconds.
const RETRY_MS: i64 = 5 * 60_000;
/// Oldest answer that is still told, in milliseconds.
const MAX_AGE_MS: i64 = 15_000;
const STACK_BYTES: usize = 512 << 10;

struct Thread {
    questions: Sender<()>,
    answers: Receiver<Vec<Gpu>>,
    /// When the question was asked that is not answered yet.
    asked_ms: Option<i64>,
}

/// Asks on its thread, which is started when there is something to ask.
pub(super) struct Worker {
    load: Load,
    thread: Option<Thread>,
    /// When the library could not be loaded.
    failed_ms: Option<i64>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("failed_ms", &self.failed_ms).finish_non_exhaustive()
    }
}

impl Worker {
    pub(super) fn new(load: Load) -> Self {
        Self { load, thread: None, failed_ms: None }
    }

    /// What the processors say: an answer since the last call, else nothing.
    pub(super) fn read(&mut self, now_ms: i64) -> Vec<Gpu> {
        if self.thread.is_none() {
            if self.failed_ms.is_some_and(|failed_ms| now_ms - failed_ms < RETRY_MS) {
                return Vec::new();
            }
            self.thread = start(Arc::clone(&self.load));
        }
        let answer = self.thread.as_mut().and_then(|thread| thread.read(now_ms).ok());
        if answer.is_none() {
            self.thread = None;
            self.failed_ms = Some(now_ms);
        }
        answer.unwrap_or_default()
    }

    /// Ends the thread, once what it asks is answered.
    pub(super) fn stop(&mut self) {
        self.thread = None;
        self.failed_ms = None;
    }
}

/// The library could not be loaded.
struct Ended;

impl Thread {
    fn read(&mut self, now_ms: i64) -> Result<Vec<Gpu>, Ended> {
        if let Some(asked_ms) = self.asked_ms {
            let answer = match self.answers.try_recv() {
                Ok(answer) => answer,
                Err(TryRecvError::Empty) => return Ok(Vec::new()),
                Err(TryRecvError::Disconnected) => return Err(Ended),
            };
            self.ask(now_ms)?;
            // After a long silence it tells of another time.
            return Ok(if now_ms - asked_ms <= MAX_AGE_MS { answer } else { Vec::new() });
        }
        self.ask(now_ms)?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => {
                self.asked_ms = None;
                Ok(answer)
            }
            Err(RecvTimeoutError::Timeout) => Ok(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    fn ask(&mut self, now_ms: i64) -> Result<(), Ended> {
        self.asked_ms = Some(now_ms);
        self.questions.send(()).map_err(|_| Ended)
    }
}

fn start(load: Load) -> Option<Thread> {
    let (questions, asked) = channel();
    let (sender, answers) = channel();
    let thread = thread::Builder::new().name("gpus".into()).stack_size(STACK_BYTES);
    let spawned = thread.spawn(move || {
        let Some(mut gpus) = load() else { return };
        while asked.recv().is_ok() && sender.send(gpus.read()).is_ok() {}
    });
    spawned.ok().map(|_| Thread { questions, answers, asked_ms: None })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use super::*;

    /// Counts its answers in the number of its processor; each waits for a word from the test.
    struct Gated {
        gate: Receiver<()>,
        index: u32,
    }

    impl Gpus for Gated {
        fn read(&mut self) -> Vec<Gpu> {
            // Without a test there is nothing to wait for.
            let _ = self.gate.recv();
            self.index += 1;
            vec![Gpu { index: self.index, ..Gpu::default() }]
        }
    }

    /// Reads at this time until `done` says what it was waiting for; a minute is never needed.
    #[track_caller]
    fn until<T>(
        worker: &mut Worker,
        now_ms: i64,
        done: impl Fn(&Worker, &[Gpu]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let answer = worker.read(now_ms);
            if let Some(found) = done(worker, &answer) {
                return found;
            }
            assert!(Instant::now() < deadline, "it does not come");
            thread::yield_now();
        }
    }

    #[test]
    fn a_call_that_hangs_holds_up_nobody_and_is_taken_later_unless_too_late() {
        let (release, gate) = channel();
        let gate = Mutex::new(Some(gate));
        let mut worker = Worker::new(Arc::new(move || {
            let gate = gate.lock().unwrap().take()?;
            Some(Box::new(Gated { gate, index: 0 }) as Box<dyn Gpus>)
        }));
        let first = |_: &Worker, answer: &[Gpu]| answer.first().map(|gpu| gpu.index);
        assert!(worker.read(0).is_empty());
        assert!(worker.read(0).is_empty());
        release.send(()).unwrap();
        assert_eq!(until(&mut worker, MAX_AGE_MS, first), 1);
        // The second question was asked at that time, and nobody wants its answer when it comes.
        release.send(()).unwrap();
        release.send(()).unwrap();
        assert_eq!(until(&mut worker, 2 * MAX_AGE_MS + 1, first), 3);
        worker.stop();
        assert!(worker.thread.is_none());
    }

    #[test]
    fn what_cannot_be_loaded_is_left_alone_for_minutes() {
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let mut worker = Worker::new(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            None
        }));
        let failed = |worker: &Worker, _: &[Gpu]| worker.failed_ms;
        assert_eq!(until(&mut worker, 0, failed), 0);
        worker.read(RETRY_MS - 1);
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        assert!(worker.thread.is_none());
        worker.read(RETRY_MS);
        until(&mut worker, RETRY_MS, |_, _| (tries.load(Ordering::Relaxed) == 2).then_some(()));
    }
}

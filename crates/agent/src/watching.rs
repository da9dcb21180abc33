//! What runs between the ticks: waits until one of the watchers has news, and hands it on at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use muster_collectors::{Change, Watcher};
use muster_environment::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;

/// Longest sleep, in milliseconds: the end of the agent is noticed soon.
const LONGEST_SLEEP_MS: i64 = 10_000;

/// Watches until nobody listens any more. A watcher that panics is dropped, and the others go on.
pub(crate) fn run(
    mut watchers: Vec<Box<dyn Watcher>>,
    clock: &dyn Clock,
    tell: &mpsc::Sender<Vec<Change>>,
) {
    while !watchers.is_empty() && !tell.is_closed() {
        let mut changes = Vec::new();
        watchers.retain_mut(|watcher| {
            let name = watcher.name();
            let news = catch_unwind(AssertUnwindSafe(|| {
                watcher.poll(clock.now_ms(), clock.monotonic_ms())
            }));
            let lives = news.is_ok();
            if !lives {
                tracing::error!(
                    watcher = name,
                    "a watcher panicked, which is a bug in Muster; it is left out"
                );
            }
            changes.extend(news.unwrap_or_default());
            lives
        });
        if !changes.is_empty() && tell.blocking_send(changes).is_err() {
            return;
        }
        sleep(&watchers, clock.monotonic_ms());
    }
}

/// Sleeps until there is news, or a watcher is due.
fn sleep(watchers: &[Box<dyn Watcher>], now_ms: i64) {
    let due_ms = watchers.iter().map(|watcher| watcher.deadline_ms()).min().unwrap_or(now_ms);
    let wait_ms = due_ms.saturating_sub(now_ms).clamp(0, LONGEST_SLEEP_MS);
    let timeout = Timespec { tv_sec: wait_ms / 1_000, tv_nsec: wait_ms % 1_000 * 1_000_000 };
    let mut wakers: Vec<PollFd<'_>> = watchers
        .iter()
        .flat_map(|watcher| watcher.wakers())
        .map(|waker| PollFd::from_borrowed_fd(waker, PollFlags::IN))
        .collect();
    // An interrupted sleep only asks the watchers early.
    let _ = poll(&mut wakers, Some(&timeout));
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::{AsFd as _, BorrowedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::thread;

    use muster_environment::SystemClock;
    use muster_series::Labels;

    use super::*;

    /// Tells each byte that arrives; panics at a 0.
    struct Echo(UnixStream);

    impl Watcher for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }

        fn wakers(&self) -> Vec<BorrowedFd<'_>> {
            vec![self.0.as_fd()]
        }

        fn deadline_ms(&self) -> i64 {
            i64::MAX
        }

        fn poll(&mut self, _now_ms: i64, _monotonic_ms: i64) -> Vec<Change> {
            let mut byte = [0];
            if self.0.read(&mut byte).is_err() {
                return Vec::new();
            }
            assert!(byte[0] > 0, "this is the panic that the test asks for");
            vec![Change { timestamp_ms: 1, samples: vec![(Labels::empty(), byte[0].into())] }]
        }
    }

    fn echo() -> (UnixStream, Box<dyn Watcher>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, Box::new(Echo(theirs)))
    }

    #[test]
    fn news_is_told_at_once_and_a_panic_ends_one_watcher_only() {
        let ((mut first, echo_of_first), (mut second, echo_of_second)) = (echo(), echo());
        let (tell, mut told) = mpsc::channel(4);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let watching = thread::spawn(move || {
            run(vec![echo_of_first, echo_of_second], &*clock, &tell);
        });
        let mut check = |stream: &mut UnixStream, byte: u8| {
            stream.write_all(&[byte]).unwrap();
            assert_eq!(told.blocking_recv().unwrap()[0].samples[0].1, f64::from(byte));
        };
        check(&mut first, 7);
        check(&mut second, 8);
        first.write_all(&[0]).unwrap();
        check(&mut second, 9);
        drop(told);
        second.write_all(&[10]).unwrap();
        watching.join().unwrap();
    }
}

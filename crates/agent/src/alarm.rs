//! One timer of the kernel, for the agent's loop.
//!
//! The runtime's own timers stand in a wheel, which wakes the process twice or more for a wait of a second. An agent has
//! little to do, so what it costs is mostly wake-ups; the kernel's timer is one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A time of zero would switch the timer off.
const SHORTEST: Duration = Duration::from_nanos(1);

/// The timer. It is used for one wait at a time.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// A timer that is not set. Needs a runtime that drives I/O.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its unsafe successor wants that the handle stays open and the same, which an owned one does"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// Waits. A wait that is dropped leaves nothing behind that a later one could notice.
    pub(crate) async fn after(&mut self, wait: Duration) -> io::Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let wait = wait.max(SHORTEST);
        let value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let time = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut count = [0; 8];
            // What was ready may be an earlier wait's end, which setting the timer has undone.
            if let Ok(read) = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut count)?)) {
                return read.map(|_| ());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn it_waits_as_long_as_it_is_told() {
        let mut alarm = Alarm::new().unwrap();
        for wait in [SHORT, Duration::ZERO, SHORT] {
            let started = Instant::now();
            alarm.after(wait).await.unwrap();
            assert!(started.elapsed() >= wait);
        }
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_does_not_end_the_next() {
        let mut alarm = Alarm::new().unwrap();
        tokio::select! {
            biased;
            _ = alarm.after(Duration::ZERO) => panic!("it is not asked for a second time"),
            () = async {} => {}
        }
        // The given-up wait has ended in the kernel, and the runtime has noticed it.
        tokio::time::sleep(SHORT).await;
        let started = Instant::now();
        alarm.after(SHORT).await.unwrap();
        assert!(started.elapsed() >= SHORT);
    }
}

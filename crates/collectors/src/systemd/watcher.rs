//! The watcher of units: holds the connection to the bus, and makes another when it is lost.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::dbus::{Connection, DbusError};
use crate::systemd::SharedUnits;
use crate::systemd::session::Session;
use crate::watch::{Change, Watcher};

/// First wait after a connection was lost or refused, in milliseconds; each further one is twice as long.
const FIRST_RETRY_MS: i64 = 250;
/// Longest wait; also how often a machine without a bus is asked whether it has one now.
const LONGEST_RETRY_MS: i64 = 60_000;
/// How often it looks whether it is wanted, while it is not, in milliseconds.
const REST_MS: i64 = 10_000;
/// How long the last known states are told without a connection.
const KEEP_MS: i64 = 120_000;
/// Messages taken in before the other watchers have their turn.
const MESSAGES_AT_ONCE: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(super) struct UnitWatcher {
    units: SharedUnits,
    socket: PathBuf,
    link: Option<(Connection, Session)>,
    retry_at_ms: i64,
    retry_ms: i64,
    /// When the connection was lost.
    lost_ms: Option<i64>,
    failure_told: bool,
    /// Whether messages that have arrived were left for the next turn.
    more_waits: bool,
}

impl UnitWatcher {
    pub(super) fn new(units: SharedUnits, socket: PathBuf) -> Self {
        Self {
            units,
            socket,
            link: None,
            retry_at_ms: i64::MIN,
            retry_ms: FIRST_RETRY_MS,
            lost_ms: None,
            failure_told: false,
            more_waits: false,
        }
    }

    /// Nobody wants to know of units: hangs up, and looks from time to time whether that has changed.
    fn rest(&mut self, monotonic_ms: i64) {
        if self.link.take().is_some() {
            self.units.lock().clear();
        }
        self.lost_ms = None;
        self.retry_at_ms = monotonic_ms + REST_MS;
    }

    fn connect(&mut self, monotonic_ms: i64) {
        match Connection::open(&self.socket) {
            Ok(connection) => {
                self.link = Some((connection, Session::new(monotonic_ms)));
                self.lost_ms = None;
            }
            Err(error) => self.failed(&error, monotonic_ms),
        }
    }

    fn failed(&mut self, error: &DbusError, monotonic_ms: i64) {
        let absent = matches!(error, DbusError::Socket { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused));
        if absent && self.lost_ms.is_none() && self.link.is_none() {
            // This machine has no bus.
            self.retry_ms = LONGEST_RETRY_MS;
        } else if !self.failure_told {
            tracing::warn!(%error, "systemd's units cannot be watched; it is tried again");
            self.failure_told = true;
        }
        if self.link.take().is_some() {
            self.lost_ms = Some(monotonic_ms);
        }
        self.retry_at_ms = monotonic_ms + self.retry_ms;
        self.retry_ms = (2 * self.retry_ms).min(LONGEST_RETRY_MS);
    }

    /// Takes in what has arrived, and sends what is to be asked.
    fn converse(&mut self, now_ms: i64, monotonic_ms: i64) -> Result<Vec<Change>, DbusError> {
        let Some((connection, session)) = &mut self.link else {
            return Ok(Vec::new());
        };
        let mut units = self.units.lock();
        session.handle_timeout(monotonic_ms);
        self.more_waits = true;
        for _ in 0..MESSAGES_AT_ONCE {
            while let Some((call, asked)) = session.poll_call() {
                let serial = connection.send(&call)?;
                session.sent(serial, asked);
            }
            let Some(message) = connection.receive()? else {
                self.more_waits = false;
                break;
            };
            session.handle(message, &mut units, now_ms, monotonic_ms);
        }
        if units.is_listed() {
            self.retry_ms = FIRST_RETRY_MS;
            self.failure_told = false;
        }
        Ok(session.take_changes(&mut units, now_ms, monotonic_ms))
    }
}

impl Watcher for UnitWatcher {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn wakers(&self) -> Vec<BorrowedFd<'_>> {
        self.link.iter().map(|(connection, _)| connection.as_fd()).collect()
    }

    fn deadline_ms(&self) -> i64 {
        match (&self.link, self.lost_ms) {
            (Some(_), _) if self.more_waits => i64::MIN,
            (Some((_, session)), _) => session.deadline_ms(),
            (None, Some(lost_ms)) => self.retry_at_ms.min(lost_ms + KEEP_MS),
            (None, None) => self.retry_at_ms,
        }
    }

    fn poll(&mut self, now_ms: i64, monotonic_ms: i64) -> Vec<Change> {
        if self.units.off.load(Ordering::Relaxed) {
            self.rest(monotonic_ms);
            return Vec::new();
        }
        if self.link.is_none() && self.retry_at_ms <= monotonic_ms {
            self.connect(monotonic_ms);
        }
        if self.lost_ms.is_some_and(|lost_ms| lost_ms + KEEP_MS <= monotonic_ms) {
            self.lost_ms = None;
            self.units.lock().clear();
        }
        self.converse(now_ms, monotonic_ms).unwrap_or_else(|error| {
            self.failed(&error, monotonic_ms);
            Vec::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(socket: &str) -> UnitWatcher {
        UnitWatcher::new(SharedUnits::default(), socket.into())
    }

    #[test]
    fn a_machine_without_a_bus_is_asked_seldom_and_says_nothing() {
        let mut watcher = watcher("/nonexistent/bus");
        assert!(watcher.poll(0, 1_000).is_empty());
        assert!(watcher.wakers().is_empty() && !watcher.failure_told);
        assert_eq!(watcher.deadline_ms(), 1_000 + LONGEST_RETRY_MS);
    }

    #[test]
    fn who_is_not_wanted_does_not_call() {
        let mut watcher = watcher("/nonexistent/bus");
        watcher.units.off.store(true, Ordering::Relaxed);
        assert!(watcher.poll(0, 1_000).is_empty());
        assert_eq!(watcher.deadline_ms(), 1_000 + REST_MS);
    }
}

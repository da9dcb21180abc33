//! Tells of samples that were not stored, without filling the log: once a minute and host.

use std::collections::HashMap;
use std::fmt::Display;

use muster_tsdb::{Appended, TsdbError};
use parking_lot::Mutex;

/// How often the same host is mentioned.
const EVERY_MS: i64 = 60_000;
/// The most hosts remembered.
const MOST_HOSTS: usize = 20_000;

/// Remembers when each host was last mentioned.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    told: Mutex<HashMap<String, i64>>,
}

impl Refusals {
    /// Some samples of a batch were refused, the others stored.
    pub(crate) fn note(&self, instance: &str, appended: &Appended, now_ms: i64) {
        if !self.due(instance, now_ms) {
            return;
        }
        let (future, old) = (appended.refused.too_new, appended.refused.too_old);
        if future > 0 {
            tracing::warn!(
                instance,
                samples = future,
                "samples refused: they are more than 10 minutes ahead of this server's clock; \
                 set the clock of that host or of this one (NTP)"
            );
        }
        if old > 0 {
            tracing::warn!(
                instance,
                samples = old,
                "samples refused: they are older than the retention; set the clock of that host, \
                 or raise --retention"
            );
        }
    }

    /// Some of what `pusher` pushed was refused, the rest stored.
    pub(crate) fn pushed(&self, pusher: &str, refusals: &impl Display, now_ms: i64) {
        if self.due(pusher, now_ms) {
            tracing::warn!(pusher, "some of what was pushed is not stored:{refusals}");
        }
    }

    /// A whole batch could not be stored; its sender keeps it and tries again.
    pub(crate) fn failed(&self, instance: &str, error: &TsdbError, now_ms: i64) {
        if !self.due(instance, now_ms) {
            return;
        }
        let words = "samples not stored now; their sender keeps them and tries again";
        if matches!(error, TsdbError::Busy) {
            tracing::warn!(instance, %error, "{words}");
        } else {
            tracing::error!(instance, %error, "{words}");
        }
    }

    fn due(&self, instance: &str, now_ms: i64) -> bool {
        let mut told = self.told.lock();
        if told.get(instance).is_some_and(|&at| now_ms - at < EVERY_MS) {
            return false;
        }
        if told.len() >= MOST_HOSTS {
            told.clear();
        }
        told.insert(instance.to_owned(), now_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_mentioned_once_a_minute() {
        let refusals = Refusals::default();
        let due: Vec<bool> =
            [0, 1, EVERY_MS - 1, EVERY_MS].map(|at| refusals.due("web-1", at)).into();
        assert_eq!(due, [true, false, false, true]);
        assert!(refusals.due("web-2", 1));
    }
}

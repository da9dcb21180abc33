//! When to read the table of processes: only while the server says that somebody looks. Pure, given a monotonic clock.

/// From one table to the next.
const EVERY_MS: i64 = 2_000;
/// Longest lease that a server may ask for.
const MAX_LEASE_MS: i64 = 60_000;

/// Whether somebody looks, and when the next table is due.
#[derive(Debug, Default)]
pub(crate) struct ProcessWatch {
    /// When it ends, and when the next table is due; none while nobody looks.
    lease: Option<Lease>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    until_ms: i64,
    due_ms: i64,
}

impl ProcessWatch {
    /// Somebody looks for so many milliseconds from now; 0 ends it.
    pub(crate) fn extend(&mut self, lease_ms: i64, now_ms: i64) {
        let lease_ms = lease_ms.clamp(0, MAX_LEASE_MS);
        let due_ms = self.lease.map_or(now_ms, |lease| lease.due_ms);
        self.lease = (lease_ms > 0).then_some(Lease { until_ms: now_ms + lease_ms, due_ms });
    }

    /// Nobody can look: there is no connection.
    pub(crate) fn end(&mut self) {
        self.lease = None;
    }

    /// Whether a table is due now; the next one is due some time later.
    pub(crate) fn poll(&mut self, now_ms: i64) -> bool {
        if self.lease.is_some_and(|lease| lease.until_ms <= now_ms) {
            self.lease = None;
        }
        let Some(lease) = &mut self.lease else { return false };
        if now_ms < lease.due_ms {
            return false;
        }
        lease.due_ms = now_ms + EVERY_MS;
        true
    }

    /// Whether somebody looks, as of the last poll.
    pub(crate) fn is_watched(&self) -> bool {
        self.lease.is_some()
    }

    /// When [`ProcessWatch::poll`] should be asked again.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.lease.map(|lease| lease.due_ms.min(lease.until_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_every_two_seconds_until_the_lease_ends() {
        let mut watch = ProcessWatch::default();
        assert!(!watch.poll(0));
        assert_eq!(watch.next_deadline(), None);
        watch.extend(5_000, 100);
        assert!(watch.poll(100), "the first one comes at once");
        assert!(!watch.poll(2_099));
        assert!(watch.poll(2_100));
        watch.extend(5_000, 3_000);
        assert!(!watch.poll(3_000), "a longer lease is no reason for another table");
        assert_eq!(watch.next_deadline(), Some(4_100));
        assert!(watch.poll(7_999));
        assert!(watch.is_watched());
        assert!(!watch.poll(8_000));
        assert!(!watch.is_watched());
    }

    #[test]
    fn a_lease_has_a_longest_and_zero_ends_it() {
        let mut watch = ProcessWatch::default();
        watch.extend(i64::MAX, 0);
        assert!(!watch.poll(MAX_LEASE_MS));
        watch.extend(1_000, 0);
        watch.extend(0, 0);
        assert!(!watch.poll(0));
        watch.extend(-5, 0);
        assert!(!watch.poll(0));
    }
}

//! How long to wait before the next attempt to connect.

const BASE_MS: u64 = 1_000;
const CAP_MS: u64 = 60_000;
/// After a rejection that only a person can mend.
const REJECTED_MS: u64 = 600_000;
/// A session that lasted so long shows that the server can be worked with.
const SETTLED_MS: i64 = 60_000;

/// Exponential backoff with full jitter: a thousand agents that lost their server at the same moment
/// do not come back at the same moment.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Milliseconds to wait after one more failure. `random` is uniform.
    pub(crate) fn after_failure(&mut self, random: u64) -> i64 {
        let longest = BASE_MS.saturating_mul(1 << self.failures.min(16)).min(CAP_MS);
        self.failures = self.failures.saturating_add(1);
        (random % longest) as i64
    }

    /// Milliseconds to wait after a rejection that only a person can mend: half to all of ten minutes.
    pub(crate) fn after_rejection(random: u64) -> i64 {
        (REJECTED_MS / 2 + random % (REJECTED_MS / 2)) as i64
    }

    /// A session has ended that lasted so long. One that ends soon after its welcome is no success: two
    /// agents with one key would replace each other for ever.
    pub(crate) fn session_ended(&mut self, lasted_ms: i64) {
        if lasted_ms >= SETTLED_MS {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, longest_ms: u64) {
        let wait = |random| Backoff { failures }.after_failure(random);
        assert_eq!((wait(longest_ms - 1), wait(longest_ms)), (longest_ms as i64 - 1, 0));
    }

    #[test]
    fn the_wait_doubles_up_to_a_minute() {
        check(0, 1_000);
        check(1, 2_000);
        check(5, 32_000);
        check(6, 60_000);
        check(u32::MAX, 60_000);
    }

    #[test]
    fn a_long_session_starts_anew_and_a_short_one_does_not() {
        let mut backoff = Backoff { failures: 6 };
        backoff.session_ended(SETTLED_MS - 1);
        assert_eq!(backoff.after_failure(59_999), 59_999);
        backoff.session_ended(SETTLED_MS);
        assert!(backoff.after_failure(u64::MAX) < 1_000);
        assert!((300_000..600_000).contains(&Backoff::after_rejection(u64::MAX)));
    }
}

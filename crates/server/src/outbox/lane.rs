//! When a channel is tried: at once while it works, rarer and rarer while it fails. All times are of the clock that never
//! goes back.

/// How soon a new message is tried at a channel that failed, in milliseconds.
const FRESH_MS: i64 = 60_000;
/// After how many failed rounds a channel counts as failing: about a minute.
const FAILING_ROUNDS: u32 = 4;

/// What is known of one channel; it starts anew with the server.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    /// Rounds that failed since one worked.
    failures: u32,
    /// When the last round ended.
    last_ms: i64,
    /// When the next one may begin.
    next_ms: i64,
    /// Until when the other side asked to be left alone.
    asked_until_ms: i64,
}

impl Lane {
    /// Whether the last round failed.
    pub(super) fn is_down(&self) -> bool {
        self.failures > 0
    }

    /// When the next round may begin, if the last one failed.
    pub(super) fn next_ms(&self) -> i64 {
        self.next_ms
    }

    /// A message that was never tried waits.
    pub(super) fn has_fresh(&mut self) {
        let soon_ms = (self.last_ms + FRESH_MS).max(self.asked_until_ms);
        self.next_ms = self.next_ms.min(soon_ms);
    }

    /// The number of failed rounds if one more fails.
    pub(super) fn failures_then(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    /// A round is over, and the channel works.
    pub(super) fn worked(&mut self, now_ms: i64) {
        *self = Self { last_ms: now_ms, ..Self::default() };
    }

    /// A round is over, and the channel failed: it is left alone until then.
    pub(super) fn failed(&mut self, next_ms: i64, asked: bool, now_ms: i64) {
        self.failures = self.failures_then();
        self.last_ms = now_ms;
        self.next_ms = next_ms;
        self.asked_until_ms = if asked { next_ms } else { 0 };
    }

    /// Whether it has failed for so long that people should hear of it.
    pub(super) fn is_failing(&self) -> bool {
        self.failures >= FAILING_ROUNDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_failed_is_left_alone_but_for_fresh_messages() {
        let mut lane = Lane::default();
        assert!(!lane.is_down());
        lane.failed(1_800_000, false, 10_000);
        assert!(lane.is_down());
        assert_eq!(lane.next_ms(), 1_800_000);
        lane.has_fresh();
        assert_eq!(lane.next_ms(), 70_000);
        lane.worked(80_000);
        assert!(!lane.is_down());
    }

    #[test]
    fn what_the_other_side_asked_for_holds_for_fresh_messages_too() {
        let mut lane = Lane::default();
        lane.failed(600_000, true, 0);
        lane.has_fresh();
        assert_eq!(lane.next_ms(), 600_000);
    }

    #[test]
    fn people_hear_of_a_channel_that_fails_for_about_a_minute() {
        let mut lane = Lane::default();
        for round in 1..=4 {
            assert!(!lane.is_failing());
            lane.failed(round * 1_000, false, 0);
        }
        assert!(lane.is_failing());
        lane.worked(9_000);
        assert!(!lane.is_failing());
    }
}

//! When a message that was not taken is tried again.

use std::time::Duration;

/// The wait after the first failure, in milliseconds; it doubles with each.
const FIRST_WAIT_MS: i64 = 5_000;
/// The longest wait, in milliseconds.
const LONGEST_WAIT_MS: i64 = 30 * 60_000;
/// The longest wait that the other side may ask for, in milliseconds.
const LONGEST_ASKED_MS: i64 = 2 * 60 * 60_000;
/// How long after it was decided a message is given up, in milliseconds: three days.
pub const WAITS_FOR_MS: i64 = 3 * 86_400_000;

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SendError {
    /// What happened, and what to do where somebody can do something.
    pub text: String,
    /// What becomes of the message.
    pub then: Then,
}

/// What becomes of a message that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is tried again.
    TryAgain,
    /// It is tried again, but not earlier than after this time.
    TryAgainAfter(Duration),
    /// The same message will be refused again.
    GiveUp,
}

impl SendError {
    pub(crate) fn retry(text: impl Into<String>) -> Self {
        Self { text: text.into(), then: Then::TryAgain }
    }

    pub(crate) fn give_up(text: impl Into<String>) -> Self {
        Self { text: text.into(), then: Then::GiveUp }
    }
}

/// When a message is tried next, in milliseconds since 1970; none if it is given up.
///
/// `failures` counts the tries so far, this one included. The wait doubles from 5 s to 30 min, less up to a quarter, which
/// depends on `id`, so that what failed together does not come back together.
pub fn next_try_ms(
    then: Then,
    failures: u32,
    queued_ms: i64,
    id: &str,
    now_ms: i64,
) -> Option<i64> {
    let doubled = FIRST_WAIT_MS << failures.saturating_sub(1).min(20);
    let wait = doubled.min(LONGEST_WAIT_MS);
    let hash = id.bytes().chain(failures.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    let wait = wait - (hash >> 32) as i64 % (wait / 4);
    let wait = match then {
        Then::GiveUp => return None,
        Then::TryAgain => wait,
        Then::TryAgainAfter(asked) => {
            let asked = i64::try_from(asked.as_millis()).unwrap_or(i64::MAX);
            asked.min(LONGEST_ASKED_MS).max(wait)
        }
    };
    let next = now_ms + wait;
    (next <= queued_ms + WAITS_FOR_MS).then_some(next)
}

/// FNV-1a.
fn mix(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(then: Then, failures: u32, now_ms: i64, least: i64, most: i64) {
        for id in ["a", "b", "c/1", "d/2"] {
            let next = next_try_ms(then, failures, 0, id, now_ms).expect("another try");
            let wait = next - now_ms;
            assert!((least..=most).contains(&wait), "{wait} after {failures}, of {id}");
        }
    }

    #[test]
    fn the_wait_doubles_up_to_half_an_hour() {
        check(Then::TryAgain, 1, 0, 3_750, 5_000);
        check(Then::TryAgain, 2, 0, 7_500, 10_000);
        check(Then::TryAgain, 4, 0, 30_000, 40_000);
        check(Then::TryAgain, 12, 0, 1_350_000, 1_800_000);
        check(Then::TryAgain, u32::MAX, 0, 1_350_000, 1_800_000);
    }

    #[test]
    fn what_the_other_side_asks_for_holds_within_reason() {
        check(Then::TryAgainAfter(Duration::from_mins(1)), 1, 0, 60_000, 60_000);
        check(Then::TryAgainAfter(Duration::ZERO), 1, 0, 3_750, 5_000);
        check(Then::TryAgainAfter(Duration::MAX), 1, 0, 7_200_000, 7_200_000);
    }

    #[test]
    fn messages_that_failed_together_come_apart() {
        let at = |id: &str| next_try_ms(Then::TryAgain, 9, 0, id, 0);
        let mut times: Vec<_> = (0..20).map(|n| at(&format!("n{n}/c"))).collect();
        times.sort_unstable();
        times.dedup();
        assert!(times.len() > 15, "{times:?}");
    }

    #[test]
    fn a_message_is_given_up_after_three_days() {
        assert_eq!(next_try_ms(Then::GiveUp, 1, 0, "a", 0), None);
        assert!(next_try_ms(Then::TryAgain, 99, 0, "a", WAITS_FOR_MS - 1_800_000).is_some());
        assert_eq!(next_try_ms(Then::TryAgain, 99, 0, "a", WAITS_FOR_MS - 60_000), None);
    }
}

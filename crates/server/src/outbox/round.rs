//! In which order a channel's waiting messages are tried, and when a channel that fails is left alone.
//!
//! 1. The oldest goes first, and then the others in their order: what is resolved is never told before what fired.
//! 2. After a failure the message with the fewest tries is next. If that one is taken, the first alone was not, and the
//!    rest is tried in order; so a message that nobody takes does not hold up the others.
//! 3. Two failures in a row end the round: it is the channel that fails.

use std::collections::VecDeque;

/// A message that waits, as far as its order is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its number.
    pub(super) id: String,
    /// How often it was tried.
    pub(super) attempts: u32,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Taken,
    /// It was refused for good, by a channel that works.
    Refused,
    /// It was not taken this time.
    Failed,
}

/// One pass over what waits for a channel.
#[derive(Debug)]
pub(super) struct Round {
    waiting: VecDeque<Candidate>,
    failed_in_a_row: u32,
}

impl Round {
    /// The messages, the oldest first.
    pub(super) fn new(waiting: impl IntoIterator<Item = Candidate>) -> Self {
        Self { waiting: waiting.into_iter().collect(), failed_in_a_row: 0 }
    }

    /// The message to try next; none if the round is over.
    pub(super) fn next(&mut self) -> Option<Candidate> {
        match self.failed_in_a_row {
            0 => self.waiting.pop_front(),
            1 => {
                let fewest = (0..self.waiting.len()).min_by_key(|&at| self.waiting[at].attempts)?;
                self.waiting.remove(fewest)
            }
            _ => None,
        }
    }

    /// What came of it.
    pub(super) fn told(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken | Outcome::Refused => self.failed_in_a_row = 0,
            Outcome::Failed => self.failed_in_a_row += 1,
        }
    }

    /// Whether the channel itself seems to fail.
    pub(super) fn is_down(&self) -> bool {
        self.failed_in_a_row > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `waiting` is a letter and a number of tries a message; `failing` are those that are not taken. What comes out is the
    /// order of the tries.
    #[track_caller]
    fn check(waiting: &str, failing: &str, expected: &str, down: bool) {
        let candidates = waiting.split_whitespace().map(|text| Candidate {
            id: text[..1].to_owned(),
            attempts: text[1..].parse().unwrap(),
        });
        let mut round = Round::new(candidates);
        let mut tried = String::new();
        while let Some(candidate) = round.next() {
            tried.push_str(&candidate.id);
            let fails = failing.contains(&candidate.id);
            round.told(if fails { Outcome::Failed } else { Outcome::Taken });
        }
        assert_eq!((tried.as_str(), round.is_down()), (expected, down), "{waiting} but {failing}");
    }

    #[test]
    fn messages_go_in_their_order() {
        check("a0 b0 c0", "", "abc", false);
        check("a3 b0 c0", "", "abc", false);
        check("", "", "", false);
    }

    #[test]
    fn a_channel_that_fails_is_tried_twice_a_round() {
        check("a0 b0 c0 d0", "abcd", "ab", true);
        check("a5 b5 c0 d0", "abcd", "ac", true);
        check("a0", "a", "a", true);
    }

    #[test]
    fn a_message_that_nobody_takes_does_not_hold_up_the_others() {
        check("a9 b0 c0", "a", "abc", false);
        check("a9 b9 c0 d0", "ab", "acbd", false);
        check("a9 b9 c1 d0", "abc", "adbc", true);
    }

    #[test]
    fn each_message_has_its_turn_however_many_fail() {
        let mut attempts = [0; 6];
        for _ in 0..12 {
            let candidates = (0..6).map(|n| Candidate { id: n.to_string(), attempts: attempts[n] });
            let mut round = Round::new(candidates.collect::<Vec<_>>());
            while let Some(candidate) = round.next() {
                attempts[candidate.id.parse::<usize>().unwrap()] += 1;
                round.told(Outcome::Failed);
            }
        }
        assert!(attempts.iter().all(|&count| count > 0), "{attempts:?}");
    }
}

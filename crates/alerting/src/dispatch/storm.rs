//! Storms: when a receiver would get very many messages at once, all but the first few are summed up into one.
//!
//! 1. A receiver hears some messages a minute one by one: most of those about critical alerts, fewer about others, and
//!    fewest of those that only tell of resolutions, as good news can wait.
//! 2. What is more than that is held, and told in one message after ten seconds; if it was much, what follows is held
//!    too and told a minute later, then more rarely.
//! 3. The storm is over when a summary finds little that was held.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

/// The time in which messages are counted, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// How long after a storm's begin it is summed up first.
const FIRST_SUMMARY_MS: i64 = 10_000;
/// The longest time between two summaries.
const MAX_SUMMARY_MS: i64 = 5 * 60_000;
/// More held messages than this between two summaries are a storm, in which nothing but what is critical is told alone.
const FEW: u64 = 5;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A critical alert fires.
    Critical,
    /// Another alert fires.
    Firing,
    /// Alerts are resolved.
    Resolved,
}

impl Urgency {
    /// How many messages a receiver may have heard in the last minute for one more to be told alone; `messages` is how
    /// many the routes say.
    fn limit(self, messages: usize) -> usize {
        match self {
            Self::Critical => messages + 3,
            Self::Firing => messages,
            Self::Resolved => messages.saturating_sub(2).max(1),
        }
    }
}

/// The gate before one receiver.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gate {
    pub(super) receiver: String,
    /// When the last messages were let through.
    recent: VecDeque<i64>,
    /// The alerts that wait for the next summary.
    held: BTreeSet<u64>,
    /// How many messages were held since the last summary.
    held_messages: u64,
    /// Whether there is a storm.
    storm: bool,
    /// When what is held is summed up, if anything is or there is a storm.
    next_ms: Option<i64>,
    /// How many summaries there were in this storm.
    summaries: u32,
    /// How many there were ever.
    pub(super) number: u64,
}

impl Gate {
    pub(super) fn new(receiver: &str) -> Self {
        Self { receiver: receiver.to_owned(), ..Self::default() }
    }

    /// Whether a message is told alone; if not, its alerts wait for the summary.
    pub(super) fn lets_through(
        &mut self,
        urgency: Urgency,
        messages: usize,
        alerts: impl Iterator<Item = u64>,
        now_ms: i64,
    ) -> bool {
        self.recent.retain(|at| now_ms - at < WINDOW_MS);
        if (!self.storm || urgency == Urgency::Critical)
            && self.recent.len() < urgency.limit(messages)
        {
            self.recent.push_back(now_ms);
            return true;
        }
        self.held.extend(alerts);
        self.held_messages += 1;
        self.storm |= self.held_messages > FEW;
        self.next_ms.get_or_insert(now_ms + FIRST_SUMMARY_MS);
        false
    }

    /// When [`Self::sum_up`] is due.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.next_ms
    }

    pub(super) fn holds(&self, alert: u64) -> bool {
        self.held.contains(&alert)
    }

    /// The alerts to tell of now, in one message; none if nothing was held since the last one.
    pub(super) fn sum_up(&mut self, now_ms: i64) -> BTreeSet<u64> {
        let few = self.held_messages <= FEW;
        let alerts = std::mem::take(&mut self.held);
        self.held_messages = 0;
        if few {
            (self.next_ms, self.summaries, self.storm) = (None, 0, false);
        } else {
            let wait_ms = WINDOW_MS.saturating_mul(1 << self.summaries.min(10));
            self.next_ms = Some(now_ms + wait_ms.min(MAX_SUMMARY_MS));
            self.summaries += 1;
        }
        if !alerts.is_empty() {
            self.number += 1;
        }
        alerts
    }

    /// Puts times that lie in the future back to now, as the clock was set back.
    pub(super) fn clamp(&mut self, now_ms: i64) {
        self.recent.iter_mut().for_each(|at| *at = now_ms.min(*at));
        self.next_ms = self.next_ms.map(|next| next.min(now_ms + MAX_SUMMARY_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_go_alone_and_the_rest_in_one_message() {
        let mut gate = Gate::new("team");
        let alone = (0..1_000_u64)
            .filter(|alert| gate.lets_through(Urgency::Firing, 5, [*alert].into_iter(), 0))
            .count();
        assert_eq!(alone, 5);
        let critical = (1_000..1_010_u64)
            .filter(|alert| gate.lets_through(Urgency::Critical, 5, [*alert].into_iter(), 0))
            .count();
        assert_eq!(critical, 3);
        assert_eq!(gate.next_ms(), Some(10_000));
        assert_eq!(gate.sum_up(10_000).len(), 1_002);
        assert!(!gate.lets_through(Urgency::Firing, 5, [7].into_iter(), 60_500));
        assert_eq!(gate.sum_up(70_000), [7].into());
        assert_eq!(gate.next_ms(), None);
        assert!(gate.lets_through(Urgency::Firing, 5, [8].into_iter(), 70_001));
    }

    #[test]
    fn a_storm_that_goes_on_is_told_more_rarely() {
        let mut gate = Gate::new("team");
        let mut summaries = Vec::new();
        for second in 0..1_200 {
            let now_ms = second * 1_000;
            if gate.next_ms().is_some_and(|next| next <= now_ms) {
                gate.sum_up(now_ms);
                summaries.push(second);
            }
            gate.lets_through(Urgency::Firing, 5, [second as u64].into_iter(), now_ms);
        }
        assert_eq!(summaries, [15, 75, 195, 435, 735, 1_035]);
    }
}

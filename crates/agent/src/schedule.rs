//! When to collect: pure, given both clocks.
//!
//! Ticks stand on multiples of the interval in wall-clock time, so that hosts can be compared point by
//! point. A tick is due when the wall clock is in another step than at the last tick, unless hardly
//! any time has really passed; so a clock that jumps either way costs at most one tick.

use crate::source::Tick;

/// A tick within this part of its interval counts as on time, so 20 ms at one second.
const PUNCTUAL_SHARE: i64 = 50;
/// Shortest interval that a server may ask for.
const MIN_INTERVAL_MS: i64 = 1_000;
/// Longest lease that a server may ask for.
const MAX_LEASE_MS: i64 = 3_600_000;

/// A collection that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) tick: Tick,
    /// The time that its samples bear.
    pub(crate) timestamp_ms: i64,
}

/// The cadence of an agent.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval_ms: i64,
    slow_interval_ms: i64,
    boost: Option<Boost>,
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Boost {
    interval_ms: i64,
    until_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    step_ms: i64,
    slow_step_ms: i64,
    /// Monotonic milliseconds.
    at: i64,
}

impl Schedule {
    /// A schedule whose first tick is due at once. Intervals are at least 1 ms.
    pub(crate) fn new(interval_ms: i64, slow_interval_ms: i64) -> Self {
        let slow_interval_ms = slow_interval_ms.max(interval_ms);
        Self { interval_ms, slow_interval_ms, boost: None, last: None }
    }

    /// Replaces the fast interval, on a word of the server.
    pub(crate) fn set_interval(&mut self, interval_ms: i64) {
        self.interval_ms = interval_ms.max(MIN_INTERVAL_MS);
        self.slow_interval_ms = self.slow_interval_ms.max(self.interval_ms);
    }

    /// Replaces both intervals, with settings of the server or the agent's own.
    pub(crate) fn set_intervals(&mut self, interval_ms: i64, slow_interval_ms: i64) {
        self.interval_ms = interval_ms;
        self.slow_interval_ms = slow_interval_ms.max(interval_ms);
    }

    /// Collects every `interval_ms` until the lease ends; a lease of 0 ends the last one.
    pub(crate) fn boost(&mut self, interval_ms: i64, lease_ms: i64, monotonic_ms: i64) {
        let until_ms = monotonic_ms + lease_ms.clamp(0, MAX_LEASE_MS);
        self.boost = Some(Boost { interval_ms: interval_ms.max(MIN_INTERVAL_MS), until_ms });
    }

    fn interval_ms(&self, monotonic_ms: i64) -> i64 {
        match self.boost {
            Some(boost) if monotonic_ms < boost.until_ms => boost.interval_ms.min(self.interval_ms),
            _ => self.interval_ms,
        }
    }

    /// The collection that is due now, if one is.
    pub(crate) fn poll(&mut self, wall_ms: i64, monotonic_ms: i64) -> Option<Due> {
        let interval_ms = self.interval_ms(monotonic_ms);
        let step_ms = step(wall_ms, interval_ms);
        let slow_step_ms = step(wall_ms, self.slow_interval_ms);
        if let Some(last) = &mut self.last {
            if step_ms == last.step_ms {
                return None;
            }
            if monotonic_ms - last.at < interval_ms / 2 {
                // The last tick stands for this step too; the next one is on the grid again.
                last.step_ms = step_ms;
                return None;
            }
        }
        let full = self.last.is_none_or(|last| last.slow_step_ms != slow_step_ms);
        self.last = Some(Last { step_ms, slow_step_ms, at: monotonic_ms });
        // A late sample keeps its true time: to call it punctual would bend every rate over it.
        let punctual = wall_ms - step_ms <= interval_ms / PUNCTUAL_SHARE;
        Some(Due {
            tick: if full { Tick::Full } else { Tick::Fast },
            timestamp_ms: if punctual { step_ms } else { wall_ms },
        })
    }

    /// Milliseconds until [`Schedule::poll`] should be asked again.
    pub(crate) fn wait_ms(&self, wall_ms: i64, monotonic_ms: i64) -> i64 {
        let interval_ms = self.interval_ms(monotonic_ms);
        let to_next_step = step(wall_ms, interval_ms) + interval_ms - wall_ms;
        let Some(last) = self.last else { return 0 };
        if step(wall_ms, interval_ms) == last.step_ms { to_next_step } else { 0 }
    }
}

fn step(wall_ms: i64, interval_ms: i64) -> i64 {
    wall_ms.div_euclid(interval_ms) * interval_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Option<Tick> = Some(Tick::Fast);
    const FULL: Option<Tick> = Some(Tick::Full);

    /// Wall and monotonic time in turn, and what is due then: which, with which timestamp.
    #[track_caller]
    fn check(schedule: &mut Schedule, steps: &[(i64, i64, Option<Tick>, i64)]) {
        for &(wall_ms, monotonic_ms, tick, timestamp_ms) in steps {
            let expected = tick.map(|tick| Due { tick, timestamp_ms });
            assert_eq!(schedule.poll(wall_ms, monotonic_ms), expected, "at {wall_ms}");
        }
    }

    #[test]
    fn ticks_stand_on_the_steps_of_the_wall_clock() {
        let mut schedule = Schedule::new(5_000, 30_000);
        check(
            &mut schedule,
            &[
                (103_000, 0, FULL, 103_000),
                (104_999, 1_999, None, 0),
                (105_002, 2_502, FAST, 105_000),
                (105_003, 2_503, None, 0),
                (110_000, 7_500, FAST, 110_000),
                (120_001, 17_501, FULL, 120_000),
                (125_000, 22_500, FAST, 125_000),
                (139_000, 36_500, FAST, 139_000),
            ],
        );
        assert_eq!(schedule.wait_ms(139_000, 36_500), 1_000);
    }

    #[test]
    fn a_jump_of_the_clock_costs_at_most_one_tick() {
        let mut schedule = Schedule::new(5_000, 30_000);
        check(
            &mut schedule,
            &[
                (100_000, 0, FULL, 100_000),
                // An hour back, between two ticks.
                (-3_497_000, 3_000, FULL, -3_497_000),
                (-3_495_000, 5_000, None, 0),
                (-3_490_000, 10_000, FAST, -3_490_000),
                // A day forward.
                (86_400_000, 12_600, FULL, 86_400_000),
                // A few milliseconds back over the edge of a step and on again: no second tick.
                (86_399_999, 12_650, None, 0),
                (86_400_001, 12_652, None, 0),
            ],
        );
    }

    #[test]
    fn other_intervals_hold_from_the_next_tick_on() {
        let mut schedule = Schedule::new(5_000, 30_000);
        check(&mut schedule, &[(60_000, 0, FULL, 60_000)]);
        schedule.set_intervals(2_000, 1_000);
        let steps = [(62_000, 2_000, FULL, 62_000), (64_000, 4_000, FULL, 64_000)];
        check(&mut schedule, &steps);
    }

    #[test]
    fn a_boost_ends_by_itself() {
        let mut schedule = Schedule::new(5_000, 30_000);
        check(&mut schedule, &[(60_000, 0, FULL, 60_000)]);
        schedule.boost(1_000, 2_500, 0);
        check(
            &mut schedule,
            &[
                (61_000, 1_000, FAST, 61_000),
                (62_000, 2_000, FAST, 62_000),
                (63_000, 3_000, None, 0),
                (65_000, 5_000, FAST, 65_000),
            ],
        );
        schedule.boost(1_000, i64::MAX, 5_000);
        check(&mut schedule, &[(66_000, 6_000, FAST, 66_000)]);
        schedule.boost(1_000, 0, 6_000);
        check(&mut schedule, &[(67_000, 7_000, None, 0), (70_000, 10_000, FAST, 70_000)]);
        schedule.boost(1, 10_000, 10_000);
        check(&mut schedule, &[(70_900, 10_900, None, 0), (71_000, 11_000, FAST, 71_000)]);
    }

    #[test]
    fn the_wait_is_never_longer_than_an_interval() {
        let mut schedule = Schedule::new(5_000, 30_000);
        assert_eq!(schedule.wait_ms(1, 1), 0);
        schedule.poll(103_000, 0);
        for (wall_ms, monotonic_ms) in [(103_000, 0), (104_999, 1), (-77, 2), (i64::MAX / 2, 9_999)]
        {
            let wait = schedule.wait_ms(wall_ms, monotonic_ms);
            assert!((0..=5_000).contains(&wait), "{wait}");
        }
    }
}

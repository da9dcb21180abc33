//! When to collect, and what of it the server gets: pure, given both clocks.
//!
//! Ticks stand on multiples of their interval in wall-clock time, so that hosts can be compared point by
//! point. A tick is due when the wall clock is in another step than at the last tick, unless hardly
//! any time has really passed; so a clock that jumps either way costs at most one tick.
//!
//! Between the ticks whose samples are sent stand those that only the recorder keeps. When the agent costs too
//! much those fall away first, then all intervals grow ([`Schedule::slow_down`]).

use muster_wire::Configuration;

use crate::source::Tick;

/// A tick within this part of its interval counts as on time, so 20 ms at one second.
const PUNCTUAL_SHARE: i64 = 50;
/// Shortest and longest interval that a server may ask for.
const MIN_INTERVAL_MS: i64 = *Configuration::FAST_INTERVALS_MS.start();
const MAX_INTERVAL_MS: i64 = *Configuration::FAST_INTERVALS_MS.end();
/// Longest lease that a server may ask for.
const MAX_LEASE_MS: i64 = 3_600_000;
/// The slowest level: eight times the configured intervals.
pub(crate) const SLOWEST: u32 = 4;

/// A collection that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) tick: Tick,
    /// Whether the server gets it; else it is for the recorder alone.
    pub(crate) sent: bool,
    /// The time that its samples bear.
    pub(crate) timestamp_ms: i64,
    /// How long ago it should have been.
    pub(crate) late_ms: i64,
}

/// How often the parts of a host are looked at, as configured; milliseconds, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "their unit is part of their names")]
pub(crate) struct Cadence {
    /// From one fast collection that is sent to the next.
    pub(crate) interval_ms: i64,
    /// From one slow collection to the next.
    pub(crate) slow_interval_ms: i64,
    /// From one fast collection that is recorded to the next; none if there is no recorder.
    pub(crate) record_ms: Option<i64>,
}

/// The cadence of an agent as it goes.
#[derive(Debug)]
pub(crate) struct Schedule {
    cadence: Cadence,
    boost: Option<Boost>,
    level: u32,
    last: Option<Last>,
    /// What a tick that was skipped should have brought; the next one brings it.
    owed: Parts,
}

#[derive(Debug, Clone, Copy)]
struct Boost {
    interval_ms: i64,
    until_ms: i64,
}

/// When there was a tick last, one that was sent, and a slow one, by the wall clock.
#[derive(Debug, Clone, Copy)]
struct Last {
    tick_ms: i64,
    sent_ms: i64,
    slow_ms: i64,
    /// When there was one last by the monotonic clock.
    at: i64,
}

/// The intervals that hold now, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Intervals {
    tick: i64,
    sent: i64,
    slow: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    sent: bool,
    slow: bool,
}

impl Schedule {
    /// A schedule whose first tick, with all its parts, is due at once.
    pub(crate) fn new(cadence: Cadence) -> Self {
        let owed = Parts { sent: true, slow: true };
        Self { cadence, boost: None, level: 0, last: None, owed }
    }

    /// Replaces the fast interval, on a word of the server.
    pub(crate) fn set_interval(&mut self, interval_ms: i64) {
        self.cadence.interval_ms = interval_ms.clamp(MIN_INTERVAL_MS, MAX_INTERVAL_MS);
    }

    /// Replaces both intervals, with settings of the server or the agent's own.
    pub(crate) fn set_intervals(&mut self, interval_ms: i64, slow_interval_ms: i64) {
        self.cadence.interval_ms = interval_ms;
        self.cadence.slow_interval_ms = slow_interval_ms.max(interval_ms);
    }

    /// Replaces the interval of what is only recorded; none ends that.
    pub(crate) fn set_record_interval(&mut self, record_ms: Option<i64>) {
        self.cadence.record_ms = record_ms;
    }

    /// Sends every `interval_ms` until the lease ends; a lease of 0 ends the last one.
    pub(crate) fn boost(&mut self, interval_ms: i64, lease_ms: i64, monotonic_ms: i64) {
        let until_ms = monotonic_ms + lease_ms.clamp(0, MAX_LEASE_MS);
        self.boost = Some(Boost {
            interval_ms: interval_ms.clamp(MIN_INTERVAL_MS, MAX_INTERVAL_MS),
            until_ms,
        });
    }

    /// Goes slower the higher the level, [`SLOWEST`] at most: at 0 as configured, at 1 nothing is collected that is not
    /// sent, and each level from there on doubles the intervals.
    pub(crate) fn slow_down(&mut self, level: u32) {
        self.level = level.min(SLOWEST);
    }

    /// Milliseconds from one collection to the next, and from one that is sent to the next.
    pub(crate) fn intervals_ms(&self, monotonic_ms: i64) -> (i64, i64) {
        let Intervals { tick, sent, .. } = self.intervals(monotonic_ms);
        (tick, sent)
    }

    /// How many times as often would be collected one level lower; 1 at the lowest.
    pub(crate) fn quickening(&self, monotonic_ms: i64) -> f64 {
        let at = |level| self.intervals_at(level, monotonic_ms).tick as f64;
        at(self.level) / at(self.level.saturating_sub(1))
    }

    fn intervals(&self, monotonic_ms: i64) -> Intervals {
        self.intervals_at(self.level, monotonic_ms)
    }

    fn intervals_at(&self, level: u32, monotonic_ms: i64) -> Intervals {
        let Cadence { interval_ms, slow_interval_ms, record_ms } = self.cadence;
        let factor = 1 << level.saturating_sub(1);
        let own = interval_ms * factor;
        let sent = match self.boost {
            Some(boost) if monotonic_ms < boost.until_ms => own.min(boost.interval_ms << level),
            _ => own,
        };
        // Only where the one is a multiple of the other do both stand on even steps.
        let recorded = record_ms.filter(|record| level == 0 && sent % record == 0);
        Intervals {
            tick: recorded.unwrap_or(sent),
            sent,
            slow: (slow_interval_ms * factor).max(sent),
        }
    }

    /// The collection that is due now, if one is.
    pub(crate) fn poll(&mut self, wall_ms: i64, monotonic_ms: i64) -> Option<Due> {
        let intervals = self.intervals(monotonic_ms);
        let step_ms = step(wall_ms, intervals.tick);
        let mut parts = self.owed;
        let mut late_ms = 0;
        if let Some(last) = &mut self.last {
            if step_ms == step(last.tick_ms, intervals.tick) {
                return None;
            }
            if monotonic_ms - last.at < intervals.tick / 2 {
                // The last tick stands for this step too; the next one is on the grid again.
                last.tick_ms = wall_ms;
                return None;
            }
            late_ms = wall_ms - step_ms;
            let is_new = |last_ms, interval| step(wall_ms, interval) != step(last_ms, interval);
            parts.sent |= is_new(last.sent_ms, intervals.sent);
            parts.slow |= is_new(last.slow_ms, intervals.slow);
        }
        self.owed = Parts::default();
        parts.sent |= parts.slow;
        let last = self.last.get_or_insert(Last {
            tick_ms: wall_ms,
            sent_ms: wall_ms,
            slow_ms: wall_ms,
            at: monotonic_ms,
        });
        (last.tick_ms, last.at) = (wall_ms, monotonic_ms);
        if parts.sent {
            last.sent_ms = wall_ms;
        }
        if parts.slow {
            last.slow_ms = wall_ms;
        }
        // A late sample keeps its true time: to call it punctual would bend every rate over it.
        let punctual = wall_ms - step_ms <= intervals.tick / PUNCTUAL_SHARE;
        Some(Due {
            tick: if parts.slow { Tick::Full } else { Tick::Fast },
            sent: parts.sent,
            timestamp_ms: if punctual { step_ms } else { wall_ms },
            late_ms,
        })
    }

    /// A collection that was due could not be made. The next one brings all that it should have brought.
    pub(crate) fn skipped(&mut self, due: Due) {
        self.owed.sent |= due.sent;
        self.owed.slow |= due.tick == Tick::Full;
    }

    /// Milliseconds until [`Schedule::poll`] should be asked again.
    pub(crate) fn wait_ms(&self, wall_ms: i64, monotonic_ms: i64) -> i64 {
        let interval_ms = self.intervals(monotonic_ms).tick;
        let Some(last) = self.last else { return 0 };
        let now = step(wall_ms, interval_ms);
        if now == step(last.tick_ms, interval_ms) { now + interval_ms - wall_ms } else { 0 }
    }
}

fn step(wall_ms: i64, interval_ms: i64) -> i64 {
    wall_ms.div_euclid(interval_ms) * interval_ms
}

#[cfg(test)]
mod tests;

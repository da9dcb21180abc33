//! Rhythm and noise whose running total can be computed at any moment, without a past.
//!
//! A busy host has days, and minutes that differ. To be reproducible, a counter must be a function
//! of time alone, so the rate is built from parts whose integral has a closed form:
//!
//! 1. a level;
//! 2. a sine with the period of a day;
//! 3. noise in windows of 4 s, 1 min and 15 min: in the first half of each window the rate is
//!    higher by a random amount, in the second lower by the same. Every window adds nothing to the
//!    total in the end, so only the one that contains the moment matters.
//!
//! The shares of 2 and 3 stay below one together, so a rate is never negative and a total never falls.

use std::f64::consts::TAU;

/// The period of the daily rhythm, in seconds.
const DAY_S: f64 = 86_400.0;
/// The noise windows in milliseconds. Each divides [`ORIGIN_STEP_MS`].
const WINDOWS_MS: [i64; 3] = [4_000, 60_000, 900_000];
/// Share of the level by which each window's noise can differ, for a wave of full noise.
const WINDOW_SHARE: f64 = 0.14;
/// Share of the level by which the day differs from the night, at most.
const DAY_SHARE: f64 = 0.5;

/// Totals that begin at a multiple of this begin between noise windows, and so at zero exactly.
pub(crate) const ORIGIN_STEP_MS: i64 = 900_000;

/// A rate that follows the day, with noise; in units a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wave {
    /// The mean rate.
    pub(crate) level: f64,
    /// How much the day matters: 0 not at all, 1 as much as it can.
    pub(crate) daily: f64,
    /// When in the day it is highest, in seconds after midnight UTC.
    pub(crate) peak_s: f64,
    /// How much noise there is: 0 none, 1 as much as there can be.
    pub(crate) noise: f64,
    /// Which noise: waves with different numbers are independent.
    pub(crate) stream: u64,
}

impl Wave {
    /// The rate at a moment, smooth in time: for gauges.
    pub(crate) fn rate(&self, at_ms: i64) -> f64 {
        let day = (TAU * (seconds(at_ms) - self.peak_s) / DAY_S).cos();
        let noise: f64 = WINDOWS_MS
            .iter()
            .map(|&window_ms| {
                let (random, into_s, half_s) = self.window(window_ms, at_ms);
                random * tent(into_s, half_s) / half_s
            })
            .sum();
        self.level * (1.0 + DAY_SHARE * self.daily * day + self.noise * WINDOW_SHARE * noise)
    }

    /// What the rate adds up to from `origin_ms`, a multiple of [`ORIGIN_STEP_MS`], to `at_ms`.
    pub(crate) fn total(&self, origin_ms: i64, at_ms: i64) -> f64 {
        let angle = |ms: i64| TAU * (seconds(ms) - self.peak_s) / DAY_S;
        let day = (angle(at_ms).sin() - angle(origin_ms).sin()) * DAY_S / TAU;
        let noise: f64 = WINDOWS_MS
            .iter()
            .map(|&window_ms| {
                let (random, into_s, half_s) = self.window(window_ms, at_ms);
                random * tent(into_s, half_s)
            })
            .sum();
        let elapsed = seconds(at_ms - origin_ms);
        self.level * (elapsed + DAY_SHARE * self.daily * day + self.noise * WINDOW_SHARE * noise)
    }

    /// The random amount of the window around a moment, the seconds since its begin, and half its
    /// length in seconds.
    fn window(&self, window_ms: i64, at_ms: i64) -> (f64, f64, f64) {
        let number = at_ms.div_euclid(window_ms);
        let into_s = seconds(at_ms.rem_euclid(window_ms));
        let random = 2.0 * fraction(mix(self.stream, (number ^ window_ms << 40) as u64)) - 1.0;
        (random, into_s, seconds(window_ms) / 2.0)
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Rises from 0 to `half` and falls back to 0.
fn tent(into: f64, half: f64) -> f64 {
    into.min(2.0 * half - into)
}

/// A number that looks random and depends on both others: `SplitMix64`'s finalizer
/// (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add((number.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random number as a fraction of one.
pub(crate) fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN_MS: i64 = 1_736_000_100_000;

    fn lively(stream: u64) -> Wave {
        Wave { level: 7.5, daily: 1.0, peak_s: 50_000.0, noise: 1.0, stream }
    }

    #[test]
    fn a_total_begins_at_zero_and_never_falls() {
        assert_eq!(ORIGIN_MS % ORIGIN_STEP_MS, 0);
        for stream in 0..20 {
            let wave = lively(stream);
            assert!(wave.total(ORIGIN_MS, ORIGIN_MS).abs() < 1e-6);
            let mut before = 0.0;
            for step in 1..5_000 {
                let total = wave.total(ORIGIN_MS, ORIGIN_MS + step * 733);
                assert!(total > before, "{total} after {before} at step {step}");
                before = total;
            }
        }
    }

    #[test]
    fn the_total_of_whole_days_is_the_level() {
        let wave = lively(3);
        let total = wave.total(ORIGIN_MS, ORIGIN_MS + 10 * 86_400_000);
        assert!((total - 7.5 * 864_000.0).abs() < 1e-3, "{total}");
    }

    #[test]
    fn day_and_night_and_minutes_differ() {
        let wave = Wave { noise: 0.0, ..lively(3) };
        let midnight_ms = 1_736_035_200_000;
        assert!((wave.rate(midnight_ms + 50_000_000) - 7.5 * 1.5).abs() < 1e-9);
        assert!((wave.rate(midnight_ms + 6_800_000) - 7.5 * 0.5).abs() < 1e-9);

        let wave = Wave { daily: 0.0, ..lively(3) };
        let per_minute: Vec<i64> = (0..10)
            .map(|minute| ORIGIN_MS + 30_000 + minute * 60_000)
            .map(|ms| (wave.rate(ms) * 1000.0) as i64)
            .collect();
        let mut distinct = per_minute.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 10, "{per_minute:?}");
    }

    #[test]
    fn streams_are_independent() {
        let at_ms = ORIGIN_MS + 1_000;
        assert_ne!(lively(1).rate(at_ms), lively(2).rate(at_ms));
        assert_eq!(lively(1).rate(at_ms), lively(1).rate(at_ms));
    }
}

//! When a file system will be full, told from a few readings of what was left on it.
//!
//! 1. Three windows are looked at: six hours, a day, two weeks. In each, only what came after the last clearing counts.
//! 2. The pace is the median of the slopes between all pairs of readings (Theil and Sen), which a burst does not bend.
//! 3. It counts only where it is steady: most steps between neighbouring readings fill at something like that pace.
//! 4. A window foretells no further than its history carries; of the dates that stand, the earliest is told.

use muster_api::{Growth, GrowthKind};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A span of history that is judged by itself.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
pub(super) struct Window {
    pub(super) span_ms: i64,
    /// From one reading to the next.
    pub(super) step_ms: i64,
    /// How far ahead it can foretell.
    reach_ms: i64,
}

/// The windows, the shortest first.
pub(super) const WINDOWS: [Window; 3] = [
    Window { span_ms: 6 * HOUR_MS, step_ms: 15 * MINUTE_MS, reach_ms: 2 * DAY_MS },
    Window { span_ms: DAY_MS, step_ms: HOUR_MS, reach_ms: 60 * DAY_MS },
    Window { span_ms: 14 * DAY_MS, step_ms: DAY_MS, reach_ms: 730 * DAY_MS },
];

/// What was left on a file system at a moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) at_ms: i64,
    pub(super) left: f64,
}

/// Fewer readings tell nothing.
const MIN_READINGS: usize = 6;
/// What frees more than this share of the size at once is a clearing, after which the past says nothing.
const CLEARING: f64 = 0.01;
/// A step belongs to a pace if it fills at least at this share of it.
const STEP_SHARE: f64 = 0.2;
/// A pace is steady if at least this share of the steps belong to it.
const STEADY_SHARE: f64 = 0.6;
/// A file system that fills by less of its size a day does not fill.
const LEAST_A_DAY: f64 = 0.000_1;

/// What one window says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pace {
    TooShort,
    Unsteady,
    /// Bytes a millisecond, more than nothing.
    Steady(f64),
}

/// How a file system of `size` bytes fills; `readings` are those of each window, in time order.
pub(super) fn growth(size: f64, readings: &[Vec<Reading>; 3], now_ms: i64) -> Growth {
    let paces = [0, 1, 2].map(|window| pace(size, &readings[window]));
    let left = readings.iter().filter_map(|of| of.last()).max_by_key(|last| last.at_ms);
    let mut told: Option<(i64, f64)> = None;
    let mut steady = None;
    for (window, pace) in WINDOWS.iter().zip(paces) {
        let (Pace::Steady(pace), Some(newest)) = (pace, left) else { continue };
        steady = Some(pace);
        let ahead_ms = newest.left.max(0.0) / pace;
        if ahead_ms <= window.reach_ms as f64 {
            let full_ms = newest.at_ms + ahead_ms as i64;
            if told.is_none_or(|(earliest_ms, _)| full_ms < earliest_ms) {
                told = Some((full_ms, pace));
            }
        }
    }
    let a_day = |pace: f64| Some(pace * DAY_MS as f64);
    match (told, steady) {
        (Some((full_ms, pace)), _) => Growth {
            kind: GrowthKind::Steady,
            bytes_per_day: a_day(pace),
            full_ms: Some(calm(full_ms, now_ms)),
        },
        (None, Some(pace)) => {
            Growth { kind: GrowthKind::Steady, bytes_per_day: a_day(pace), full_ms: None }
        }
        (None, None) => {
            let unknown = paces.iter().all(|pace| *pace == Pace::TooShort);
            let kind = if unknown { GrowthKind::Unknown } else { GrowthKind::None };
            Growth { kind, bytes_per_day: None, full_ms: None }
        }
    }
}

fn pace(size: f64, readings: &[Reading]) -> Pace {
    let readings = since_clearing(size, readings);
    if readings.len() < MIN_READINGS {
        return Pace::TooShort;
    }
    let filled = |from: &Reading, to: &Reading| {
        (from.left - to.left) / (to.at_ms - from.at_ms).max(1) as f64
    };
    let mut slopes: Vec<f64> = Vec::with_capacity(readings.len() * readings.len() / 2);
    for (place, from) in readings.iter().enumerate() {
        slopes.extend(readings[place + 1..].iter().map(|to| filled(from, to)));
    }
    let middle = slopes.len() / 2;
    let (_, pace, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    let pace = *pace;
    if pace * DAY_MS as f64 <= size * LEAST_A_DAY {
        return Pace::Unsteady;
    }
    let belongs = |pair: &&[Reading]| filled(&pair[0], &pair[1]) >= STEP_SHARE * pace;
    let belonging = readings.windows(2).filter(belongs).count();
    let steady = belonging as f64 >= STEADY_SHARE * (readings.len() - 1) as f64;
    if steady { Pace::Steady(pace) } else { Pace::Unsteady }
}

fn since_clearing(size: f64, readings: &[Reading]) -> &[Reading] {
    let cleared =
        readings.windows(2).rposition(|pair| pair[1].left - pair[0].left > CLEARING * size);
    cleared.map_or(readings, |place| &readings[place + 1..])
}

/// A date as exact as its distance makes sense, so that it does not change at every look.
fn calm(full_ms: i64, now_ms: i64) -> i64 {
    let step_ms = match full_ms - now_ms {
        ..=DAY_MS => 10 * MINUTE_MS,
        ahead_ms if ahead_ms <= 14 * DAY_MS => HOUR_MS,
        _ => 12 * HOUR_MS,
    };
    full_ms - full_ms.rem_euclid(step_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: f64 = 1e12;
    const NOW_MS: i64 = 1_790_000_000_000 - 1_790_000_000_000 % DAY_MS;

    /// The growth of a file system of which `left` tells what is left so many hours ago, of `hours` of history.
    fn of(hours: i64, left: impl Fn(f64) -> f64) -> Growth {
        let readings = WINDOWS.map(|window| {
            let steps = window.span_ms.min(hours * HOUR_MS) / window.step_ms;
            (0..=steps)
                .rev()
                .map(|step| {
                    let ago_ms = step * window.step_ms;
                    let left = left(ago_ms as f64 / HOUR_MS as f64);
                    Reading { at_ms: NOW_MS - ago_ms, left }
                })
                .collect()
        });
        growth(SIZE, &readings, NOW_MS)
    }

    #[track_caller]
    fn check_full_in(hours: i64, left: impl Fn(f64) -> f64, expected_h: f64) {
        let found = of(hours, left);
        assert_eq!(found.kind, GrowthKind::Steady);
        let ahead_h = (found.full_ms.expect("a date") - NOW_MS) as f64 / HOUR_MS as f64;
        assert!((ahead_h - expected_h).abs() <= 0.05 * expected_h + 0.2, "{ahead_h} h");
    }

    #[track_caller]
    fn check_no_date(hours: i64, left: impl Fn(f64) -> f64, kind: GrowthKind) {
        let found = of(hours, left);
        assert_eq!((found.kind, found.full_ms), (kind, None));
    }

    const WEEKS: i64 = 14 * 24;

    #[test]
    fn a_steady_pace_gives_a_date() {
        let a_gigabyte_an_hour = |ago_h: f64| 1e11 + 1e9 * ago_h;
        check_full_in(WEEKS, a_gigabyte_an_hour, 100.0);
        check_full_in(24, a_gigabyte_an_hour, 100.0);
        check_full_in(WEEKS, |ago_h| 5e11 + 1e8 * ago_h, 5_000.0);
        // A little noise does not change it, nor do small files that come and go.
        check_full_in(WEEKS, |ago_h| 1e11 + 1e9 * ago_h + 3e8 * (ago_h * 7.3).sin(), 100.0);
    }

    #[test]
    fn what_began_a_few_hours_ago_is_seen() {
        check_full_in(WEEKS, |ago_h| 5e10 + 5e9 * ago_h.min(5.0), 10.0);
    }

    #[test]
    fn a_backup_every_night_is_steady_over_weeks() {
        let nights = |ago_h: f64| ((ago_h + 20.0) / 24.0).floor();
        check_full_in(WEEKS, |ago_h| 2e11 + 1e10 * nights(ago_h), 480.0);
    }

    #[test]
    fn after_a_clearing_only_what_came_since_counts() {
        let cleared = |ago_h: f64| if ago_h < 8.5 { 9e11 - 1e10 * (8.5 - ago_h) } else { 1e11 };
        check_full_in(WEEKS, cleared, 81.5);
    }

    #[test]
    fn no_steady_growth_no_date() {
        check_no_date(WEEKS, |_| 1e11, GrowthKind::None);
        check_no_date(WEEKS, |ago_h| 1e11 - 1e8 * ago_h, GrowthKind::None);
        check_no_date(WEEKS, |ago_h| 1e11 + 1e9 * (ago_h * 1.3).sin(), GrowthKind::None);
        // A burst of one hour, two hours ago.
        let burst = |ago_h: f64| 1e11 + 8e9 * (ago_h - 2.0).clamp(0.0, 1.0);
        check_no_date(WEEKS, burst, GrowthKind::None);
    }

    #[test]
    fn what_is_too_far_away_has_a_pace_and_no_date() {
        check_no_date(24, |ago_h| 9e11 + 1e8 * ago_h, GrowthKind::Steady);
    }

    #[test]
    fn a_young_file_system_is_not_judged() {
        check_no_date(1, |ago_h| 1e11 + 1e9 * ago_h, GrowthKind::Unknown);
        let nothing = growth(SIZE, &[vec![], vec![], vec![]], NOW_MS);
        assert_eq!(nothing.kind, GrowthKind::Unknown);
    }

    #[test]
    fn a_full_one_is_full_now() {
        let full = |ago_h: f64| (1e9 * ago_h - 5e8).max(0.0);
        check_full_in(WEEKS, full, 0.0);
    }
}

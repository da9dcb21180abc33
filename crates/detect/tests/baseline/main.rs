//! What a baseline learns, finds unusual, and does not.

#[path = "../chance/mod.rs"]
mod chance;

use chance::Chance;
use muster_detect::{Baseline, Direction, Judgement, Outlook, Sensitivity, judge};
use muster_series::Sample;
use proptest::prelude::*;
use std::f64::consts::TAU;

const STEP_MS: i64 = 300_000;
/// Points of an hour and of a day at five minutes.
const HOUR: i64 = 12;
const DAY: i64 = 288;
/// A Monday, 00:00 UTC.
const START_MS: i64 = 1_790_553_600_000;

/// What is told of each point of `values`, the first left out.
fn told(points: i64, wanted: Sensitivity, value: impl Fn(i64, &mut Chance) -> f64) -> Vec<Outlook> {
    let mut chance = Chance(7);
    let mut baseline = Baseline::new(START_MS - STEP_MS, value(-1, &mut chance));
    let mut tell = |at: i64| {
        let found = baseline.update(START_MS + at * STEP_MS, value(at, &mut chance), &wanted);
        found.unwrap_or(Outlook {
            expected: f64::NAN,
            lower: f64::NAN,
            upper: f64::NAN,
            score: 0.0,
            lasting: 0.0,
            unusual: false,
            shifted: false,
        })
    };
    (0..points).map(&mut tell).collect()
}

/// The hours of three weeks in which something is unusual, when three days are known.
#[track_caller]
fn check(value: impl Fn(i64, &mut Chance) -> f64, expected_hours: &[i64]) {
    let told = told(21 * DAY, Sensitivity::default(), value);
    let mut hours: Vec<i64> = told
        .iter()
        .enumerate()
        .skip(3 * DAY as usize)
        .filter(|(_, found)| found.unusual)
        .map(|(at, _)| at as i64 / HOUR)
        .collect();
    hours.dedup();
    assert_eq!(hours, expected_hours);
}

/// Busy by day: 20 to 60, with noise of σ 1.
fn rhythm(at: i64, chance: &mut Chance) -> f64 {
    40.0 - 20.0 * (at as f64 / DAY as f64 * TAU).cos() + chance.normal()
}

#[test]
fn it_is_small() {
    assert!(size_of::<Baseline>() <= 2_304, "{}", size_of::<Baseline>());
}

#[test]
fn a_rhythm_is_not_unusual() {
    check(rhythm, &[]);
}

#[test]
fn the_value_of_noon_is_unusual_at_night() {
    let night = 18 * DAY;
    let value = |at: i64, chance: &mut Chance| {
        if (night..night + 6).contains(&at) { 60.0 } else { rhythm(at, chance) }
    };
    check(value, &[18 * 24]);
}

#[test]
fn the_band_follows_the_rhythm() {
    let told = told(21 * DAY, Sensitivity::default(), rhythm);
    let (night, noon) = (told[20 * DAY as usize], told[(20 * DAY + DAY / 2) as usize]);
    assert!((15.0..25.0).contains(&night.expected) && night.upper < 35.0, "{night:?}");
    assert!((55.0..65.0).contains(&noon.expected) && noon.lower > 45.0, "{noon:?}");
}

#[test]
fn clocks_that_change_are_followed() {
    let change = 13 * DAY;
    for moved in [-HOUR, HOUR] {
        // A steep rhythm: quiet by night, 40 more from eight to five by people's clocks.
        let value = |at: i64, chance: &mut Chance| {
            let hour = (at + if at < change { 0 } else { moved }).rem_euclid(DAY) as f64 / 12.0;
            let busy = ((hour - 7.5) / 0.5).clamp(0.0, 1.0) - ((hour - 16.5) / 0.5).clamp(0.0, 1.0);
            20.0 + 40.0 * busy + chance.normal()
        };
        check(value, &[]);
        // And it is really followed: soon the old hours would be unusual.
        let told = told(21 * DAY, Sensitivity::default(), value);
        let morning = if moved > 0 { 7 * HOUR + 6 } else { 8 * HOUR + 6 };
        let found = told[(20 * DAY + morning) as usize];
        let expected = if moved > 0 { 45.0..75.0 } else { 5.0..35.0 };
        assert!(expected.contains(&found.expected), "{moved}: {found:?}");
    }
}

#[test]
fn a_job_of_every_night_is_learned() {
    let value = |at: i64, chance: &mut Chance| {
        let job = (24..30).contains(&at.rem_euclid(DAY));
        20.0 + 50.0 * f64::from(job) + chance.normal()
    };
    let told = told(21 * DAY, Sensitivity::default(), value);
    let unusual = |from: i64, to: i64| {
        told[(from * DAY) as usize..(to * DAY) as usize]
            .iter()
            .filter(|found| found.unusual)
            .count()
    };
    assert!(unusual(0, 3) > 0, "new at first");
    assert_eq!(unusual(5, 21), 0);
}

#[test]
fn missing_values_and_one_absurd_value_are_not_unusual() {
    let gap = 15 * DAY + 100..15 * DAY + 200;
    check(|at, chance| if gap.contains(&at) { f64::NAN } else { rhythm(at, chance) }, &[]);
    check(|at, chance| if at == 16 * DAY { 0.0 } else { rhythm(at, chance) }, &[]);
    check(|at, chance| if at == 16 * DAY { 1e9 } else { rhythm(at, chance) }, &[]);
}

#[test]
fn a_new_level_is_told_once_and_then_is_usual() {
    let from = 16 * DAY;
    let value =
        |at: i64, chance: &mut Chance| rhythm(at, chance) + if at < from { 0.0 } else { 30.0 };
    let told = told(21 * DAY, Sensitivity::default(), value);
    let unusual: Vec<i64> =
        (0..21 * DAY).filter(|at| told[*at as usize].unusual).map(|at| at - from).collect();
    assert!(unusual[0] >= 0 && unusual[0] <= 2, "{unusual:?}");
    assert!(*unusual.last().unwrap() <= 6 * HOUR, "{unusual:?}");
    let shifts: Vec<i64> =
        (0..21 * DAY).filter(|at| told[*at as usize].shifted).map(|at| at - from).collect();
    assert!(matches!(shifts[..], [at] if (2 * HOUR - 2..=3 * HOUR).contains(&at)), "{shifts:?}");
    // The way back is not told.
    let to = 17 * DAY;
    let back = |at: i64, chance: &mut Chance| {
        rhythm(at, chance) + if (from..to).contains(&at) { 30.0 } else { 0.0 }
    };
    check(back, &[16 * 24, 16 * 24 + 1, 16 * 24 + 2]);
}

#[test]
fn what_is_usual_is_learned_from_coarse_and_fine_steps() {
    for (step_ms, count) in [(3_600_000_i64, 21 * 24), (60_000, 21 * 1_440)] {
        let mut chance = Chance(3);
        let mut baseline = Baseline::new(START_MS - step_ms, 20.0);
        let day = 86_400_000 / step_ms;
        for at in 0..count {
            let night = at >= 18 * day && at < 18 * day + 3.max(day / 48);
            let usual = 40.0 - 20.0 * (at as f64 / day as f64 * TAU).cos() + chance.normal();
            let value = if night { 60.0 } else { usual };
            let found = baseline.update(START_MS + at * step_ms, value, &Sensitivity::default());
            let unusual = found.is_some_and(|found| found.unusual);
            let soon = at >= 18 * day && at <= 18 * day + 7 * 3_600_000 / step_ms;
            assert!(!unusual || soon, "{step_ms}: {at} {found:?}");
            assert!(unusual || at != 18 * day + 2, "{step_ms}: not found, {found:?}");
        }
    }
}

#[test]
fn only_what_is_asked_for_is_told() {
    let night = 18 * DAY;
    let value = |at: i64, chance: &mut Chance| {
        if (night..night + 6).contains(&at) { 60.0 } else { rhythm(at, chance) }
    };
    let count = |wanted: Sensitivity| {
        told(21 * DAY, wanted, value).iter().filter(|found| found.unusual).count()
    };
    let up = Sensitivity { direction: Direction::Up, ..Sensitivity::default() };
    let down = Sensitivity { direction: Direction::Down, ..Sensitivity::default() };
    assert!(count(up) > 0);
    assert_eq!(count(down), 0);
    assert!(count(Sensitivity { least_deviation: 30.0, ..up }) > 0);
    assert_eq!(count(Sensitivity { least_deviation: 50.0, ..up }), 0);
    assert_eq!(count(Sensitivity { scales: 1e6, ..up }), 0);
}

#[test]
fn what_is_not_newer_or_no_number_is_left_out() {
    let mut baseline = Baseline::new(START_MS, 1.0);
    let before = format!("{baseline:?}");
    for (at_ms, value) in [
        (START_MS, 2.0),
        (START_MS - 1, 2.0),
        (START_MS + 1, f64::NAN),
        (START_MS + 1, f64::INFINITY),
    ] {
        assert_eq!(baseline.update(at_ms, value, &Sensitivity::default()), None);
    }
    assert_eq!(format!("{baseline:?}"), before);
}

/// Three weeks of the rhythm with a fault, in order.
fn samples() -> Vec<Sample> {
    let mut chance = Chance(7);
    let night = 18 * DAY;
    let value = |at: i64, chance: &mut Chance| {
        if (night..night + 6).contains(&at) { 60.0 } else { rhythm(at, chance) }
    };
    (0..21 * DAY)
        .map(|at| Sample { timestamp_ms: START_MS + at * STEP_MS, value: value(at, &mut chance) })
        .collect()
}

fn judged(samples: &[Sample]) -> Judgement {
    judge(samples, &Sensitivity::default())
}

#[test]
fn a_whole_series_is_judged_as_it_would_have_been() {
    let samples = samples();
    let found = judged(&samples);
    let mut baseline = Baseline::new(START_MS, samples[0].value);
    for (sample, outlook) in samples.iter().zip(&found.outlooks).skip(1) {
        let told = baseline.update(sample.timestamp_ms, sample.value, &Sensitivity::default());
        assert_eq!(told, *outlook);
    }
    let [episode] = found.episodes[..] else { panic!("{:?}", found.episodes) };
    let night = START_MS + 18 * DAY * STEP_MS;
    assert!((night..night + 3 * STEP_MS).contains(&episode.from_ms), "{episode:?}");
    assert!(episode.to_ms <= night + 2 * 3_600_000 && episode.peak > 5.0, "{episode:?}");
}

#[test]
fn neither_order_nor_what_is_no_value_changes_what_is_told() {
    let mut untidy = samples();
    let expected = judged(&untidy);
    for at in (0..untidy.len()).step_by(5).rev() {
        let timestamp_ms = untidy[at].timestamp_ms;
        for value in [f64::NAN, f64::INFINITY, 1e300] {
            untidy.push(Sample { timestamp_ms: timestamp_ms + 1, value });
        }
        untidy.push(Sample { timestamp_ms, value: 1e6 });
    }
    untidy[..21 * DAY as usize].reverse();
    let found = judged(&untidy);
    assert_eq!(found.episodes, expected.episodes);
    assert!(found.outlooks[21 * DAY as usize..].iter().all(Option::is_none));
    assert_eq!(judged(&[]).episodes, []);
}

#[test]
fn the_unit_of_a_series_does_not_matter() {
    let expected = judged(&samples()).episodes;
    for unit in [1e-9, 1e-3, 1e12] {
        let mut scaled = samples();
        for sample in &mut scaled {
            sample.value *= unit;
        }
        let found = judged(&scaled).episodes;
        assert_eq!(found.len(), expected.len(), "{unit}: {found:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((found.from_ms, found.to_ms), (expected.from_ms, expected.to_ms), "{unit}");
            assert!((found.peak / expected.peak - 1.0).abs() < 0.01, "{unit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_panics_and_bands_hold_what_is_expected(
        values in prop::collection::vec(
            (1_i64..40_000_000, prop_oneof![4 => -1e12_f64..1e12, 1 => -1e36_f64..1e36, 1 => Just(0.0)]),
            1..400,
        ),
    ) {
        let mut baseline = Baseline::new(0, values[0].1);
        let mut at_ms = 0;
        for (step_ms, value) in values {
            at_ms += step_ms;
            let Some(found) = baseline.update(at_ms, value, &Sensitivity::default()) else { continue };
            prop_assert!(found.lower <= found.expected && found.expected <= found.upper, "{found:?}");
            prop_assert!(found.score >= 0.0 && found.lasting >= 0.0, "{found:?}");
        }
    }
}

#[test]
#[ignore = "measures: run with --release --nocapture"]
fn cost_of_a_hundred_thousand_series() {
    let mut baselines: Vec<Baseline> =
        (0..100_000).map(|series| Baseline::new(START_MS, f64::from(series))).collect();
    let mut chance = Chance(1);
    let noise: Vec<f64> = (0..1_024).map(|_| chance.normal()).collect();
    let rounds = 3 * DAY;
    let mut last = std::time::Duration::ZERO;
    for round in 1..=rounds {
        let began = std::time::Instant::now();
        for (series, baseline) in baselines.iter_mut().enumerate() {
            let value = 50.0 + noise[(series * 7 + round as usize * 13) % 1_024];
            baseline.update(START_MS + round * STEP_MS, value, &Sensitivity::default());
        }
        last = began.elapsed();
    }
    println!(
        "100,000 series: {last:?} for one value each, {} bytes a series",
        size_of::<Baseline>()
    );
}

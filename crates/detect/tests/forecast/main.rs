//! Forecasts over named shapes from a seed, beside Prometheus's `predict_linear` on the same.
//!
//! The numbers of `forecast.rs` were chosen on the seeds 1 to 20; the test is held to others. To see the table:
//! `cargo test -p muster-detect --test forecast -- --nocapture`.

#[path = "../chance/mod.rs"]
mod chance;
mod shapes;

use muster_detect::{Date, Forecast, NoDate, Record, Side, Target, Unknown, forecast};
use muster_series::Sample;
use proptest::prelude::*;
use shapes::{HORIZON, LIMIT, NOW_MS, SHAPES, SIZE, drawn};
use std::ops::Range;

const HOUR_MS: i64 = 3_600_000;
const TARGET: Target = Target { limit: LIMIT, side: Side::Rising, size: SIZE };

fn foretold(history: &[Sample]) -> Forecast {
    forecast(history, TARGET, NOW_MS, &Record::default())
}

fn hours(at_ms: i64) -> f64 {
    (at_ms - NOW_MS) as f64 / HOUR_MS as f64
}

/// The hours in which least squares over the last `window` hours sees the limit, within the horizon.
fn predict_linear(history: &[Sample], window: f64) -> Option<f64> {
    let points: Vec<(f64, f64)> = history
        .iter()
        .map(|sample| (hours(sample.timestamp_ms), sample.value))
        .filter(|(hour, value)| *hour >= -window && value.is_finite())
        .collect();
    let count = points.len() as f64;
    let sum = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
    let (x, y, xy, xx) = (sum(|p| p.0), sum(|p| p.1), sum(|p| p.0 * p.1), sum(|p| p.0 * p.0));
    let slope = (count * xy - x * y) / (count * xx - x * x);
    let level = (y - slope * x) / count;
    let ahead = ((LIMIT - level) / slope).max(0.0);
    (slope > 1e-9 && ahead <= HORIZON).then_some(ahead)
}

/// What a way of foretelling did on one shape.
#[derive(Debug, Default)]
struct Score {
    right: usize,
    /// Errors of dates, as shares of the true way; of each that was told where there is one.
    errors: Vec<f64>,
}

impl Score {
    fn note(&mut self, told: Option<f64>, truth: Option<f64>) {
        self.right += usize::from(told.is_some() == truth.is_some());
        if let (Some(told), Some(truth)) = (told, truth) {
            self.errors.push((told - truth).abs() / truth.max(0.5));
        }
    }

    fn error(&self) -> f64 {
        let mut errors = self.errors.clone();
        errors.sort_by(f64::total_cmp);
        errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// What all ways did on one shape.
struct Row {
    name: &'static str,
    ours: Score,
    /// How many true dates lay within the range.
    within: usize,
    six_hours: Score,
    a_day: Score,
}

fn rows(seeds: Range<u64>) -> Vec<Row> {
    let row = |&(name, fills, shape): &(&'static str, bool, _)| {
        let mut row = Row {
            name,
            ours: Score::default(),
            within: 0,
            six_hours: Score::default(),
            a_day: Score::default(),
        };
        for seed in seeds.clone() {
            let (history, truth) = drawn(shape, seed);
            assert_eq!(truth.is_some(), fills, "{name} {seed} is not what it says");
            let told = foretold(&history);
            let date = match &told {
                Forecast::Date(date) => Some(hours(date.at_ms)).filter(|ahead| *ahead <= HORIZON),
                _ => None,
            };
            if let (Forecast::Date(date), Some(truth)) = (&told, truth) {
                let latest = date.latest_ms.map_or(f64::INFINITY, hours);
                row.within +=
                    usize::from(hours(date.earliest_ms) <= truth + 0.1 && truth <= latest + 0.1);
            }
            row.ours.note(date, truth);
            row.six_hours.note(predict_linear(&history, 6.0), truth);
            row.a_day.note(predict_linear(&history, 24.0), truth);
        }
        row
    };
    SHAPES.iter().map(row).collect()
}

#[expect(clippy::print_stdout, reason = "the table is to be read")]
fn print(rows: &[Row], seeds: usize) {
    println!(
        "of {seeds} seeds: verdicts that are right, median error of the dates (share of the true way)"
    );
    println!(
        "{:30} {:>16} {:>9} {:>18} {:>18}",
        "shape", "ours", "in range", "linear 6 h", "linear 24 h"
    );
    for row in rows {
        let show = |score: &Score| format!("{:3} {:10.3}", score.right, score.error());
        println!(
            "{:30} {:>16} {:>9} {:>18} {:>18}",
            row.name,
            show(&row.ours),
            row.within,
            show(&row.six_hours),
            show(&row.a_day)
        );
    }
    let total = |of: fn(&Row) -> &Score| rows.iter().map(|row| of(row).right).sum::<usize>();
    println!(
        "right of {}: ours {}, linear 6 h {}, linear 24 h {}",
        rows.len() * seeds,
        total(|row| &row.ours),
        total(|row| &row.six_hours),
        total(|row| &row.a_day)
    );
}

#[test]
#[ignore = "to choose the numbers by"]
fn tuning() {
    print(&rows(1..21), 20);
}

#[test]
#[ignore = "the long form, to report by"]
fn report() {
    print(&rows(101..121), 20);
}

#[test]
fn shapes_are_judged_better_than_by_least_squares() {
    const SEEDS: usize = 8;
    let rows = rows(101..101 + SEEDS as u64);
    print(&rows, SEEDS);
    for row in &rows {
        assert!(row.ours.right >= SEEDS - 2, "{}: {:?}", row.name, row.ours);
        let error = row.ours.error();
        // What gets ever faster is told late; least squares over six hours tell it a little better.
        let most = if row.name == "exponential" { 0.5 } else { 0.15 };
        assert!(error.is_nan() || error <= most, "{}: error {error}", row.name);
        assert!(
            row.ours.errors.is_empty() || row.within >= SEEDS - 2,
            "{}: {}",
            row.name,
            row.within
        );
    }
    let total = |of: fn(&Row) -> &Score| rows.iter().map(|row| of(row).right).sum::<usize>();
    let all = SEEDS * SHAPES.len();
    assert!(total(|row| &row.ours) * 100 >= all * 97);
    assert!(total(|row| &row.ours) > total(|row| &row.six_hours));
    assert!(total(|row| &row.ours) > total(|row| &row.a_day));
}

/// The verdict on what `used` tells at hours from now, at steps of five minutes for so many hours.
fn of(history_hours: i64, used: impl Fn(f64) -> f64) -> Forecast {
    let history: Vec<Sample> = (-history_hours * 12..=0)
        .map(|step| Sample {
            timestamp_ms: NOW_MS + step * 300_000,
            value: used(step as f64 / 12.0),
        })
        .collect();
    foretold(&history)
}

#[track_caller]
fn check(history_hours: i64, used: impl Fn(f64) -> f64, expected: Forecast) {
    assert_eq!(of(history_hours, used), expected);
}

#[test]
fn each_verdict_has_its_reason() {
    check(168, |_| 96.0, Forecast::Reached);
    check(168, |_| 94.9, Forecast::NoDate(NoDate::Flat));
    check(168, |hour| 20.0 - 0.3 * hour, Forecast::NoDate(NoDate::Receding));
    check(168, |hour| 50.0 + 0.3 * hour.min(-20.0), Forecast::NoDate(NoDate::Stopped));
    check(168, |hour| 50.0 + 9.0 * (hour / 24.0).rem_euclid(1.0), Forecast::NoDate(NoDate::Cycle));
    check(0, |_| 50.0, Forecast::Unknown(Unknown::TooShort));
    check(168, |_| f64::NAN, Forecast::Unknown(Unknown::TooShort));
    check(168, |hour| if hour > -1.0 { f64::NAN } else { 50.0 }, Forecast::Unknown(Unknown::Stale));
    let far = of(24, |hour| 10.0 + 0.01 * hour);
    assert!(
        matches!(far, Forecast::NoDate(NoDate::TooFar { per_day }) if (per_day - 0.24).abs() < 1e-6)
    );
    let none = Target { size: 0.0, ..TARGET };
    let found = forecast(&[], none, NOW_MS, &Record::default());
    assert_eq!(found, Forecast::Unknown(Unknown::NoTarget));
}

#[test]
fn what_is_left_falls_to_none() {
    // A certificate of 90 days that ends in 20 and was renewed 70 days ago.
    let left = |hour: f64| (20.0 * 24.0 - hour) * 3_600.0;
    let history: Vec<Sample> = (-168..=0)
        .map(|hour| Sample { timestamp_ms: NOW_MS + hour * HOUR_MS, value: left(hour as f64) })
        .collect();
    let target = Target { limit: 0.0, side: Side::Falling, size: 90.0 * 86_400.0 };
    let found = forecast(&history, target, NOW_MS, &Record::default());
    let Forecast::Date(date) = found else { panic!("{found:?}") };
    assert!((hours(date.at_ms) - 480.0).abs() < 0.01, "{date:?}");
    assert!((date.per_day - 86_400.0).abs() < 1.0, "{date:?}");
}

#[test]
fn a_date_is_known_from_three_quarters_of_an_hour_on() {
    let fills = |hour: f64| 65.0 + 20.0 * (hour + 0.75);
    assert_eq!(of(0, fills), Forecast::Unknown(Unknown::TooShort));
    let Forecast::Date(date) = of(1, fills) else { panic!("no date") };
    assert!((hours(date.at_ms) - 0.75).abs() < 0.05, "{date:?}");
}

#[test]
fn four_weeks_know_a_rhythm_of_a_week_and_what_is_far_away() {
    for phase in 0..12 {
        let week = |hour: f64| {
            70.0 + 12.0 * (hour / 168.0 * std::f64::consts::TAU + f64::from(phase) / 2.0).sin()
        };
        let found = of(672, week);
        assert!(matches!(found, Forecast::NoDate(_)), "{phase}: {found:?}");
    }
    let Forecast::Date(date) = of(672, |hour| 45.0 + 0.01 * hour) else { panic!("no date") };
    assert!((hours(date.at_ms) - 5_000.0).abs() < 50.0, "{date:?}");
}

/// The width of the range told after so many forecasts, an hour apart, that promised what did not come.
fn width_after(forecasts: i64, comes: f64) -> i64 {
    let mut record = Record::default();
    let promise = Forecast::Date(Date {
        at_ms: NOW_MS + 20 * HOUR_MS,
        earliest_ms: NOW_MS + 19 * HOUR_MS,
        latest_ms: Some(NOW_MS + 21 * HOUR_MS),
        per_day: 24.0,
        window_ms: 24 * HOUR_MS,
    });
    for hour in 0..forecasts {
        let Forecast::Date(date) = promise else { unreachable!() };
        let now_ms = NOW_MS + 2 * hour * HOUR_MS;
        let again = Date { at_ms: date.at_ms + 2 * hour * HOUR_MS, ..date };
        record.note(&Forecast::Date(again), Side::Rising, 2.0 * hour as f64 * comes, now_ms);
    }
    let history: Vec<Sample> = (-288..=0)
        .map(|step| Sample {
            timestamp_ms: NOW_MS + step * 300_000,
            value: 75.0 + step as f64 / 12.0,
        })
        .collect();
    match forecast(&history, TARGET, NOW_MS, &record) {
        Forecast::Date(date) => date.latest_ms.expect("a bound") - date.earliest_ms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn past_errors_widen_the_range() {
    let fresh = width_after(0, 1.0);
    assert_eq!(width_after(20, 1.0), fresh, "what came as promised widens nothing");
    assert!(width_after(20, 0.5) > 2 * fresh);
    assert!(width_after(20, 2.0) > 2 * fresh);
    assert_eq!(width_after(3, 0.5), fresh, "a few errors say nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_panics_and_dates_are_in_order(
        values in prop::collection::vec((0_i64..7_200_000, prop::num::f64::ANY), 0..400),
        limit in prop::num::f64::ANY, size in prop::num::f64::ANY,
    ) {
        let mut at_ms = NOW_MS - 604_800_000;
        let history: Vec<Sample> = values
            .iter()
            .map(|(step_ms, value)| {
                at_ms += step_ms;
                Sample { timestamp_ms: at_ms, value: *value }
            })
            .collect();
        let target = Target { limit, side: Side::Falling, size };
        let found = forecast(&history, target, at_ms, &Record::default());
        if let Forecast::Date(date) = found {
            prop_assert!(at_ms <= date.earliest_ms && date.earliest_ms <= date.at_ms);
            prop_assert!(date.latest_ms.is_none_or(|latest_ms| latest_ms >= date.at_ms));
            prop_assert!(date.per_day > 0.0);
        }
    }

    /// Units do not matter, nor from which side the values come.
    #[test]
    fn scale_and_side_do_not_matter(seed in 1_u64..1_000, shape in 0..SHAPES.len(), power in -8_i32..8) {
        let (history, _) = drawn(SHAPES[shape].2, seed);
        let factor = 2.0_f64.powi(power);
        let turned: Vec<Sample> = history
            .iter()
            .map(|sample| Sample { value: (SIZE - sample.value) * factor, ..*sample })
            .collect();
        let target =
            Target { limit: (SIZE - LIMIT) * factor, side: Side::Falling, size: SIZE * factor };
        match (foretold(&history), forecast(&turned, target, NOW_MS, &Record::default())) {
            (Forecast::Date(a), Forecast::Date(b)) => {
                prop_assert!((a.at_ms - b.at_ms).abs() <= 60_000, "{a:?} {b:?}");
            }
            (a, b) => prop_assert_eq!(std::mem::discriminant(&a), std::mem::discriminant(&b)),
        }
    }

    /// A line of any pace, with a few wild values, is told to the hour.
    #[test]
    fn a_line_is_told_through_wild_values(
        ahead in 2.0_f64..150.0, wild in prop::collection::vec((0_usize..2_000, 0.0_f64..90.0), 0..20),
    ) {
        let mut history: Vec<Sample> = (-2_016..=0)
            .map(|step| Sample {
                timestamp_ms: NOW_MS + step * 300_000,
                value: LIMIT - 0.1 * ahead + 0.1 * step as f64 / 12.0,
            })
            .collect();
        for (place, value) in wild {
            history[place].value = history[place].value.min(value);
        }
        let found = foretold(&history);
        let Forecast::Date(date) = found else { panic!("{found:?}") };
        prop_assert!((hours(date.at_ms) - ahead).abs() <= 1.0 + 0.05 * ahead, "{date:?}");
    }
}

#[test]
#[ignore = "measures: run with --release --nocapture"]
fn cost_of_a_forecast() {
    const TIMES: u32 = 200;
    for (name, _, shape) in SHAPES {
        let (history, _) = drawn(shape, 1);
        let began = std::time::Instant::now();
        for _ in 0..TIMES {
            std::hint::black_box(foretold(std::hint::black_box(&history)));
        }
        println!("{name}: {:?} a forecast of {} values", began.elapsed() / TIMES, history.len());
    }
}

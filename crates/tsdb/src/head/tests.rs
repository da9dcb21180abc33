//! The head against a map, and what its form is to cost.

use std::collections::BTreeMap;

use muster_series::stale_marker;
use proptest::prelude::*;

use super::*;
use crate::SeriesId;
use crate::codec::column::any_value;

fn sample(series: u32, timestamp_ms: i64, value: f64) -> SeriesSample {
    SeriesSample { series: SeriesId(series), timestamp_ms, value }
}

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|&(timestamp, value)| (timestamp, value.to_bits())).collect()
}

/// Batches as they come: scrapes in order, columns of one series, single samples anywhere.
fn batches() -> impl Strategy<Value = Vec<Vec<SeriesSample>>> {
    let series = prop_oneof![Just(3_u32), 1020_u32..1030, Just(5000)];
    let single = (series, 0_i64..3000, any_value())
        .prop_map(|(series, timestamp, value)| vec![sample(series, timestamp, value)]);
    let scrape = (0_u32..4, 0_i64..3000, proptest::collection::vec(any_value(), 1..9)).prop_map(
        |(first, timestamp, values)| {
            let rows = values.into_iter().zip(first..);
            rows.map(|(value, series)| sample(series, timestamp, value)).collect()
        },
    );
    let column = (0_u32..9, 0_i64..2500, 1_i64..9, proptest::collection::vec(any_value(), 1..200))
        .prop_map(|(series, first, step, values)| {
            let rows = values.into_iter().zip(0..);
            rows.map(|(value, at)| sample(series, first + at * step, value)).collect()
        });
    let steady = (0_u32..9, 0_i64..2500, 1_usize..600).prop_map(|(series, first, count)| {
        (0..count).map(|at| sample(series, first + at as i64, (at / 50) as f64)).collect()
    });
    proptest::collection::vec(
        prop_oneof![4 => single, 4 => scrape, 1 => column, 1 => steady],
        0..60,
    )
}

proptest! {
    #[test]
    fn any_order_of_writing_reads_in_time_order(batches in batches(), from in 0_i64..3000, len in 0_i64..3000) {
        let head = Head::new(0);
        let mut model: BTreeMap<u32, BTreeMap<i64, u64>> = BTreeMap::new();
        for batch in &batches {
            head.push(batch);
            for sample in batch {
                let series = model.entry(sample.series.0).or_default();
                series.insert(sample.timestamp_ms, sample.value.to_bits());
            }
        }
        prop_assert_eq!(head.series(), model.keys().copied().collect::<Vec<_>>());
        prop_assert_eq!(head.series_count(), model.len());
        for (id, series) in model {
            let all: Vec<(i64, u64)> = series.iter().map(|(t, v)| (*t, *v)).collect();
            prop_assert_eq!(bits(&head.select(id, TimeRange::ALL)), all);
            let own = TimeRange::new(*series.keys().next().unwrap(), *series.keys().last().unwrap());
            prop_assert_eq!(head.series_range(id), Some(own));
            for start in [from, own.start_ms, own.end_ms] {
                let range = TimeRange::new(start, start + len);
                let expected: Vec<(i64, u64)> =
                    series.range(start..=start + len).map(|(t, v)| (*t, *v)).collect();
                prop_assert_eq!(bits(&head.select(id, range)), expected);
            }
        }
    }
}

#[test]
fn a_repeated_sample_is_no_new_one() {
    let head = Head::new(0);
    assert_eq!(head.push(&[sample(0, 1, 1.0), sample(1, 1, 2.0), sample(5000, 1, 3.0)]), 3);
    assert_eq!(head.push(&[sample(0, 1, 1.0)]), 0);
    assert_eq!(head.push(&[sample(0, 1, 2.0)]), 1);
    // The first value again is a change: the last written wins.
    assert_eq!(head.push(&[sample(0, 1, 1.0)]), 1);
    assert_eq!(head.select(0, TimeRange::ALL), [(1, 1.0)]);
    assert_eq!(head.series(), [0, 1, 5000]);
    assert_eq!(head.range(), TimeRange::new(1, 1));
    assert!(head.bytes() > 0);
}

/// Scrapes of two hundred series every fifteen seconds, some milliseconds early or late; bytes for each sample.
fn bytes_per_sample(scrapes: i64, value: impl Fn(i64, u32) -> f64) -> f64 {
    let head = Head::new(0);
    for scrape in 0..scrapes {
        let timestamp = 1_790_000_000_000 + scrape * 15_000 + scrape * 7919 % 13;
        let rows: Vec<SeriesSample> =
            (0..200).map(|series| sample(series, timestamp, value(scrape, series))).collect();
        head.push(&rows);
    }
    head.bytes() as f64 / head.samples() as f64
}

#[test]
fn the_commonest_samples_take_next_to_nothing() {
    let constant = bytes_per_sample(120, |_, series| f64::from(series) / 100.0);
    assert!(constant < 0.1, "{constant}");
    let counter = bytes_per_sample(120, |scrape, series| {
        (scrape * 1500 + scrape * 31 % 97 + i64::from(series)) as f64 / 100.0
    });
    assert!(counter < 2.7, "{counter}");
    let small =
        bytes_per_sample(120, |scrape, series| ((scrape + i64::from(series)) * 31 % 7) as f64);
    assert!(small < 1.7, "{small}");
}

#[test]
fn a_backfill_series_by_series_shares_its_instants() {
    let head = Head::new(0);
    for start in (0..400).step_by(10) {
        let rows: Vec<SeriesSample> = (0..200_u32)
            .flat_map(|series| (start..start + 10).map(move |at| sample(series, at * 15_000, 1.0)))
            .collect();
        head.push(&rows);
    }
    assert_eq!(head.samples(), 80_000);
    assert!(head.bytes() < 10_000, "{}", head.bytes());
}

#[test]
fn what_came_late_is_merged_and_costs_no_more_than_in_order() {
    let head = Head::new(0);
    let scrape = |at: i64| -> Vec<SeriesSample> {
        (0..100_u32).map(|series| sample(series, at * 1000, (at / 9) as f64)).collect()
    };
    (1000..1100).for_each(|at| _ = head.push(&scrape(at)));
    (0..1000).for_each(|at| _ = head.push(&scrape(at)));
    let samples = head.select(7, TimeRange::ALL);
    assert_eq!(samples.len(), 1100);
    assert!(samples.windows(2).all(|two| two[0].0 < two[1].0));
    // A quarter of the samples may still wait to be merged.
    let late = 100 * 1100 / 4 * 16;
    assert!(head.bytes() < late + 200_000, "{}", head.bytes());
}

#[test]
fn a_stale_marker_is_kept_bit_for_bit() {
    let head = Head::new(0);
    let values = [1.0, stale_marker(), -0.0, 0.0, 2.5, 2.5, f64::INFINITY, 0.1 + 0.2];
    let rows: Vec<SeriesSample> =
        values.iter().zip(0..).map(|(&value, at)| sample(9, at, value)).collect();
    head.push(&rows);
    let expected: Vec<(i64, u64)> =
        values.iter().zip(0..).map(|(value, at)| (at, value.to_bits())).collect();
    assert_eq!(bits(&head.select(9, TimeRange::ALL)), expected);
}

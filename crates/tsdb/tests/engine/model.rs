//! Any sequence of writes, cuts and restarts reads as a `BTreeMap` would.

use std::collections::BTreeMap;

use muster_environment::{Crash, MemoryDisk};
use muster_series::{Labels, Matcher, TimeRange, stale_marker};
use muster_tsdb::SelectLimits;
use proptest::prelude::*;

use crate::harness::{NOW_MS, append, contents, labels, open, select};

#[derive(Debug, Clone)]
enum Step {
    /// Writes these series at a time, given in minutes before now.
    Write {
        minutes_ago: i64,
        samples: Vec<(u8, f64)>,
    },
    /// Deletes these series from so many minutes before now to so many.
    Delete {
        hosts: &'static str,
        from_minutes_ago: i64,
        to_minutes_ago: i64,
    },
    Clean,
    Flush,
    Restart,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        8 => (0_i32..50).prop_map(f64::from),
        1 => Just(stale_marker()),
        1 => any::<f64>(),
    ];
    let samples = proptest::collection::vec((0_u8..6, value), 1..8);
    // Mostly within the hour, at times days ago, so that blocks of several partitions are written.
    let minutes_ago = prop_oneof![6 => 0_i64..60, 1 => 0_i64..6000];
    prop_oneof![
        12 => (minutes_ago, samples)
            .prop_map(|(minutes_ago, samples)| Step::Write { minutes_ago, samples }),
        2 => (prop_oneof![Just("web-1"), Just("web-[2-4]"), Just(".*")], 0_i64..6000, 0_i64..60)
            .prop_map(|(hosts, from_minutes_ago, to_minutes_ago)| Step::Delete {
                hosts,
                from_minutes_ago,
                to_minutes_ago,
            }),
        1 => Just(Step::Clean),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_sorted_map(steps in proptest::collection::vec(step(), 1..60)) {
        let mut disk = MemoryDisk::new();
        let mut db = open(disk.clone());
        let mut model: BTreeMap<(Labels, i64), u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write { minutes_ago, samples } => {
                    let timestamp = NOW_MS - minutes_ago * 60_000;
                    append(&db, timestamp, &samples).unwrap();
                    for (series, value) in samples {
                        model.insert((labels(series), timestamp), value.to_bits());
                    }
                }
                Step::Delete { hosts, from_minutes_ago, to_minutes_ago } => {
                    let matcher = Matcher::parse_pair("host", "=~", hosts).unwrap();
                    let [start, end] =
                        [from_minutes_ago, to_minutes_ago].map(|ago| NOW_MS - ago * 60_000);
                    let range = TimeRange::new(start, end);
                    db.delete_series(&[vec![matcher.clone()]], range).unwrap();
                    model.retain(|(labels, time), _| {
                        !range.contains(*time) || !matcher.matches(labels.get("host").unwrap())
                    });
                }
                Step::Clean => db.clean_tombstones().unwrap(),
                Step::Flush => db.flush().unwrap(),
                Step::Restart => {
                    db.close().unwrap();
                    db = open(disk.clone());
                }
                Step::Crash => {
                    disk = disk.crash_image(Crash::LoseUnsynced);
                    db = open(disk.clone());
                }
            }
        }
        let expected: Vec<(Labels, i64, u64)> =
            model.iter().map(|((labels, time), bits)| (labels.clone(), *time, *bits)).collect();
        prop_assert_eq!(contents(&db), expected.clone());
        let range = TimeRange::new(NOW_MS - 40 * 60_000, NOW_MS - 10 * 60_000);
        let matcher = Matcher::parse_pair("host", "=~", "web-[1-3]").unwrap();
        let narrowed: Vec<(Labels, i64, u64)> = expected
            .into_iter()
            .filter(|(labels, time, _)| {
                range.contains(*time) && matcher.matches(labels.get("host").unwrap())
            })
            .collect();
        let mut newest: BTreeMap<Labels, (i64, u64)> = BTreeMap::new();
        for (labels, time, bits) in &narrowed {
            newest.insert(labels.clone(), (*time, *bits));
        }
        let last = db.select_last(std::slice::from_ref(&matcher), range, &SelectLimits::default()).unwrap();
        let last: BTreeMap<Labels, (i64, u64)> = last
            .into_iter()
            .map(|one| (one.labels, (one.timestamps[0], one.values[0].to_bits())))
            .collect();
        prop_assert_eq!(last, newest);
        prop_assert_eq!(select(&db, &[matcher], range), narrowed);
    }
}

#[test]
fn head_and_blocks_answer_for_labels() {
    let db = open(MemoryDisk::new());
    append(&db, NOW_MS - 1000, &[(1, 1.0), (2, 2.0)]).unwrap();
    db.flush().unwrap();
    append(&db, NOW_MS, &[(2, 2.0), (3, 3.0)]).unwrap();
    let all = TimeRange::ALL;
    assert_eq!(db.label_names(&[], all, 10).unwrap(), ["__name__", "host"]);
    assert_eq!(db.label_values("host", &[], all, 10).unwrap(), ["web-1", "web-2", "web-3"]);
    assert_eq!(db.label_values("host", &[], all, 2).unwrap(), ["web-1", "web-2"]);
    let sets = [vec![Matcher::equal("host", "web-1")], vec![Matcher::equal("host", "web-3")]];
    assert_eq!(db.label_values("host", &sets, all, 10).unwrap(), ["web-1", "web-3"]);
    assert_eq!(db.series_labels(&sets, all, 10).unwrap(), [labels(1), labels(3)]);
    let now = TimeRange::new(NOW_MS, NOW_MS);
    assert_eq!(db.series_labels(&[], now, 10).unwrap(), [labels(2), labels(3)]);
    assert_eq!(db.label_values("none", &[], all, 10).unwrap(), Vec::<String>::new());
}

#[test]
fn a_series_only_in_blocks_is_not_in_memory_after_a_restart() {
    let disk = MemoryDisk::new();
    let db = open(disk.clone());
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    db.flush().unwrap();
    assert_eq!((db.stats().series, db.stats().head_samples, db.stats().blocks), (1, 0, 1));
    db.close().unwrap();
    let db = open(disk);
    assert_eq!((db.stats().series, db.stats().head_samples, db.stats().blocks), (0, 0, 1));
    assert_eq!(contents(&db).len(), 1);
}

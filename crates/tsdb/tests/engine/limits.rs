//! What is refused: samples by their time, series by their number and their labels, queries by their size, batches after the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muster_environment::{ManualClock, MemoryDisk};
use muster_series::{Labels, TimeRange};
use muster_tsdb::{Appended, Db, LabelLimits, Options, Refused, SelectLimits, TsdbError};

use crate::harness::{DIR, NOW_MS, append, contents, labels, open, options};

#[track_caller]
fn check(db: &Db, timestamp_ms: i64, expected: Appended) {
    assert_eq!(append(db, timestamp_ms, &[(1, 1.0)]).unwrap(), expected);
}

#[test]
fn samples_out_of_time_are_refused_and_counted() {
    let db = open(MemoryDisk::new());
    let taken = Appended { samples: 1, ..Appended::default() };
    let refused = |refused| Appended { refused, ..Appended::default() };
    check(&db, NOW_MS + 600_000, taken);
    check(&db, NOW_MS + 600_001, refused(Refused { too_new: 1, ..Refused::default() }));
    let oldest = NOW_MS - options().retention_ms;
    check(&db, oldest, taken);
    check(&db, oldest - 1, refused(Refused { too_old: 1, ..Refused::default() }));
    check(&db, NOW_MS + 600_000, Appended { duplicates: 1, ..Appended::default() });
    let stats = db.stats();
    assert_eq!(stats.refused_samples.total(), 2);
    assert_eq!((stats.appended_samples, stats.duplicate_samples), (2, 1));
}

#[test]
fn old_blocks_are_dropped() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let disk = Arc::new(MemoryDisk::new());
    let (db, _) = Db::open(Path::new(DIR), disk, clock.clone(), options()).unwrap();
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    db.flush().unwrap();
    clock.advance(options().retention_ms + 1);
    let later = NOW_MS + options().retention_ms + 1;
    append(&db, later, &[(1, 2.0)]).unwrap();
    db.flush().unwrap();
    assert_eq!(contents(&db).len(), 2, "one sample under a new clock proves nothing");
    append(&db, later - 86_400_000, &[(1, 1.5)]).unwrap();
    db.flush().unwrap();
    assert_eq!(
        contents(&db),
        [(labels(1), later - 86_400_000, 1.5_f64.to_bits()), (labels(1), later, 2.0_f64.to_bits())]
    );
    assert_eq!(db.stats().blocks, 2);
}

#[test]
fn series_and_queries_have_limits() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let options = Options { max_series: 2, ..options() };
    let (db, _) = Db::open(Path::new(DIR), Arc::new(MemoryDisk::new()), clock, options).unwrap();
    append(&db, NOW_MS, &[(1, 1.0), (2, 1.0)]).unwrap();
    let error = append(&db, NOW_MS, &[(3, 1.0)]).unwrap_err();
    assert!(matches!(error, TsdbError::SeriesLimit { limit: 2 }));
    assert_eq!(db.stats().refused_series, 1);
    append(&db, NOW_MS + 1, &[(1, 1.0), (2, 1.0)]).unwrap();
    let select = |max_series, max_samples| {
        let limits = SelectLimits { max_series, max_samples, ..SelectLimits::default() };
        db.select(&[], TimeRange::ALL, &limits)
    };
    assert_eq!(select(2, 4).unwrap().len(), 2);
    let query_limit = |result: Result<_, TsdbError>| match result {
        Err(TsdbError::QueryLimit { what, .. }) => what,
        Ok(_) => "no limit",
        Err(_) => "another error",
    };
    assert_eq!(query_limit(select(1, 4)), "series");
    assert_eq!(query_limit(select(2, 3)), "samples");
}

#[track_caller]
fn check_refused(db: &Db, pairs: &[(&str, &str)], expected: &str) {
    let before = db.stats();
    let error = db.series_from_pairs(pairs).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    let after = db.stats();
    assert_eq!((after.series, after.refused_series), (before.series, before.refused_series + 1));
}

#[test]
fn labels_have_limits() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let label_limits = LabelLimits { labels: 3, name_bytes: 10, value_bytes: 20 };
    let options = Options { label_limits, max_label_bytes: 60, ..options() };
    let (db, _) = Db::open(Path::new(DIR), Arc::new(MemoryDisk::new()), clock, options).unwrap();
    let long = "x".repeat(21);
    check_refused(
        &db,
        &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")],
        "4 labels, and at most 3",
    );
    check_refused(&db, &[(&long, "1")], "the name of a label takes 21 bytes, and at most 10");
    check_refused(&db, &[("a", &long)], "the value of a label takes 21 bytes, and at most 20");
    check_refused(&db, &[("b", "1"), ("a", "1")], "sorted by name");
    check_refused(&db, &[("a", "1"), ("a", "2")], "each name once");
    check_refused(&db, &[("", "1")], "no empty name");
    check_refused(&db, &[("a", "")], "no empty value");
    let first = db.series_from_pairs(&[("a", &long[1..]), ("b", &long[1..])]).unwrap();
    check_refused(&db, &[("a", "y"), ("b", &"y".repeat(18))], "60 bytes of label text");
    assert_eq!(db.series_from_pairs(&[("a", &long[1..]), ("b", &long[1..])]).unwrap(), first);
    assert_ne!(db.series_from_pairs(&[("b", &long[1..])]).unwrap(), first, "no text is new");
    let labels = Labels::from_pairs([("b", &long[1..]), ("a", &long[1..])]).unwrap();
    assert_eq!(db.series(&labels).unwrap(), first);
}

#[test]
fn a_query_that_nobody_waits_for_ends() {
    let db = open(MemoryDisk::new());
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    for flushed in [false, true] {
        let cancelled = Arc::new(AtomicBool::new(false));
        let limits =
            SelectLimits { cancelled: Some(Arc::clone(&cancelled)), ..SelectLimits::default() };
        assert_eq!(db.select(&[], TimeRange::ALL, &limits).unwrap().len(), 1);
        cancelled.store(true, Ordering::Relaxed);
        let stopped = db.select(&[], TimeRange::ALL, &limits);
        assert!(matches!(stopped, Err(TsdbError::Cancelled)), "flushed: {flushed}");
        db.flush().unwrap();
    }
}

#[test]
fn the_last_samples_are_the_newest_of_each_series() {
    let db = open(MemoryDisk::new());
    let last = |end_ms: i64| {
        let range = TimeRange::new(NOW_MS - 1000, end_ms);
        let found = db.select_last(&[], range, &SelectLimits::default()).unwrap();
        let mut last: Vec<(String, i64, f64)> = found
            .iter()
            .map(|series| (series.labels.to_string(), series.timestamps[0], series.values[0]))
            .collect();
        assert!(found.iter().all(|series| series.len() == 1));
        last.sort_by(|a, b| a.0.cmp(&b.0));
        last.into_iter().map(|(_, time, value)| (time - NOW_MS, value)).collect::<Vec<_>>()
    };
    append(&db, NOW_MS - 10, &[(1, 1.0), (2, 2.0)]).unwrap();
    append(&db, NOW_MS, &[(1, 3.0)]).unwrap();
    assert_eq!(last(NOW_MS), [(0, 3.0), (-10, 2.0)]);
    db.flush().unwrap();
    // Backfill is older than what is in the block, and a correction is of the same time.
    append(&db, NOW_MS - 20, &[(1, 4.0), (2, 5.0)]).unwrap();
    append(&db, NOW_MS - 10, &[(2, 6.0)]).unwrap();
    assert_eq!(last(NOW_MS), [(0, 3.0), (-10, 6.0)]);
    assert_eq!(last(NOW_MS - 1), [(-10, 1.0), (-10, 6.0)]);
    assert_eq!(last(NOW_MS - 11), [(-20, 4.0), (-20, 5.0)]);
}

#[test]
fn after_the_end_batches_are_refused_and_reading_goes_on() {
    let db = open(MemoryDisk::new());
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    db.close().unwrap();
    db.close().unwrap();
    assert!(matches!(append(&db, NOW_MS, &[(1, 2.0)]), Err(TsdbError::Closed)));
    assert!(matches!(db.flush(), Err(TsdbError::Closed)));
    assert_eq!(contents(&db).len(), 1);
}

#[test]
fn blocks_are_merged_and_the_log_is_dropped() {
    let db = open(MemoryDisk::new());
    for step in 0..20 {
        append(&db, NOW_MS - 1000 * step, &[(1, step as f64), (2, 0.5)]).unwrap();
        db.flush().unwrap();
    }
    let stats = db.stats();
    assert!(stats.blocks < 8 && stats.compactions > 0, "{stats:?}");
    assert_eq!((stats.wal_bytes_on_disk, stats.head_samples), (0, 0));
    assert_eq!(contents(&db).len(), 40);
}

//! What is refused: samples by their time, series by their number, queries by their size, batches after the end.

use std::path::Path;
use std::sync::Arc;

use muster_environment::{ManualClock, MemoryDisk};
use muster_series::TimeRange;
use muster_tsdb::{Appended, Db, Options, Refused, SelectLimits, TsdbError};

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

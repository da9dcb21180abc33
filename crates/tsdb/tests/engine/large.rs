//! Label sets of unusual length: what is acknowledged can be read back, and what cannot be is refused.

use std::path::Path;
use std::sync::{Arc, mpsc};

use muster_environment::{ManualClock, MemoryDisk};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::{Db, Options, SelectLimits, SeriesId, TsdbError, WriteBatch};

use crate::harness::{DIR, NOW_MS, options};

const SERIES: usize = 5_000;

fn open(disk: &MemoryDisk) -> Db {
    let options = Options { wal_segment_bytes: 64 << 20, ..options() };
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let (db, report) = Db::open(Path::new(DIR), Arc::new(disk.clone()), clock, options).unwrap();
    assert_eq!((report.quarantined, report.nameless_samples), (vec![], 0));
    db
}

/// Seven labels of 2,000 bytes, so that all series together name 70 MB.
fn labels(number: usize) -> Labels {
    let filler = "x".repeat(1_990);
    let pairs = (0..7).map(|label| (format!("label_{label}"), format!("{number:010}{filler}")));
    Labels::from_pairs(pairs).unwrap()
}

#[track_caller]
fn check(db: &Db) {
    let select = |matchers: &[Matcher]| {
        db.select(matchers, TimeRange::ALL, &SelectLimits::default()).unwrap()
    };
    assert_eq!(select(&[]).len(), SERIES);
    let last = labels(SERIES - 1);
    let matcher = Matcher::equal("label_3", last.get("label_3").unwrap());
    let found = select(&[matcher]);
    assert_eq!((found.len(), &found[0].labels), (1, &last));
    assert_eq!(found[0].values, [(SERIES - 1) as f64]);
}

#[test]
fn many_long_label_sets_survive_restarts_and_go_into_a_block() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let ids: Vec<SeriesId> = (0..SERIES).map(|n| db.series(&labels(n)).unwrap()).collect();
    let samples = ids.into_iter().zip((0..SERIES).map(|n| n as f64));
    let batch = WriteBatch::scrape(NOW_MS, samples);
    let (sender, receiver) = mpsc::channel();
    db.append(batch, move |result| sender.send(result).unwrap());
    assert_eq!(receiver.recv().unwrap().unwrap().samples, SERIES as u64);
    db.close().unwrap();
    let db = open(&disk);
    check(&db);
    db.flush().unwrap();
    assert_eq!((db.stats().blocks, db.stats().wal_bytes_on_disk), (1, 0));
    db.close().unwrap();
    check(&open(&disk));
}

#[test]
fn a_label_set_that_is_too_long_is_refused_with_its_length() {
    let db = open(&MemoryDisk::new());
    let labels = Labels::from_pairs([("a", "x".repeat(8193))]).unwrap();
    let error = db.series(&labels).unwrap_err();
    assert!(matches!(error, TsdbError::TooLarge { bytes: 8193, limit: 8192, .. }));
    assert_eq!((db.stats().refused_series, db.stats().series), (1, 0));
}

//! Reading in parts: what comes is what a plain selection gives, whatever happens to the store between planning and reading.

use std::path::Path;
use std::sync::Arc;

use muster_environment::{ManualClock, MemoryDisk};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
use muster_tsdb::{Db, Options, SelectHints, SelectLimits, SeriesReader, TsdbError};

use crate::harness::{DIR, NOW_MS, append, contents, labels, open, options};

const SERIES: u8 = 40;

fn parts(db: &Db, hints: SelectHints) -> Vec<SeriesReader> {
    db.select_parts(&[], TimeRange::ALL, hints, &SelectLimits::default()).unwrap()
}

fn read(parts: Vec<SeriesReader>) -> Vec<SeriesColumns> {
    let mut all: Vec<SeriesColumns> = parts.into_iter().flatten().map(Result::unwrap).collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

fn samples(series: &[SeriesColumns]) -> Vec<(Labels, i64, u64)> {
    let of = |one: &SeriesColumns| {
        let labels = one.labels.clone();
        let samples = one.samples().map(|s| (s.timestamp_ms, s.value.to_bits()));
        samples.map(|(time, bits)| (labels.clone(), time, bits)).collect::<Vec<_>>()
    };
    series.iter().flat_map(of).collect()
}

/// Writes a few scrapes of all series, of which each third is left out in turn.
fn write(db: &Db, start_ms: i64, value: f64) {
    for at in 0..6_u8 {
        let scraped: Vec<(u8, f64)> =
            (0..SERIES).filter(|n| n % 3 != at % 3).map(|n| (n, value + f64::from(n))).collect();
        append(db, start_ms + i64::from(at) * 1_000, &scraped).unwrap();
    }
}

/// A store of two blocks and a head; what was written last lies before, between and at the times of the others.
fn store() -> Db {
    let db = open(MemoryDisk::new());
    write(&db, NOW_MS - 60_000, 0.0);
    db.flush().unwrap();
    write(&db, NOW_MS - 30_000, 100.0);
    db.flush().unwrap();
    write(&db, NOW_MS - 32_000, 200.0);
    append(&db, NOW_MS - 45_500, &[(1, 1.0), (SERIES, 7.0)]).unwrap();
    db
}

#[test]
fn series_of_blocks_and_head_come_whole_once_each() {
    let db = store();
    let whole = parts(&db, SelectHints { parts: 4, ..SelectHints::default() });
    assert_eq!(whole.len(), 1, "so little is not split");
    let found = read(whole);
    assert_eq!(found.len(), usize::from(SERIES) + 1);
    assert_eq!(samples(&found), contents(&db));
}

#[test]
fn the_newest_is_the_last_of_all() {
    let db = store();
    let all = read(parts(&db, SelectHints::default()));
    let expected: Vec<SeriesColumns> = all
        .into_iter()
        .map(|mut one| {
            one.timestamps.drain(..one.timestamps.len() - 1);
            one.values.drain(..one.values.len() - 1);
            one
        })
        .collect();
    let newest = read(parts(&db, SelectHints { newest_only: true, ..SelectHints::default() }));
    assert_eq!(samples(&newest), samples(&expected));
}

#[test]
fn a_deleted_newest_sample_gives_way_to_the_one_before() {
    let db = store();
    let newest = |db: &Db| {
        let hints = SelectHints { newest_only: true, ..SelectHints::default() };
        samples(&read(parts(db, hints)))
    };
    let (_, last_ms, _) = newest(&db)[0].clone();
    let range = TimeRange::new(last_ms, i64::MAX);
    db.delete_series(&[vec![Matcher::equal("host", "web-0")]], range).unwrap();
    let before = newest(&db)[0].clone();
    assert_eq!(before.0, labels(0));
    assert!(before.1 < last_ms);
    let last = contents(&db).into_iter().rfind(|sample| sample.0 == labels(0));
    assert_eq!(Some(before), last);
}

#[test]
fn only_the_labels_that_are_wanted_come() {
    let db = store();
    let named = |names: &[&str]| {
        let labels = Some(names.iter().map(|&name| name.to_owned()).collect());
        read(parts(&db, SelectHints { labels, ..SelectHints::default() }))
    };
    let whole = read(parts(&db, SelectHints::default()));
    let times = |found: &[SeriesColumns]| found.iter().map(SeriesColumns::len).sum::<usize>();
    for names in [&["host"][..], &["__name__"], &["host", "__name__", "none"], &[]] {
        let found = named(names);
        assert_eq!((found.len(), times(&found)), (whole.len(), times(&whole)));
        let mut expected: Vec<Labels> =
            whole.iter().map(|one| one.labels.filtered(|own| names.contains(&own))).collect();
        expected.sort();
        assert_eq!(found.into_iter().map(|one| one.labels).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn what_was_selected_stays_readable_whatever_maintenance_does() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let options = Options { wal_segment_bytes: 1 << 20, forget_after_ms: 0, ..options() };
    let disk = Arc::new(MemoryDisk::new());
    let (db, _) = Db::open(Path::new(DIR), disk, clock, options).unwrap();
    write(&db, NOW_MS - 60_000, 0.0);
    let expected = contents(&db);
    let of_head = parts(&db, SelectHints::default());
    // The head becomes a block, and while nothing else keeps the series they are forgotten.
    db.flush().unwrap();
    db.flush().unwrap();
    assert_eq!(samples(&read(of_head)), expected);
    let of_block = parts(&db, SelectHints::default());
    db.flush().unwrap();
    assert_eq!(db.stats().series, 0, "no head is read any more");
    assert_eq!(samples(&read(of_block)), expected);
    assert_eq!(contents(&db), expected);
}

#[test]
fn a_reader_ends_at_its_limits() {
    let db = store();
    let failed = |limits: SelectLimits| {
        let parts = db.select_parts(&[], TimeRange::ALL, SelectHints::default(), &limits).unwrap();
        parts.into_iter().flatten().filter_map(Result::err).collect::<Vec<_>>()
    };
    assert!(failed(SelectLimits::default()).is_empty());
    let few_series = SelectLimits { max_series: usize::from(SERIES), ..SelectLimits::default() };
    let found = failed(few_series);
    assert!(matches!(found[..], [TsdbError::QueryLimit { what: "series", .. }]), "{found:?}");
    let found = failed(SelectLimits { max_samples: 3, ..SelectLimits::default() });
    assert!(matches!(found[..], [TsdbError::QueryLimit { what: "samples", .. }]), "{found:?}");
}

#[test]
fn many_series_come_in_parts_that_are_equal_for_equal_selections() {
    let db = open(MemoryDisk::new());
    let ids: Vec<_> = (0..20_000_u32)
        .map(|n| {
            let n = format!("{n:05}");
            db.series_from_pairs(&[("__name__", "many"), ("n", &n)]).unwrap()
        })
        .collect();
    for half in 0..2 {
        let (sender, receiver) = std::sync::mpsc::channel();
        let samples = ids.iter().map(|&id| (id, 1.0));
        let batch = muster_tsdb::WriteBatch::scrape(NOW_MS - 1_000 + half, samples);
        db.append(batch, move |done| sender.send(done).unwrap());
        receiver.recv().unwrap().unwrap();
        if half == 0 {
            db.flush().unwrap();
        }
    }
    let names = || {
        let hints = SelectHints { parts: 3, ..SelectHints::default() };
        let of = |part: SeriesReader| part.map(|one| one.unwrap().labels).collect::<Vec<_>>();
        parts(&db, hints).into_iter().map(of).collect::<Vec<_>>()
    };
    let first = names();
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|part| part.len() >= 6_000));
    let mut all: Vec<&Labels> = first.iter().flatten().collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), ids.len());
    assert_eq!(names(), first);
}

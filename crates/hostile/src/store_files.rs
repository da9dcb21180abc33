//! Files of the store: one is replaced in a folder that is whole otherwise, and the store must open, tell, and serve the rest.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use muster_environment::{Crash, ManualClock, MemoryDisk, read_all};
use muster_series::{Labels, TimeRange};
use muster_tsdb::{
    Db, Options, SelectLimits, TsdbError, WriteBatch, inspect, inspect_block, inspect_segment,
};

const DIR: &str = "/data";
const NOW_MS: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 86_400_000;
/// Bytes of the checksum at a manifest's end (docs/format/block.md, "Manifest").
const CRC_BYTES: usize = 4;

/// A disk with a closed store: two blocks, a log with two segments, a manifest.
static STORE: LazyLock<MemoryDisk> = LazyLock::new(|| {
    let disk = MemoryDisk::new();
    let db = open(disk.clone()).expect("a new store opens");
    for minute in 0..90 {
        append(&db, NOW_MS - DAY_MS - minute * 60_000);
        append(&db, NOW_MS - minute * 60_000);
    }
    db.flush().expect("a disk in memory has room");
    for second in 1..60 {
        append(&db, NOW_MS + second * 1_000);
    }
    db.close().expect("a disk in memory has room");
    disk
});

/// A log segment of any bytes.
pub(crate) fn wal_segment(bytes: &[u8]) {
    replace_and_read(&file("wal"), bytes);
}

/// A block of any bytes.
pub(crate) fn block(bytes: &[u8]) {
    replace_and_read(&file("blk"), bytes);
}

/// A manifest of any bytes; once as they are, and once with the right checksum, which chance does not find.
pub(crate) fn manifest(bytes: &[u8]) {
    let path = file("MANIFEST");
    replace_and_read(&path, bytes);
    let body = &bytes[..bytes.len().saturating_sub(CRC_BYTES)];
    let crc = crc32fast::hash(body).to_le_bytes();
    replace_and_read(&path, &[body, &crc].concat());
}

pub(crate) fn wal_seeds() -> Vec<Vec<u8>> {
    vec![content("wal")]
}

pub(crate) fn block_seeds() -> Vec<Vec<u8>> {
    vec![content("blk")]
}

pub(crate) fn manifest_seeds() -> Vec<Vec<u8>> {
    vec![content("MANIFEST")]
}

fn content(ending: &str) -> Vec<u8> {
    read_all(&*STORE, &file(ending)).expect("the file was just listed")
}

/// The first file of the store whose name ends so.
fn file(ending: &str) -> PathBuf {
    let files = STORE.files();
    let found = files.into_iter().find(|path| path.to_string_lossy().ends_with(ending));
    found.expect("a store has files of every kind")
}

fn replace_and_read(path: &Path, bytes: &[u8]) {
    let disk = STORE.crash_image(Crash::KeepUnsynced);
    disk.corrupt(path, |content| *content = bytes.to_vec()).expect("the file is there");
    // Any of them may refuse what it is given; none may fall over it.
    let _ = inspect_block(&disk, path);
    let _ = inspect_segment(&disk, path);
    let _ = inspect(&disk, Path::new(DIR));
    // A version that is not known, and a manifest that does not check, keep a store from opening; that is told.
    let Ok(db) = open(disk) else { return };
    let found = db.select(&[], TimeRange::ALL, &SelectLimits::default());
    for series in found.unwrap_or_default() {
        assert_eq!(series.timestamps.len(), series.values.len(), "{}", series.labels);
        assert!(series.timestamps.is_sorted_by(|a, b| a < b), "{}", series.labels);
    }
    let _ = db.series_labels(&[], TimeRange::ALL, usize::MAX);
    // What was read must not keep the store from being written on.
    append(&db, NOW_MS + 100_000);
    let _ = db.flush();
}

fn open(disk: MemoryDisk) -> Result<Db, TsdbError> {
    let options = Options {
        wal_segment_bytes: 1_500,
        reserve_bytes: Some(1),
        maintenance_interval: Duration::from_hours(1),
        ..Options::default()
    };
    let clock = Arc::new(ManualClock::at(NOW_MS));
    Ok(Db::open(Path::new(DIR), Arc::new(disk), clock, options)?.0)
}

/// A scrape of eight series; what becomes of it does not matter here.
fn append(db: &Db, at_ms: i64) {
    let samples: Vec<_> = (0..8)
        .filter_map(|number| {
            let host = format!("web-{number}");
            let labels = Labels::from_pairs([("__name__", "load"), ("host", &*host)]).ok()?;
            let value = (at_ms / 1_000 % (number * 7 + 1)) as f64 / 4.0;
            Some((db.series(&labels).ok()?, value))
        })
        .collect();
    let (sender, receiver) = mpsc::channel();
    db.append(WriteBatch::scrape(at_ms, samples), move |result| {
        let _ = sender.send(result);
    });
    let _ = receiver.recv();
}

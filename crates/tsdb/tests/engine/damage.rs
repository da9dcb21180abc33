//! Bytes change on the medium: the store opens, tells it, and serves the rest.

use std::path::{Path, PathBuf};

use muster_environment::{MemoryDisk, read_all};
use muster_series::Labels;
use muster_tsdb::SelectLimits;

use crate::harness::{DIR, NOW_MS, append, contents, options, try_open};

const DAY_MS: i64 = 86_400_000;

/// A store with two blocks, a log, and what it holds.
fn store() -> (MemoryDisk, Vec<(Labels, i64, u64)>) {
    let disk = MemoryDisk::new();
    let (db, _) = try_open(disk.clone()).unwrap();
    for minute in 0..30 {
        append(&db, NOW_MS - DAY_MS - minute * 60_000, &[(1, 1.0), (2, minute as f64)]).unwrap();
        append(&db, NOW_MS - minute * 60_000, &[(1, 1.5), (2, minute as f64)]).unwrap();
    }
    db.flush().unwrap();
    for second in 1..6 {
        append(&db, NOW_MS + second * 1000, &[(1, 2.0), (3, second as f64)]).unwrap();
    }
    let all = contents(&db);
    db.close().unwrap();
    (disk, all)
}

fn files(disk: &MemoryDisk, ending: &str) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

/// Flips bits at some places of each file of a kind: opening and reading never panic, nothing is invented, at least
/// `kept` samples are served, and what is missing is told.
#[track_caller]
fn check(ending: &str, kept: usize) {
    let (disk, all) = store();
    let names = files(&disk, ending);
    assert!(!names.is_empty(), "no file *{ending}");
    for path in names {
        let whole = read_all(&disk, &path).unwrap();
        for at in 0..whole.len() {
            let copy = disk.crash_image(muster_environment::Crash::KeepUnsynced);
            copy.corrupt(&path, |bytes| bytes[at] ^= 0x24).unwrap();
            let place = format!("{} byte {at}", path.display());
            let (db, report) = match try_open(copy) {
                Ok(opened) => opened,
                Err(error) => panic!("{place}: {error}"),
            };
            let found = contents(&db);
            assert!(found.iter().all(|sample| all.contains(sample)), "{place}: invented");
            assert!(found.len() >= kept, "{place}: {} of {}", found.len(), all.len());
            let stats = db.stats();
            let told = !report.quarantined.is_empty()
                || report.cut_tail_bytes > 0
                || stats.damaged_chunks + stats.quarantined > 0;
            assert!(found.len() == all.len() || told, "{place}: lost in silence");
        }
    }
}

#[test]
fn in_a_block() {
    // The other block's sixty and the ten of the log.
    check(".blk", 70);
}

#[test]
fn in_the_log() {
    check(".wal", 120);
}

#[test]
fn in_the_manifest() {
    check("MANIFEST", 130);
}

#[test]
fn a_block_that_is_gone_is_told() {
    let (disk, _) = store();
    let path = files(&disk, ".blk").remove(0);
    muster_environment::Disk::remove(&disk, &path).unwrap();
    let (db, report) = try_open(disk).unwrap();
    assert_eq!(report.quarantined.len(), 1);
    assert_eq!(report.quarantined[0].reason, "the file is missing");
    assert_eq!(contents(&db).len(), 70);
}

#[test]
fn a_damaged_index_is_set_aside_for_good() {
    let (disk, _) = store();
    let path = files(&disk, ".blk").remove(0);
    // The page before the contents is that of the label "host".
    let whole = read_all(&disk, &path).unwrap();
    let contents_at = u64::from_le_bytes(whole[whole.len() - 28..][..8].try_into().unwrap());
    disk.corrupt(&path, |bytes| bytes[contents_at as usize - 1] ^= 1).unwrap();
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!(report.quarantined, []);
    let matcher = muster_series::Matcher::equal("host", "web-1");
    let found =
        db.select(&[matcher], muster_series::TimeRange::ALL, &SelectLimits::default()).unwrap();
    assert_eq!(found[0].len(), 35);
    assert_eq!(db.stats().quarantined, 1);
    db.close().unwrap();
    let name = path.file_name().unwrap();
    assert!(disk.files().contains(&Path::new(DIR).join("quarantine").join(name)));
    let (_, report) = try_open(disk).unwrap();
    assert_eq!((report.blocks, report.quarantined.len()), (1, 0));
}

#[test]
fn a_second_process_is_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let clock = std::sync::Arc::new(muster_environment::ManualClock::at(NOW_MS));
        let disk = std::sync::Arc::new(muster_environment::RealDisk);
        muster_tsdb::Db::open(folder.path(), disk, clock, options())
    };
    let (first, _) = open().unwrap();
    append(&first, NOW_MS, &[(1, 1.0)]).unwrap();
    let Err(error) = open() else { panic!("opened twice") };
    let expected = format!("in use by process {}", std::process::id());
    assert!(error.to_string().contains(&expected), "{error}");
    first.close().unwrap();
    let (again, report) = open().unwrap();
    assert_eq!(report.replayed_samples, 1);
    assert_eq!(contents(&again).len(), 1);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let clock = std::sync::Arc::new(muster_environment::ManualClock::at(NOW_MS));
    let disk = std::sync::Arc::new(muster_environment::RealDisk);
    let Err(error) = muster_tsdb::Db::open(file.path(), disk, clock, options()) else {
        panic!("a file is no folder")
    };
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

#[test]
fn a_damaged_chunk_is_left_out_of_a_merge_and_its_file_kept() {
    let disk = MemoryDisk::new();
    let (db, _) = try_open(disk.clone()).unwrap();
    for step in 0..7 {
        append(&db, NOW_MS + step, &[(1, step as f64)]).unwrap();
        db.flush().unwrap();
    }
    let path = files(&disk, ".blk").remove(0);
    // The first page of a block is one of columns.
    disk.corrupt(&path, |bytes| bytes[12] ^= 1).unwrap();
    append(&db, NOW_MS + 7, &[(1, 7.0)]).unwrap();
    db.flush().unwrap();
    assert_eq!((db.stats().blocks, contents(&db).len()), (1, 7));
    let aside = Path::new(DIR).join("quarantine").join(path.file_name().unwrap());
    assert!(disk.files().contains(&aside));
}

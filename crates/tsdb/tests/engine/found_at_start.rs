//! What is there at a start and should not be, and what should be there and is not: adopted, set aside or told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Crash, Disk, ManualClock, MemoryDisk, read_all};
use muster_tsdb::Db;

use crate::harness::{DIR, NOW_MS, append, contents, open, options, try_open};

fn blocks(disk: &MemoryDisk) -> Vec<PathBuf> {
    let blocks = Path::new(DIR).join("blocks");
    disk.files().into_iter().filter(|path| path.starts_with(&blocks)).collect()
}

fn set_aside(disk: &MemoryDisk) -> usize {
    let quarantine = Path::new(DIR).join("quarantine");
    disk.files().into_iter().filter(|path| path.starts_with(&quarantine)).count()
}

fn put(disk: &MemoryDisk, path: &Path, bytes: &[u8]) {
    disk.create(path).unwrap().write_all(bytes).unwrap();
}

/// A store with so many blocks, each of one sample, and closed; four are merged into one.
fn store(count: i64) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let db = open(disk.clone());
    for step in 0..count {
        append(&db, NOW_MS - 1000 + step, &[(1, step as f64)]).unwrap();
        db.flush().unwrap();
    }
    db.close().unwrap();
    disk
}

#[test]
fn a_block_restored_from_a_backup_is_served() {
    let backup = store(1);
    let path = blocks(&backup).remove(0);
    let disk = MemoryDisk::new();
    open(disk.clone()).close().unwrap();
    put(&disk, &path, &read_all(&backup, &path).unwrap());
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!((report.adopted.len(), report.quarantined, report.missing), (1, vec![], vec![]));
    assert_eq!(contents(&db).len(), 1);
    // New blocks do not take its number.
    append(&db, NOW_MS - 500, &[(1, 7.0)]).unwrap();
    db.flush().unwrap();
    db.close().unwrap();
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!((report.adopted.len(), report.blocks, contents(&db).len()), (0, 2, 2));
}

#[test]
fn a_restored_block_that_is_damaged_or_in_the_way_is_set_aside_and_kept() {
    let disk = store(8);
    let merged = blocks(&disk);
    assert_eq!(merged.len(), 1, "eight small blocks are merged");
    let other = store(1);
    let path = blocks(&other).remove(0);
    let bytes = read_all(&other, &path).unwrap();
    // Another store's block of head 0, which is in the merged one by its number only.
    let renamed = disk.crash_image(Crash::KeepUnsynced);
    put(&renamed, &path.with_file_name("1_1-1.blk"), &bytes);
    let (db, report) = try_open(renamed.clone()).unwrap();
    assert_eq!((report.quarantined.len(), contents(&db).len()), (1, 8));
    assert_eq!((blocks(&renamed), set_aside(&renamed)), (merged, 1));

    let fresh = MemoryDisk::new();
    open(fresh.clone()).close().unwrap();
    let mut damaged = bytes;
    damaged[12] ^= 1;
    put(&fresh, &path, &damaged);
    let (_, report) = try_open(fresh.clone()).unwrap();
    assert_eq!((report.quarantined.len(), report.adopted, set_aside(&fresh)), (1, vec![], 1));
}

#[test]
fn inputs_of_a_merge_that_a_crash_left_go_and_others_of_their_heads_are_kept() {
    let disk = store(7);
    let inputs: Vec<(PathBuf, Vec<u8>)> = blocks(&disk)
        .into_iter()
        .map(|path| (path.clone(), read_all(&disk, &path).unwrap()))
        .collect();
    assert_eq!(inputs.len(), 7);
    let db = open(disk.clone());
    append(&db, NOW_MS - 993, &[(1, 7.0)]).unwrap();
    db.flush().unwrap();
    db.close().unwrap();
    assert_eq!(blocks(&disk).len(), 1);
    let put_back = || inputs.iter().for_each(|(path, bytes)| put(&disk, path, bytes));
    put_back();
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!((report.quarantined, contents(&db).len()), (vec![], 8));
    db.close().unwrap();
    assert_eq!((blocks(&disk).len(), set_aside(&disk)), (1, 0));
    // Once more: now nothing says that they are of no use.
    put_back();
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!((report.quarantined.len(), contents(&db).len()), (7, 8));
    assert_eq!((blocks(&disk).len(), set_aside(&disk)), (1, 7));
}

/// What a crash leaves between the merged block of a day that is over and the manifest: seven blocks, named, and theirs.
fn store_with_merged_block() -> (MemoryDisk, PathBuf) {
    let disk = store(7);
    let merged = disk.crash_image(Crash::KeepUnsynced);
    let clock = Arc::new(ManualClock::at(NOW_MS + 2 * 86_400_000));
    let (db, _) = Db::open(Path::new(DIR), Arc::new(merged.clone()), clock, options()).unwrap();
    db.flush().unwrap();
    db.close().unwrap();
    let path = blocks(&merged).remove(0);
    assert!(blocks(&merged).len() == 1 && !blocks(&disk).contains(&path));
    put(&disk, &path, &read_all(&merged, &path).unwrap());
    (disk, path)
}

#[test]
fn a_merged_block_that_a_crash_left_goes() {
    let (disk, path) = store_with_merged_block();
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!((report.quarantined, report.blocks, contents(&db).len()), (vec![], 7, 7));
    assert!(!blocks(&disk).contains(&path) && set_aside(&disk) == 0);
}

#[test]
fn a_merged_block_is_kept_where_one_that_it_was_made_of_is_lost() {
    for place in [0, 3, 6] {
        let (disk, merged) = store_with_merged_block();
        let lost = blocks(&disk).into_iter().filter(|path| *path != merged).nth(place).unwrap();
        disk.remove(&lost).unwrap();
        let (_, report) = try_open(disk.clone()).unwrap();
        assert_eq!((report.blocks, report.quarantined.len(), set_aside(&disk)), (6, 2, 1));
    }
}

#[test]
fn a_manifest_that_is_gone_is_told_and_made_anew() {
    let disk = store(3);
    disk.remove(&Path::new(DIR).join("MANIFEST")).unwrap();
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!((report.missing, report.adopted.len()), (vec!["MANIFEST".to_owned()], 3));
    assert_eq!(contents(&db).len(), 3);
    db.close().unwrap();
    let (_, report) = try_open(disk).unwrap();
    assert_eq!((report.missing, report.adopted, report.blocks), (vec![], vec![], 3));
    let (_, report) = try_open(MemoryDisk::new()).unwrap();
    assert_eq!(report.missing, [] as [String; 0], "a new folder misses nothing");
}

/// A store whose log has several segments, of which the one at `place` is changed; what is reported as missing.
#[track_caller]
fn check_segments(place: usize, change: impl Fn(&MemoryDisk, &Path), expected: &[&str]) {
    let disk = MemoryDisk::new();
    let db = open(disk.clone());
    for step in 0..600 {
        append(&db, NOW_MS + step, &[(1, step as f64), (2, 0.1 / step as f64)]).unwrap();
    }
    db.close().unwrap();
    let wal = Path::new(DIR).join("wal");
    let segments: Vec<PathBuf> =
        disk.files().into_iter().filter(|path| path.starts_with(&wal)).collect();
    assert!(segments.len() > 5, "{segments:?}");
    change(&disk, &segments[place]);
    let (db, report) = try_open(disk.clone()).unwrap();
    assert_eq!(report.missing, expected);
    assert!(!contents(&db).is_empty());
    append(&db, NOW_MS + 700, &[(1, 1.0)]).unwrap();
    db.flush().unwrap();
    db.close().unwrap();
    let (_, report) = try_open(disk).unwrap();
    assert_eq!((report.missing, report.quarantined), (vec![], vec![]));
}

#[test]
fn segments_of_the_log_that_are_gone_or_empty_are_told() {
    let gone = |disk: &MemoryDisk, path: &Path| disk.remove(path).unwrap();
    let empty = |disk: &MemoryDisk, path: &Path| disk.truncate(path, 0).unwrap();
    check_segments(0, gone, &["wal/000000000000.wal"]);
    check_segments(2, gone, &["wal/000000000002.wal"]);
    check_segments(2, empty, &["wal/000000000002.wal, which is empty"]);
}

#[test]
fn samples_whose_series_has_lost_its_name_are_counted() {
    let disk = MemoryDisk::new();
    let db = open(disk.clone());
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    append(&db, NOW_MS + 1, &[(1, 2.0)]).unwrap();
    db.close().unwrap();
    let path = Path::new(DIR).join("wal/000000000000.wal");
    // The first record names the series; its payload starts at byte 28.
    disk.corrupt(&path, |bytes| bytes[30] ^= 1).unwrap();
    let (_, report) = try_open(disk).unwrap();
    assert_eq!((report.nameless_samples, report.quarantined.len()), (2, 1));
    assert_eq!((report.replayed_samples, report.cut_tail_bytes), (0, 0));
}

//! The medium does not give a file back: that costs what is in it and no more. What may pass by itself stays an error.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{FailingDisk, ManualClock, MemoryDisk, read_all};
use muster_series::{Matcher, TimeRange};
use muster_tsdb::{Db, SelectLimits, TsdbError, Unreadable, copy_store, inspect};

use crate::harness::{DIR, NOW_MS, append, contents, open, options, select, try_open, wait_for};

const DAY_MS: i64 = 86_400_000;
const EIO: i32 = 5;
const EMFILE: i32 = 24;
/// The errors by which Linux says that the medium or its file system is at fault.
const OF_THE_MEDIUM: [i32; 3] = [EIO, 74, 117];
/// No memory, no permission, too many open files.
const MAY_PASS: [i32; 3] = [12, 13, EMFILE];
const WHOLE: Range<u64> = 0..u64::MAX;
/// In the first page of a block, which is one of columns; in so small a block all of them.
const COLUMNS: Range<u64> = 12..13;

type TestDisk = FailingDisk<MemoryDisk>;

fn blocks(disk: &MemoryDisk) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join("blocks");
    disk.files().into_iter().filter(|path| path.starts_with(&folder)).collect()
}

/// A closed store of two blocks of ten samples and of a log of five; and the first of the blocks.
fn store() -> (MemoryDisk, TestDisk, PathBuf) {
    let memory = MemoryDisk::new();
    let disk = FailingDisk::new(memory.clone());
    let db = open(disk.clone());
    for second in 0..10 {
        append(&db, NOW_MS - 2 * DAY_MS + second * 1000, &[(1, 1.0)]).unwrap();
        append(&db, NOW_MS + second * 1000, &[(1, second as f64)]).unwrap();
    }
    db.flush().unwrap();
    for second in 10..15 {
        append(&db, NOW_MS + second * 1000, &[(1, second as f64)]).unwrap();
    }
    db.close().unwrap();
    let first = blocks(&memory).remove(0);
    (memory, disk, first)
}

/// All that a user does goes on with the fifteen samples that are left.
#[track_caller]
fn check_goes_on(db: &Db, place: &str) {
    assert_eq!(contents(db).len(), 15, "{place}");
    db.flush().unwrap();
    db.snapshot(Path::new("/snapshot"), true).unwrap();
    let newest = TimeRange::new(NOW_MS + 14_000, i64::MAX);
    db.delete_series(&[vec![Matcher::equal("host", "web-1")]], newest).unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(contents(db).len(), 14, "{place}");
}

#[test]
fn chunks_that_cannot_be_read_are_left_out_and_told() {
    for code in OF_THE_MEDIUM {
        let (_, disk, block) = store();
        disk.fail_reads(&block, COLUMNS, code);
        let db = open(disk);
        check_goes_on(&db, &format!("error {code}"));
        assert!(db.stats().damaged_chunks > 0);
    }
}

#[test]
fn a_block_that_cannot_be_opened_is_set_aside_at_start() {
    for code in OF_THE_MEDIUM {
        let (memory, disk, block) = store();
        disk.fail_reads(&block, WHOLE, code);
        let damage = inspect(&disk, Path::new(DIR)).unwrap().damage;
        assert!(damage.len() == 1 && damage[0].reason.contains("the disk cannot read it"));
        let (db, report) = try_open(disk).unwrap();
        assert_eq!((report.blocks, report.quarantined.len()), (1, 1));
        assert!(report.quarantined[0].reason.contains("the disk cannot read it"));
        assert!(!blocks(&memory).contains(&block));
        check_goes_on(&db, &format!("error {code}"));
    }
}

#[test]
fn a_block_whose_index_cannot_be_read_is_set_aside_at_work() {
    let (memory, disk, block) = store();
    let db = open(disk.clone());
    disk.fail_reads(&block, WHOLE, EIO);
    check_goes_on(&db, "at work");
    assert_eq!(db.stats().quarantined, 1);
    db.close().unwrap();
    let aside = Path::new(DIR).join("quarantine").join(block.file_name().unwrap());
    assert!(memory.files().contains(&aside));
}

#[test]
fn a_block_that_cannot_be_read_is_merged_no_more() {
    let memory = MemoryDisk::new();
    let disk = FailingDisk::new(memory.clone());
    let db = open(disk.clone());
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    db.flush().unwrap();
    disk.fail_reads(&blocks(&memory)[0], WHOLE, EIO);
    for step in 1..9 {
        append(&db, NOW_MS + step, &[(1, 1.0)]).unwrap();
        db.flush().unwrap();
    }
    assert_eq!((db.stats().blocks, db.stats().quarantined, contents(&db).len()), (1, 1, 8));
}

#[test]
fn what_may_pass_is_an_error_and_nothing_is_set_aside() {
    for code in MAY_PASS {
        let (memory, disk, block) = store();
        disk.fail_reads(&block, WHOLE, code);
        let refused = try_open(disk.clone()).map(|_| ());
        assert!(matches!(refused, Err(TsdbError::Io { .. })), "{refused:?}");
        disk.let_read();
        let db = open(disk.clone());
        disk.fail_reads(&block, WHOLE, code);
        let refused = db.select(&[], TimeRange::ALL, &SelectLimits::default()).map(|_| ());
        assert!(matches!(refused, Err(TsdbError::Io { .. })), "{refused:?}");
        disk.let_read();
        assert_eq!((contents(&db).len(), db.stats().quarantined), (25, 0));
        assert!(blocks(&memory).contains(&block));
    }
}

#[test]
fn a_merge_that_fails_holds_up_nothing_else() {
    let memory = MemoryDisk::new();
    let disk = FailingDisk::new(memory.clone());
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let (db, _) =
        Db::open(Path::new(DIR), Arc::new(disk.clone()), clock.clone(), options()).unwrap();
    append(&db, NOW_MS - 2 * DAY_MS, &[(1, 1.0)]).unwrap();
    db.flush().unwrap();
    assert_eq!(db.stats().compactions, 1);
    disk.fail_reads(&blocks(&memory)[0], WHOLE, EMFILE);
    for step in 0..7 {
        append(&db, NOW_MS + step, &[(1, 1.0)]).unwrap();
        db.flush().unwrap();
    }
    // The late sample makes the old day, which comes first, due for a merge.
    append(&db, NOW_MS - 2 * DAY_MS + 1, &[(1, 2.0)]).unwrap();
    append(&db, NOW_MS + 7, &[(1, 1.0)]).unwrap();
    // Either this finds it or the thread of maintenance does, and counts it.
    if db.flush().is_ok() {
        wait_for(&db, |stats| stats.maintenance_failures == 1);
    }
    assert_eq!((db.stats().compactions, db.stats().blocks), (2, 3), "today's are merged");
    assert_eq!(select(&db, &[], TimeRange::new(NOW_MS, i64::MAX)).len(), 8);
    // Until the next try there is nothing that could fail.
    db.flush().unwrap();
    disk.let_read();
    db.flush().unwrap();
    assert_eq!(db.stats().blocks, 3);
    clock.advance(600_000);
    db.flush().unwrap();
    assert_eq!((db.stats().blocks, contents(&db).len()), (2, 10));
}

#[test]
fn a_segment_that_cannot_be_read_to_its_end_is_replayed_so_far_and_kept() {
    let (memory, disk, _) = store();
    let wal = Path::new(DIR).join("wal");
    let segment = memory.files().into_iter().find(|path| path.starts_with(&wal)).unwrap();
    let len = read_all(&memory, &segment).unwrap().len() as u64;
    disk.fail_reads(&segment, len - 1..len, EIO);
    assert_eq!(inspect(&disk, Path::new(DIR)).unwrap().damage.len(), 1);
    for _ in 0..2 {
        let (db, report) = try_open(disk.clone()).unwrap();
        assert_eq!((report.quarantined.len(), report.replayed_samples), (1, 4));
        assert_eq!(contents(&db).len(), 24);
        db.close().unwrap();
    }
    let db = open(disk.clone());
    db.flush().unwrap();
    db.close().unwrap();
    let aside = Path::new(DIR).join("quarantine").join(segment.file_name().unwrap());
    assert!(memory.files().contains(&aside) && !memory.files().contains(&segment));
    let (db, report) = try_open(disk).unwrap();
    assert_eq!((report.quarantined, contents(&db).len()), (vec![], 24));
}

#[test]
fn a_copy_stops_at_what_cannot_be_read_or_leaves_it_out() {
    let (memory, disk, block) = store();
    let wal = Path::new(DIR).join("wal");
    let segment = memory.files().into_iter().find(|path| path.starts_with(&wal)).unwrap();
    let len = read_all(&memory, &segment).unwrap().len() as u64;
    disk.fail_reads(&block, COLUMNS, EIO);
    let (from, to) = (Path::new(DIR), Path::new("/copy"));
    let refused = copy_store(&disk, from, to, Unreadable::Refuse).unwrap_err();
    assert!(refused.to_string().contains("the disk cannot read it"), "{refused}");
    let without = |disk: &TestDisk, to: &str| {
        let report = copy_store(disk, from, Path::new(to), Unreadable::LeaveOut).unwrap();
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let (db, opened) =
            Db::open(Path::new(to), Arc::new(memory.clone()), clock, options()).unwrap();
        assert_eq!((opened.missing, opened.adopted), (vec![], vec![]));
        let files: Vec<String> = report.left_out.into_iter().map(|damage| damage.file).collect();
        (files, report.copied.blocks, contents(&db).len())
    };
    let name = |path: &Path| path.strip_prefix(DIR).unwrap().display().to_string();
    assert_eq!(without(&disk, "/one"), (vec![name(&block)], 1, 15));
    // Of the log all is there that lies before what cannot be read, in whole pieces of it.
    disk.let_read();
    disk.fail_reads(&segment, len - 1..len, EIO);
    let (files, blocks, samples) = without(&disk, "/two");
    assert_eq!((files, blocks), (vec![name(&segment)], 2));
    assert!((20..25).contains(&samples), "{samples}");
    // What may pass by itself is an error all the same.
    disk.let_read();
    disk.fail_reads(&block, WHOLE, EMFILE);
    let refused = copy_store(&disk, from, Path::new("/three"), Unreadable::LeaveOut).unwrap_err();
    assert!(matches!(refused, TsdbError::Io { .. }), "{refused}");
}

//! A snapshot or a copy, opened as a store, holds what the store held, whatever went on meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muster_environment::{Disk, FailingDisk, ManualClock, MemoryDisk};
use muster_series::{Matcher, TimeRange};
use muster_tsdb::{Db, OpenReport, TsdbError, Unreadable, copy_store};

use crate::harness::{DIR, NOW_MS, append, contents, open, options};

const COPY: &str = "/copy";

fn open_copy(disk: &MemoryDisk) -> (Db, OpenReport) {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    Db::open(Path::new(COPY), Arc::new(disk.clone()), clock, options()).unwrap()
}

/// Two blocks, a deletion, and a log with some samples.
fn store(disk: &MemoryDisk) -> Db {
    let db = open(disk.clone());
    for step in 0..2 {
        append(&db, NOW_MS + step, &[(1, step as f64), (2, step as f64)]).unwrap();
        db.flush().unwrap();
    }
    db.delete_series(&[vec![Matcher::equal("host", "web-1")]], TimeRange::ALL).unwrap();
    for step in 2..9 {
        append(&db, NOW_MS + step, &[(3, step as f64)]).unwrap();
    }
    db
}

#[track_caller]
fn check_copy(disk: &MemoryDisk, expected: &[(muster_series::Labels, i64, u64)]) {
    let (db, report) = open_copy(disk);
    assert_eq!(contents(&db), expected);
    assert_eq!((report.missing, report.adopted, report.quarantined), (vec![], vec![], vec![]));
    append(&db, NOW_MS + 99, &[(9, 9.0)]).unwrap();
    db.flush().unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(contents(&db).len(), expected.len() + 1);
}

#[test]
fn a_snapshot_holds_what_the_store_held() {
    let disk = MemoryDisk::new();
    let db = store(&disk);
    let then = contents(&db);
    let report = db.snapshot(Path::new(COPY), true).unwrap();
    assert_eq!((report.blocks, report.samples, report.segments), (3, 11, 0));
    append(&db, NOW_MS + 50, &[(1, 1.0)]).unwrap();
    db.clean_tombstones().unwrap();
    check_copy(&disk, &then);
    assert_eq!(contents(&db).len(), then.len() + 1, "the store is untouched by its snapshot");
    let error = db.snapshot(Path::new(COPY), true).unwrap_err();
    assert!(error.to_string().contains("it holds something already"), "{error}");
}

#[test]
fn a_snapshot_without_the_head_has_the_blocks() {
    let disk = MemoryDisk::new();
    let db = store(&disk);
    db.snapshot(Path::new(COPY), false).unwrap();
    let (copy, report) = open_copy(&disk);
    assert_eq!((contents(&copy).len(), report.missing), (2, vec![]));
}

#[test]
fn a_snapshot_survives_a_crash() {
    let disk = MemoryDisk::new();
    let db = store(&disk);
    let then = contents(&db);
    db.snapshot(Path::new(COPY), true).unwrap();
    check_copy(&disk.crash_image(muster_environment::Crash::LoseUnsynced), &then);
}

#[test]
fn a_copy_of_a_store_at_rest_or_at_work_holds_blocks_and_log() {
    let disk = MemoryDisk::new();
    let db = store(&disk);
    let then = contents(&db);
    let report = copy_store(&disk, Path::new(DIR), Path::new(COPY), Unreadable::Refuse).unwrap();
    assert_eq!((report.copied.blocks, report.copied.samples), (2, 4));
    assert!(report.copied.segments > 0 && report.left_out.is_empty());
    check_copy(&disk.crash_image(muster_environment::Crash::LoseUnsynced), &then);
    // Bytes of its own: damage to the one is none of the other's.
    let blocks = disk.list(Path::new("/data/blocks")).unwrap();
    disk.corrupt(&Path::new("/data/blocks").join(&blocks[0].name), Vec::clear).unwrap();
    check_copy(&disk, &then);
}

#[test]
fn a_copy_under_load_has_all_that_was_acknowledged_before() {
    let disk = MemoryDisk::new();
    let db = open(disk.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut step = 0;
            while !stop.load(Ordering::Relaxed) && step < 3000 {
                step += 1;
                append(&db, NOW_MS - 500_000 + step, &[(1, 1.0), (2, step as f64)]).unwrap();
                if step % 50 == 0 {
                    db.flush().unwrap();
                }
            }
        })
    };
    for round in 0..6 {
        append(&db, NOW_MS + round, &[(5, round as f64)]).unwrap();
        let before = contents(&db);
        let to = format!("/copy/{round}");
        copy_store(&disk, Path::new(DIR), Path::new(&to), Unreadable::Refuse).unwrap();
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let (copy, report) =
            Db::open(Path::new(&to), Arc::new(disk.clone()), clock, options()).unwrap();
        let found: BTreeSet<_> = contents(&copy).into_iter().collect();
        for sample in &before {
            assert!(found.contains(sample), "round {round}: {sample:?} is not in the copy");
        }
        let told = (report.missing, report.adopted, report.quarantined);
        assert_eq!(told, (vec![], vec![], vec![]), "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn a_copy_that_fails_at_any_operation_never_looks_whole() {
    let memory = MemoryDisk::new();
    let db = store(&memory);
    let then = contents(&db);
    db.close().unwrap();
    let disk = FailingDisk::new(memory.clone());
    copy_store(&disk, Path::new(DIR), Path::new("/other"), Unreadable::Refuse).unwrap();
    for n in 1..=disk.operations() {
        let image = memory.crash_image(muster_environment::Crash::KeepUnsynced);
        let disk = FailingDisk::new(image.clone());
        disk.fail_from(n);
        let copied = copy_store(&disk, Path::new(DIR), Path::new(COPY), Unreadable::Refuse);
        if copied.is_err() && image.exists(&Path::new(COPY).join("MANIFEST")).unwrap() {
            // Only what comes after the manifest has failed.
            check_copy(&image, &then);
        }
    }
    disk.set_full(true);
    let error =
        copy_store(&disk, Path::new(DIR), Path::new("/full"), Unreadable::Refuse).unwrap_err();
    assert!(matches!(error, TsdbError::DiskFull { .. }), "{error}");
}

#[test]
fn a_folder_without_a_store_is_told() {
    let disk = MemoryDisk::new();
    let error =
        copy_store(&disk, Path::new("/none"), Path::new(COPY), Unreadable::Refuse).unwrap_err();
    assert!(error.to_string().contains("/none/MANIFEST"), "{error}");
}

//! What is deleted is gone for every query, after every crash, and from the disk; what is written afterwards is not.

use muster_environment::{Crash, FailingDisk, MemoryDisk};
use muster_series::{Labels, Matcher, TimeRange};
use muster_tsdb::Db;

use crate::harness::{NOW_MS, append, contents, labels, open, select, try_open};

const DAY_MS: i64 = 86_400_000;
const ALL: TimeRange = TimeRange::ALL;

fn host(series: u8) -> Vec<Matcher> {
    vec![Matcher::equal("host", &format!("web-{series}"))]
}

/// Three series with a sample a minute for an hour, today and yesterday, in several blocks.
fn store(disk: &MemoryDisk) -> Db {
    let db = open(disk.clone());
    for minute in 0..60 {
        for day in [0, DAY_MS] {
            let value = minute as f64;
            let timestamp = NOW_MS - day - minute * 60_000;
            append(&db, timestamp, &[(1, value), (2, value), (3, value)]).unwrap();
        }
        if minute % 25 == 24 {
            db.flush().unwrap();
        }
    }
    // Merged as far as it goes, so that later merges take nothing out that a test looks at.
    db.flush().unwrap();
    db
}

/// How many samples each of the three series has.
#[track_caller]
fn check(db: &Db, expected: [usize; 3]) {
    let found = [1, 2, 3].map(|series| select(db, &host(series), ALL).len());
    assert_eq!(found, expected);
}

#[test]
fn the_deleted_is_hidden_at_once_and_gone_from_the_disk_later() {
    let disk = MemoryDisk::new();
    let db = store(&disk);
    check(&db, [120; 3]);
    db.delete_series(&[host(1)], ALL).unwrap();
    db.delete_series(&[host(2)], TimeRange::new(NOW_MS - 9 * 60_000, NOW_MS)).unwrap();
    check(&db, [0, 110, 120]);
    assert_eq!(db.label_values("host", &[], ALL, 9).unwrap(), ["web-2", "web-3"]);
    assert_eq!(db.series_labels(&[], ALL, 9).unwrap(), [labels(2), labels(3)]);
    assert_eq!(db.stats().block_samples, 360, "nothing is rewritten yet");
    db.close().unwrap();

    let db = open(disk.clone());
    check(&db, [0, 110, 120]);
    assert_eq!(db.stats().tombstones, 2);
    db.clean_tombstones().unwrap();
    check(&db, [0, 110, 120]);
    let stats = db.stats();
    assert_eq!((stats.tombstones, stats.block_samples), (0, 230));
    db.close().unwrap();
    let (db, report) = try_open(disk).unwrap();
    assert_eq!((report.adopted, report.quarantined), (vec![], vec![]));
    check(&db, [0, 110, 120]);
}

#[test]
fn what_is_written_after_a_deletion_stays_also_at_the_same_times() {
    let disk = MemoryDisk::new();
    let db = store(&disk);
    db.delete_series(&[host(1)], ALL).unwrap();
    append(&db, NOW_MS, &[(1, 7.0)]).unwrap();
    check(&db, [1, 120, 120]);
    // In a block of its own, and merged with those of before.
    for step in 1..5 {
        append(&db, NOW_MS + step, &[(1, 8.0)]).unwrap();
        db.flush().unwrap();
        check(&db, [1 + step as usize, 120, 120]);
    }
    db.clean_tombstones().unwrap();
    check(&db, [5, 120, 120]);
    db.close().unwrap();
    check(&open(disk), [5, 120, 120]);
}

#[test]
fn a_store_of_which_all_is_deleted_is_empty() {
    let disk = MemoryDisk::new();
    let db = store(&disk);
    db.delete_series(&[], ALL).unwrap();
    check(&db, [120; 3]);
    db.delete_series(&[host(1), vec![Matcher::parse_pair("host", "=~", "web-[23]").unwrap()]], ALL)
        .unwrap();
    assert_eq!(contents(&db), []);
    assert_eq!(db.label_names(&[], ALL, 9).unwrap(), Vec::<String>::new());
    db.clean_tombstones().unwrap();
    assert_eq!((db.stats().blocks, db.stats().block_bytes), (0, 0));
    db.close().unwrap();
    let (db, report) = try_open(disk).unwrap();
    assert_eq!((contents(&db), report.adopted), (vec![], vec![]));
}

#[test]
fn many_deletions_are_carried_out_by_themselves() {
    let db = store(&MemoryDisk::new());
    for minute in 0..250 {
        let at = NOW_MS - minute * 60_000;
        db.delete_series(&[host(1)], TimeRange::new(at, at)).unwrap();
    }
    check(&db, [60, 120, 120]);
    assert!(db.stats().tombstones < 250, "{}", db.stats().tombstones);
}

/// How far a scenario came before the disk died.
#[derive(Default)]
struct Reached {
    deleting: bool,
    deleted: bool,
    rewritten: Vec<(Labels, i64, u64)>,
}

/// Writes two series, deletes one, writes it again, and cleans.
fn scenario(disk: &FailingDisk<MemoryDisk>) -> Reached {
    let mut reached = Reached::default();
    let Ok((db, _)) = try_open(disk.clone()) else {
        return reached;
    };
    for step in 0..4 {
        if append(&db, NOW_MS + step, &[(1, step as f64), (2, step as f64)]).is_err() {
            return reached;
        }
        if step == 1 && db.flush().is_err() {
            return reached;
        }
    }
    reached.deleting = true;
    reached.deleted = db.delete_series(&[host(1)], ALL).is_ok();
    if !reached.deleted {
        return reached;
    }
    for step in 2..6 {
        if append(&db, NOW_MS + step, &[(1, 50.0)]).is_ok() {
            reached.rewritten.push((labels(1), NOW_MS + step, 50.0_f64.to_bits()));
        }
    }
    // The disk may be dead; what counts is what is left on it.
    let _ = db.flush();
    let _ = db.clean_tombstones();
    reached
}

#[test]
fn a_crash_at_any_operation_neither_brings_back_nor_takes_more() {
    let disk = FailingDisk::new(MemoryDisk::new());
    let whole = scenario(&disk);
    assert!(whole.deleted && whole.rewritten.len() == 4);
    for n in 1..=disk.operations() {
        let memory = MemoryDisk::new();
        let disk = FailingDisk::new(memory.clone());
        disk.fail_from(n);
        let reached = scenario(&disk);
        for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Torn(n)] {
            let at = format!("operation {n}, {crash:?}");
            let image = memory.crash_image(crash);
            for start in 0..3 {
                let db = open(image.clone());
                let found = select(&db, &host(1), ALL);
                let (again, old): (Vec<_>, Vec<_>) =
                    found.into_iter().partition(|sample| sample.2 == 50.0_f64.to_bits());
                let may_be_old: &[usize] = match (reached.deleting, reached.deleted) {
                    (_, true) => &[0],
                    (true, false) => &[0, 4],
                    (false, false) => &[0, 1, 2, 3, 4],
                };
                assert!(may_be_old.contains(&old.len()), "{at}, start {start}: {old:?}");
                for sample in &reached.rewritten {
                    assert!(again.contains(sample), "{at}, start {start}: {sample:?} is lost");
                }
                if reached.deleting {
                    assert_eq!(select(&db, &host(2), ALL).len(), 4, "{at}, start {start}");
                }
                if start == 1 {
                    db.clean_tombstones().unwrap();
                }
                db.close().unwrap();
            }
        }
    }
}

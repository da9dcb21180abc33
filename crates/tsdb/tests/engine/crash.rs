//! The machine dies at every operation in turn: what was acknowledged is there after it, once.

use muster_environment::{Crash, FailingDisk, MemoryDisk};
use muster_series::Labels;

use crate::harness::{NOW_MS, append, contents, labels, open, try_open};

/// Times and values that were acknowledged, and those that were only tried.
#[derive(Default)]
struct Written {
    acknowledged: Vec<(Labels, i64, u64)>,
    tried: Vec<(Labels, i64, u64)>,
}

/// Writes, cuts and merges until the disk fails or all is done.
fn scenario(disk: &FailingDisk<MemoryDisk>) -> Written {
    let mut written = Written::default();
    let Ok((db, _)) = try_open(disk.clone()) else {
        return written;
    };
    for step in 0..10_i64 {
        let timestamp = NOW_MS - 100_000 + step * 1000;
        let sample = (labels(step as u8 % 3), timestamp, (step as f64).to_bits());
        written.tried.push(sample.clone());
        if append(&db, timestamp, &[(step as u8 % 3, step as f64)]).is_ok() {
            written.acknowledged.push(sample);
        }
        if step % 2 == 1 {
            // The disk may be dead; what counts is what is left on it.
            let _ = db.flush();
        }
    }
    written
}

#[track_caller]
fn check(found: &[(Labels, i64, u64)], written: &Written, at: &str) {
    for sample in &written.acknowledged {
        let times = found.iter().filter(|other| *other == sample).count();
        assert_eq!(times, 1, "{at}: {sample:?} is there {times} times");
    }
    for sample in found {
        assert!(written.tried.contains(sample), "{at}: {sample:?} was never written");
    }
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_acknowledged() {
    let disk = FailingDisk::new(MemoryDisk::new());
    let whole = scenario(&disk);
    assert_eq!(whole.acknowledged.len(), 10);
    let operations = disk.operations();
    assert!(operations > 100, "{operations}");
    for n in 1..=operations {
        let memory = MemoryDisk::new();
        let disk = FailingDisk::new(memory.clone());
        disk.fail_from(n);
        let written = scenario(&disk);
        for crash in
            [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Torn(n), Crash::Torn(n + 999)]
        {
            let db = open(memory.crash_image(crash));
            check(&contents(&db), &written, &format!("operation {n}, {crash:?}"));
            // It can be written again, and cut, and the same is there after one more start.
            append(&db, NOW_MS, &[(9, 9.0)]).unwrap();
            db.flush().unwrap();
            assert!(contents(&db).contains(&(labels(9), NOW_MS, 9.0_f64.to_bits())));
        }
    }
}

#[test]
fn one_failed_operation_is_survived_while_running() {
    let disk = FailingDisk::new(MemoryDisk::new());
    scenario(&disk);
    for n in 1..=disk.operations() {
        let memory = MemoryDisk::new();
        let disk = FailingDisk::new(memory.clone());
        disk.fail_nth(n);
        let written = scenario(&disk);
        if written.tried.is_empty() {
            continue;
        }
        let at = format!("operation {n}");
        check(&contents(&open(memory.crash_image(Crash::LoseUnsynced))), &written, &at);
        assert_eq!(written.acknowledged.len(), 10, "{at}: a single fault needs no refusal");
    }
}

//! A disk that says it has written and has not: a block is only trusted, and its log dropped, once it was read back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use muster_environment::ManualClock;
use muster_tsdb::{Db, Options, TsdbError};

use crate::harness::{DIR, NOW_MS, append, contents, open, options, wait_for};
use crate::hooked_disk::{HookedDisk, Step};

/// While it lies, one byte of each block that was written is another when it is read.
fn lying_disk() -> (HookedDisk, Arc<AtomicBool>) {
    let lies: Arc<AtomicBool> = Arc::default();
    let is_lying = Arc::clone(&lies);
    let disk = HookedDisk::new(move |inner, step| match step {
        Step::Open(path)
            if is_lying.load(Ordering::Relaxed) && path.to_string_lossy().ends_with(".blk.tmp") =>
        {
            inner.corrupt(path, |bytes| bytes[12] ^= 1)
        }
        _ => Ok(()),
    });
    (disk, lies)
}

#[test]
fn a_block_that_does_not_read_back_costs_nothing() {
    let (disk, lies) = lying_disk();
    let db = open(disk);
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    lies.store(true, Ordering::Relaxed);
    // The head is cut first, and the block for it fails then or at the next try.
    assert!(db.flush().and_then(|()| db.flush()).is_err());
    let stats = db.stats();
    assert_eq!((stats.blocks, stats.head_samples, contents(&db).len()), (0, 1, 1));
    assert!(stats.wal_bytes_on_disk > 0);
    lies.store(false, Ordering::Relaxed);
    db.flush().unwrap();
    let stats = db.stats();
    assert_eq!((stats.blocks, stats.wal_bytes_on_disk, contents(&db).len()), (1, 0, 1));
}

#[test]
fn memory_is_bounded_while_no_block_can_be_written() {
    const HEAD_BYTES: usize = 4_000;
    let (disk, lies) = lying_disk();
    let options = Options { head_bytes: HEAD_BYTES, ..options() };
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let (db, _) = Db::open(Path::new(DIR), Arc::new(disk), clock, options).unwrap();
    lies.store(true, Ordering::Relaxed);
    let taken = (0..5_000)
        .take_while(|&step| match append(&db, NOW_MS - 5_000 + step, &[(1, 1.0 / step as f64)]) {
            Ok(_) => true,
            Err(TsdbError::Busy) => false,
            Err(error) => panic!("{error}"),
        })
        .count();
    let bytes = db.stats().head_bytes as usize;
    assert!((2 * HEAD_BYTES..4 * HEAD_BYTES).contains(&bytes), "{bytes} bytes, {taken} samples");
    assert_eq!(contents(&db).len(), taken);
    lies.store(false, Ordering::Relaxed);
    db.flush().unwrap();
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    assert_eq!(contents(&db).len(), taken + 1);
}

#[test]
fn maintenance_goes_on_after_it_panicked() {
    let breaks: Arc<AtomicBool> = Arc::default();
    let is_broken = Arc::clone(&breaks);
    let disk = HookedDisk::new(move |_, step| {
        let of_a_block =
            matches!(step, Step::Create(path) if path.to_string_lossy().ends_with(".blk.tmp"));
        assert!(!of_a_block || !is_broken.load(Ordering::SeqCst), "as a defect would");
        Ok(())
    });
    let options =
        Options { head_bytes: 4_000, maintenance_interval: Duration::from_millis(5), ..options() };
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let (db, _) = Db::open(Path::new(DIR), Arc::new(disk), clock, options).unwrap();
    breaks.store(true, Ordering::SeqCst);
    // Until the head is full, as no block is made of it.
    let taken = (0..5_000)
        .take_while(|&step| append(&db, NOW_MS - 5_000 + step, &[(1, 1.0 / step as f64)]).is_ok())
        .count();
    wait_for(&db, |stats| stats.maintenance_failures >= 2);
    assert_eq!(contents(&db).len(), taken);
    breaks.store(false, Ordering::SeqCst);
    wait_for(&db, |stats| stats.blocks > 0);
    assert_eq!(contents(&db).len(), taken);
}

//! Damage that nobody reads is found: blocks are read again by themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use muster_environment::{ManualClock, MemoryDisk};
use muster_series::{Matcher, TimeRange};
use muster_tsdb::{Db, Options};

use crate::harness::{DIR, NOW_MS, append, contents, options, select, wait_for};

const DAY_MS: i64 = 86_400_000;

/// A store of three days, reopened with a clock to turn.
fn store(disk: &MemoryDisk) -> (Db, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let options = Options { maintenance_interval: Duration::from_millis(1), ..options() };
    let open = || {
        let clock = Arc::clone(&clock);
        Db::open(Path::new(DIR), Arc::new(disk.clone()), clock, options.clone()).unwrap().0
    };
    let db = open();
    // Days that are over, whose blocks are not written again.
    for day in 2..5 {
        append(&db, NOW_MS - day * DAY_MS, &[(1, 1.0), (2, 0.5)]).unwrap();
        append(&db, NOW_MS - day * DAY_MS - 1, &[(1, 1.0), (2, 0.25)]).unwrap();
    }
    db.flush().unwrap();
    db.close().unwrap();
    (open(), clock)
}

fn first_block(disk: &MemoryDisk) -> PathBuf {
    let blocks = Path::new(DIR).join("blocks");
    disk.files().into_iter().find(|path| path.starts_with(&blocks)).unwrap()
}

fn is_in_quarantine(disk: &MemoryDisk, block: &Path) -> bool {
    disk.files().contains(&Path::new(DIR).join("quarantine").join(block.file_name().unwrap()))
}

#[test]
fn every_block_is_read_once_a_week() {
    let (db, clock) = store(&MemoryDisk::new());
    // One block every 56 hours at the most, and each again when a week has passed since it was read.
    for read in 1..=7 {
        clock.advance(57 * 3_600_000);
        wait_for(&db, |stats| stats.scrubbed_blocks == read);
    }
    assert_eq!((db.stats().scrub_damage, db.stats().blocks), (0, 3));
}

/// Changes a block, given where its contents page starts, and lets time pass until that is found.
fn damage(change: impl FnOnce(&mut [u8], usize)) -> (MemoryDisk, Db, PathBuf) {
    let disk = MemoryDisk::new();
    let (db, clock) = store(&disk);
    let block = first_block(&disk);
    disk.corrupt(&block, |bytes| {
        let trailer = bytes.len() - 28;
        let contents_at = u64::from_le_bytes(bytes[trailer..][..8].try_into().unwrap());
        change(bytes, contents_at as usize);
    })
    .unwrap();
    while db.stats().scrub_damage == 0 {
        let before = db.stats().scrubbed_blocks;
        assert!(before < 3, "all blocks were read");
        clock.advance(57 * 3_600_000);
        wait_for(&db, |stats| stats.scrubbed_blocks > before);
    }
    (disk, db, block)
}

#[test]
fn a_block_with_damaged_chunks_is_written_anew_without_them() {
    // The first page of a block is one of columns; in so small a block all of them.
    let (disk, db, block) = damage(|bytes, _| bytes[12] ^= 1);
    wait_for(&db, |stats| stats.blocks == 2 && stats.quarantined == 1);
    wait_for(&db, |_| is_in_quarantine(&disk, &block));
    assert_eq!(contents(&db).len(), 8);
}

#[test]
fn a_damaged_page_of_a_label_is_made_anew() {
    let (disk, db, block) = damage(|bytes, contents_at| bytes[contents_at - 1] ^= 1);
    wait_for(&db, |_| !disk.files().contains(&block));
    let found = select(&db, &[Matcher::equal("host", "web-1")], TimeRange::ALL);
    assert_eq!((found.len(), contents(&db).len(), db.stats().quarantined), (6, 12, 0));
}

#[test]
fn a_block_whose_series_cannot_be_read_is_set_aside() {
    let (disk, db, block) = damage(|bytes, contents_at| bytes[..contents_at].fill(7));
    wait_for(&db, |_| is_in_quarantine(&disk, &block));
    wait_for(&db, |stats| stats.blocks == 2 && stats.quarantined == 1);
    assert_eq!(contents(&db).len(), 8);
}

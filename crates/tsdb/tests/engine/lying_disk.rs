//! A disk that says it has written and has not: a block is only trusted, and its log dropped, once it was read back.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muster_environment::{
    DirEntry, DirLock, Disk, DiskSpace, LockError, ManualClock, MemoryDisk, ReadFile, WriteFile,
};
use muster_tsdb::{Db, Options, TsdbError};

use crate::harness::{DIR, NOW_MS, append, contents, open, options};

/// While it lies, one byte of each block that was written is another when it is read.
#[derive(Clone, Default)]
struct LyingDisk {
    inner: MemoryDisk,
    lies: Arc<AtomicBool>,
}

impl Disk for LyingDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        if self.lies.load(Ordering::Relaxed) && path.to_string_lossy().ends_with(".blk.tmp") {
            self.inner.corrupt(path, |bytes| bytes[12] ^= 1)?;
        }
        self.inner.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.inner.create(path)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.inner.truncate(path, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<DiskSpace> {
        self.inner.space(dir)
    }

    fn lock(&self, file: &Path) -> Result<Box<dyn DirLock>, LockError> {
        self.inner.lock(file)
    }
}

#[test]
fn a_block_that_does_not_read_back_costs_nothing() {
    let disk = LyingDisk::default();
    let db = open(disk.clone());
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    disk.lies.store(true, Ordering::Relaxed);
    // The head is cut first, and the block for it fails then or at the next try.
    assert!(db.flush().and_then(|()| db.flush()).is_err());
    let stats = db.stats();
    assert_eq!((stats.blocks, stats.head_samples, contents(&db).len()), (0, 1, 1));
    assert!(stats.wal_bytes_on_disk > 0);
    disk.lies.store(false, Ordering::Relaxed);
    db.flush().unwrap();
    let stats = db.stats();
    assert_eq!((stats.blocks, stats.wal_bytes_on_disk, contents(&db).len()), (1, 0, 1));
}

#[test]
fn memory_is_bounded_while_no_block_can_be_written() {
    const HEAD_BYTES: usize = 4_000;
    let disk = LyingDisk::default();
    let options = Options { head_bytes: HEAD_BYTES, ..options() };
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let (db, _) = Db::open(Path::new(DIR), Arc::new(disk.clone()), clock, options).unwrap();
    disk.lies.store(true, Ordering::Relaxed);
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
    disk.lies.store(false, Ordering::Relaxed);
    db.flush().unwrap();
    append(&db, NOW_MS, &[(1, 1.0)]).unwrap();
    assert_eq!(contents(&db).len(), taken + 1);
}

//! A disk that fails on request: at the nth operation, from it on, as a full disk does, or where a file cannot be read.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::disk::{DirEntry, DirLock, Disk, DiskSpace, LockError, ReadFile, WriteFile};

#[derive(Debug, Default)]
struct Faults {
    operations: AtomicU64,
    /// The operation that fails, counted from 1; 0 for none.
    fail_at: AtomicU64,
    fail_all_after: AtomicBool,
    full: AtomicBool,
    unreadable: Mutex<Vec<Unreadable>>,
}

/// Bytes of a file that the medium does not give back.
#[derive(Debug)]
struct Unreadable {
    path: PathBuf,
    bytes: Range<u64>,
    os_error: i32,
}

/// What an operation does to the disk, which decides whether a full disk refuses it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    NeedsRoom,
    NeedsNone,
}

impl Faults {
    /// Counts the operation and says whether it may go on.
    fn pass(&self, effect: Effect) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        let fail_at = self.fail_at.load(Ordering::SeqCst);
        let hit = fail_at != 0
            && (number == fail_at
                || number > fail_at && self.fail_all_after.load(Ordering::SeqCst));
        if hit {
            return Err(io::Error::other("a fault was injected"));
        }
        if effect == Effect::NeedsRoom && self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Says whether these bytes can be read.
    fn pass_reading(&self, path: &Path, bytes: &Range<u64>) -> io::Result<()> {
        let overlaps = |fault: &Unreadable| {
            fault.path == path && fault.bytes.start < bytes.end && bytes.start < fault.bytes.end
        };
        match self.unreadable.lock().iter().find(|fault| overlaps(fault)) {
            Some(fault) => Err(io::Error::from_raw_os_error(fault.os_error)),
            None => Ok(()),
        }
    }
}

/// Wraps a disk and fails as told; clones share their faults. Reading the free room and taking the lock never
/// fail and are not counted.
#[derive(Debug, Clone)]
pub struct FailingDisk<D> {
    inner: D,
    faults: Arc<Faults>,
}

impl<D: Disk> FailingDisk<D> {
    /// A disk that does not fail yet.
    pub fn new(inner: D) -> Self {
        Self { inner, faults: Arc::default() }
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.faults.operations.load(Ordering::SeqCst)
    }

    /// Fails the nth operation from the first on (counted from 1) once; 0 for none.
    pub fn fail_nth(&self, n: u64) {
        self.faults.fail_all_after.store(false, Ordering::SeqCst);
        self.faults.fail_at.store(n, Ordering::SeqCst);
    }

    /// Fails the nth operation from the first on (counted from 1) and all after it, as if the machine had died.
    pub fn fail_from(&self, n: u64) {
        self.faults.fail_at.store(n, Ordering::SeqCst);
        self.faults.fail_all_after.store(true, Ordering::SeqCst);
    }

    /// Whether writing fails for lack of room; there is also none available then.
    pub fn set_full(&self, full: bool) {
        self.faults.full.store(full, Ordering::SeqCst);
    }

    /// From now on reading any of these bytes of the file fails with this error of the system. Whoever opened the file under
    /// this name meets it also after the file got another.
    pub fn fail_reads(&self, path: &Path, bytes: Range<u64>, os_error: i32) {
        self.faults.unreadable.lock().push(Unreadable { path: path.into(), bytes, os_error });
    }

    /// From now on all can be read again.
    pub fn let_read(&self) {
        self.faults.unreadable.lock().clear();
    }
}

struct FailingFile<F: ?Sized> {
    faults: Arc<Faults>,
    /// The name under which it was opened.
    path: PathBuf,
    inner: Box<F>,
}

impl ReadFile for FailingFile<dyn ReadFile> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.faults.pass(Effect::NeedsNone)?;
        let end = offset.saturating_add(buffer.len() as u64);
        self.faults.pass_reading(&self.path, &(offset..end))?;
        self.inner.read_exact_at(buffer, offset)
    }
}

impl WriteFile for FailingFile<dyn WriteFile> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.faults.pass(Effect::NeedsRoom) {
            // A failed write may have written a part.
            self.inner.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.inner.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.sync_data()
    }
}

impl<D: Disk> Disk for FailingDisk<D> {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.exists(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.faults.pass(Effect::NeedsNone)?;
        let inner = self.inner.open(path)?;
        Ok(Box::new(FailingFile { faults: Arc::clone(&self.faults), path: path.into(), inner }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.faults.pass(Effect::NeedsRoom)?;
        let inner = self.inner.create(path)?;
        Ok(Box::new(FailingFile { faults: Arc::clone(&self.faults), path: path.into(), inner }))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.truncate(path, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.pass(Effect::NeedsRoom)?;
        self.inner.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.pass(Effect::NeedsNone)?;
        self.inner.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<DiskSpace> {
        let space = self.inner.space(dir)?;
        let full = self.faults.full.load(Ordering::SeqCst);
        Ok(DiskSpace { available: if full { 0 } else { space.available }, ..space })
    }

    fn lock(&self, file: &Path) -> Result<Box<dyn DirLock>, LockError> {
        self.inner.lock(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn the_nth_operation_fails_once_or_from_then_on() {
        let disk = FailingDisk::new(MemoryDisk::new());
        let works = || disk.create_dir_all(Path::new("/d")).is_ok();
        disk.fail_nth(2);
        assert_eq!([works(), works(), works()], [true, false, true]);
        disk.fail_from(5);
        assert_eq!([works(), works(), works()], [true, false, false]);
        assert_eq!(disk.operations(), 6);
    }

    #[test]
    fn a_full_disk_refuses_what_needs_room() {
        let disk = FailingDisk::new(MemoryDisk::new());
        disk.create_dir_all(Path::new("/d")).unwrap();
        let mut file = disk.create(Path::new("/d/f")).unwrap();
        disk.set_full(true);
        let error = file.write_all(b"1234").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.space(Path::new("/d")).unwrap().available, 0);
        disk.set_full(false);
        file.write_all(b"56").unwrap();
        assert_eq!(crate::read_all(&disk, Path::new("/d/f")).unwrap(), b"1256");
    }

    #[test]
    fn bytes_that_cannot_be_read_fail_each_reading_over_them() {
        let disk = FailingDisk::new(MemoryDisk::new());
        let (dir, path) = (Path::new("/d"), Path::new("/d/f"));
        disk.create_dir_all(dir).unwrap();
        disk.create(path).unwrap().write_all(b"123456").unwrap();
        disk.fail_reads(path, 2..4, 5);
        let file = disk.open(path).unwrap();
        let read = |offset| {
            let error = file.read_exact_at(&mut [0; 2], offset).err();
            error.and_then(|error| error.raw_os_error())
        };
        assert_eq!([0, 1, 3, 4].map(read), [None, Some(5), Some(5), None]);
    }
}

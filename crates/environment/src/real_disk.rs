//! The machine's file system.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::disk::{DirEntry, DirLock, Disk, DiskSpace, LockError, ReadFile, WriteFile};

/// Modes of what is made: label values tell much about a company's machines, so nobody else may read them.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// The machine's file system. Files and folders that it makes are for this user alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

struct RealFile(File);

impl ReadFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

impl WriteFile for RealFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The kernel releases the lock with the file.
struct RealLock {
    _file: File,
}

impl DirLock for RealLock {}

impl Disk for RealDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // It was removed between the listing and this look at it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let Ok(name) = entry.file_name().into_string() {
                let is_dir = metadata.is_dir();
                entries.push(DirEntry {
                    name,
                    len: if is_dir { 0 } else { metadata.len() },
                    is_dir,
                });
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(RealFile(File::open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn space(&self, dir: &Path) -> io::Result<DiskSpace> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(DiskSpace {
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.take(32).read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held { pid });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // The process id is only a courtesy to whoever finds the folder locked.
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Box::new(RealLock { _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{read_all, replace_file};

    #[test]
    fn files_are_replaced_listed_cut_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        RealDisk.create_dir_all(&dir).unwrap();
        replace_file(&RealDisk, &dir, "x", b"first").unwrap();
        replace_file(&RealDisk, &dir, "x", b"second").unwrap();
        assert_eq!(read_all(&RealDisk, &dir.join("x")).unwrap(), b"second");
        RealDisk.hard_link(&dir.join("x"), &dir.join("y")).unwrap();
        assert_eq!(read_all(&RealDisk, &dir.join("y")).unwrap(), b"second");
        RealDisk.remove(&dir.join("y")).unwrap();
        RealDisk.truncate(&dir.join("x"), 3).unwrap();
        let entry = DirEntry { name: "x".into(), len: 3, is_dir: false };
        assert_eq!(RealDisk.list(&dir).unwrap(), [entry]);
        RealDisk.remove(&dir.join("x")).unwrap();
        assert!(!RealDisk.exists(&dir.join("x")).unwrap());
        assert!(RealDisk.space(&dir).unwrap().total > 0);
    }

    #[test]
    fn what_is_made_is_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        RealDisk.create_dir_all(&dir).unwrap();
        RealDisk.create(&dir.join("file")).unwrap();
        replace_file(&RealDisk, &dir, "replaced", b"x").unwrap();
        let _lock = RealDisk.lock(&dir.join("LOCK")).unwrap();
        let mode = |path: &str| {
            let metadata = fs::metadata(folder.path().join(path)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(["a", "a/b"].map(mode), [0o700; 2]);
        assert_eq!(["a/b/file", "a/b/replaced", "a/b/LOCK"].map(mode), [0o600; 3]);
    }

    #[test]
    fn the_second_to_lock_learns_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("LOCK");
        let first = RealDisk.lock(&path).unwrap();
        let Err(LockError::Held { pid }) = RealDisk.lock(&path) else { panic!("locked twice") };
        assert_eq!(pid, Some(std::process::id()));
        drop(first);
        RealDisk.lock(&path).unwrap();
    }
}

//! The disk as the engine sees it: few operations, each one able to fail, and each replaceable in a test.
//!
//! Files are written from start to end and read by position. What makes a write durable is told
//! explicitly: [`WriteFile::sync_data`] for the bytes, [`Disk::sync_dir`] for names.

use std::io;
use std::path::Path;

/// A file open for reading at any position, by several threads at once.
pub trait ReadFile: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from byte `offset` on; a file that ends before is `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A file open for writing at its end.
pub trait WriteFile: Send {
    /// Writes all bytes at the end. After an error the end of the file is unknown.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written so far survives a loss of power. After an error nothing is
    /// known about what was written since the last success, and a second call proves nothing.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without its folder; names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Length in bytes; 0 for a folder.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// Room of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// What an unprivileged process may still write.
    pub available: u64,
    /// Size of the whole.
    pub total: u64,
}

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another part of this one, holds it.
    #[error("it is in use by {}", holder(*.pid))]
    Held {
        /// The holder's process id, where it could be read.
        pid: Option<u32>,
    },
    /// The lock file could not be made or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// Holds a lock until it is dropped.
pub trait DirLock: Send + Sync {}

/// All that the engine asks of a file system.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it; one that is there is fine.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// What a folder holds, by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Whether there is a file or folder of this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Makes an empty file, or empties the one that is there, and opens it for writing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Cuts a file to `len` bytes, durably.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;

    /// Gives a file another name, atomically; a file that had that name is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name; an error if the new name is taken, or if the file system knows no second names.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in this folder survive a loss of power.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Room of the file system that holds `dir`.
    fn space(&self, dir: &Path) -> io::Result<DiskSpace>;

    /// Locks `file` for this process alone; it is made if it is not there.
    fn lock(&self, file: &Path) -> Result<Box<dyn DirLock>, LockError>;
}

/// The whole of a file; for small ones.
pub fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Replaces the file `dir/name` as one step that a crash cannot split: temporary name, sync, rename, sync
/// of the folder.
pub fn replace_file(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let mut file = disk.create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}

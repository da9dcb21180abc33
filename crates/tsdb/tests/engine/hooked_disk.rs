//! A disk in memory that asks a test before it opens, makes or syncs a file: a test lets it lie, wait, fail or break there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use muster_environment::{
    DirEntry, DirLock, Disk, DiskSpace, LockError, MemoryDisk, ReadFile, WriteFile,
};

/// What the disk is about to do.
pub(crate) enum Step<'a> {
    Open(&'a Path),
    Create(&'a Path),
    Sync,
}

type Hook = Arc<dyn Fn(&MemoryDisk, Step<'_>) -> io::Result<()> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct HookedDisk {
    pub(crate) inner: MemoryDisk,
    hook: Hook,
}

impl HookedDisk {
    /// Calls `hook` before each step; an error of it is the step's.
    pub(crate) fn new(
        hook: impl Fn(&MemoryDisk, Step<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { inner: MemoryDisk::new(), hook: Arc::new(hook) }
    }

    fn ask(&self, step: Step<'_>) -> io::Result<()> {
        (self.hook)(&self.inner, step)
    }
}

struct HookedFile {
    inner: Box<dyn WriteFile>,
    disk: HookedDisk,
}

impl WriteFile for HookedFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.disk.ask(Step::Sync)?;
        self.inner.sync_data()
    }
}

impl Disk for HookedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.ask(Step::Create(path))?;
        let inner = self.inner.create(path)?;
        Ok(Box::new(HookedFile { inner, disk: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.ask(Step::Open(path))?;
        self.inner.open(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.hard_link(from, to)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.inner.truncate(path, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
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

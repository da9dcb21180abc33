//! A disk in memory that knows what would survive a loss of power.
//!
//! Every file keeps two contents, what was written and what was synced; every name exists in two
//! tables, what processes see and what the folder holds after a crash. [`MemoryDisk::crash_image`]
//! makes a new disk of what a crash would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{DirEntry, DirLock, Disk, DiskSpace, LockError, ReadFile, WriteFile};

/// What of the things never synced a crash leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing: only what was synced is there.
    LoseUnsynced,
    /// All of it: the process died, the machine did not.
    KeepUnsynced,
    /// Of each file's unsynced bytes some prefix, the last block of it filled with zeros or noise; of
    /// unsynced names some. Equal seeds give equal images.
    Torn(u64),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    written: Vec<u8>,
    synced: Vec<u8>,
}

type Shared = Arc<Mutex<Inode>>;

#[derive(Debug, Default)]
struct State {
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, Shared>,
    durable_names: BTreeMap<PathBuf, Shared>,
    locked: BTreeSet<PathBuf>,
}

/// A disk in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as the next start finds it after a crash now; this one goes on unharmed.
    #[must_use]
    pub fn crash_image(&self, crash: Crash) -> Self {
        let state = self.state.lock();
        let mut random = Random(match crash {
            Crash::Torn(seed) => seed ^ 0x9e37_79b9_7f4a_7c15,
            _ => 1,
        });
        let mut kept = match crash {
            Crash::KeepUnsynced => state.names.clone(),
            Crash::LoseUnsynced | Crash::Torn(_) => state.durable_names.clone(),
        };
        if matches!(crash, Crash::Torn(_)) {
            for (path, inode) in &state.names {
                if !kept.contains_key(path) && random.next().is_multiple_of(2) {
                    kept.insert(path.clone(), Arc::clone(inode));
                }
            }
        }
        let names: BTreeMap<PathBuf, Shared> = kept
            .into_iter()
            .map(|(path, inode)| {
                let bytes = surviving_bytes(&inode.lock(), crash, &mut random);
                let inode = Inode { written: bytes.clone(), synced: bytes };
                (path, Arc::new(Mutex::new(inode)))
            })
            .collect();
        let state = State {
            dirs: state.dirs.clone(),
            durable_names: names.clone(),
            names,
            locked: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Every file, by path.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state.lock().names.keys().cloned().collect()
    }

    /// Changes a file behind everyone's back, as a failing medium would.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let inode = self.inode(path)?;
        let inode = &mut *inode.lock();
        change(&mut inode.written);
        inode.synced.clone_from(&inode.written);
        Ok(())
    }

    fn inode(&self, path: &Path) -> io::Result<Shared> {
        self.state.lock().names.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn surviving_bytes(inode: &Inode, crash: Crash, random: &mut Random) -> Vec<u8> {
    match crash {
        Crash::KeepUnsynced => inode.written.clone(),
        Crash::Torn(_) if inode.written.starts_with(&inode.synced) => {
            let unsynced = inode.written.len() - inode.synced.len();
            let kept = random.below(unsynced + 1);
            let mut bytes = inode.written[..inode.synced.len() + kept].to_vec();
            let damaged = random.below(kept.min(64) + 1);
            let from = bytes.len() - damaged;
            let fill_with_zeros = random.next().is_multiple_of(2);
            for byte in &mut bytes[from..] {
                *byte = if fill_with_zeros { 0 } else { random.next() as u8 };
            }
            bytes
        }
        Crash::LoseUnsynced | Crash::Torn(_) => inode.synced.clone(),
    }
}

/// Xorshift: enough to vary crash images, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

struct MemoryFile(Shared);

impl ReadFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().written.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inode = self.0.lock();
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(buffer.len())?))
            .and_then(|range| inode.written.get(range))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(range);
        Ok(())
    }
}

impl WriteFile for MemoryFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().written.extend_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let inode = &mut *self.0.lock();
        inode.synced.clone_from(&inode.written);
        Ok(())
    }
}

struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl DirLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.state.lock().locked.remove(&self.path);
    }
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        for ancestor in dir.ancestors() {
            state.dirs.insert(ancestor.into());
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &Path| path.file_name().and_then(|n| n.to_str()).map(String::from);
        let files = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let dirs = state.dirs.iter().filter(|path| path.parent() == Some(dir));
        let mut entries: Vec<DirEntry> = files
            .filter_map(|(path, inode)| {
                let len = inode.lock().written.len() as u64;
                Some(DirEntry { name: name(path)?, len, is_dir: false })
            })
            .chain(
                dirs.filter_map(|path| Some(DirEntry { name: name(path)?, len: 0, is_dir: true })),
            )
            .collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state.lock();
        Ok(state.names.contains_key(path) || state.dirs.contains(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(MemoryFile(self.inode(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.state.lock();
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = state.names.entry(path.into()).or_default();
        inode.lock().written.clear();
        Ok(Box::new(MemoryFile(Arc::clone(inode))))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let inode = self.inode(path)?;
        let inode = &mut *inode.lock();
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        inode.written.resize(len, 0);
        inode.synced.clone_from(&inode.written);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.into(), inode);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.inode(from)?;
        let mut state = self.state.lock();
        if !to.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.insert(to.into(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.state.lock().names.remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.durable_names.retain(|path, _| path.parent() != Some(dir));
        let current: Vec<(PathBuf, Shared)> = state
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, inode)| (path.clone(), Arc::clone(inode)))
            .collect();
        state.durable_names.extend(current);
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<DiskSpace> {
        Ok(DiskSpace { available: 1 << 40, total: 1 << 41 })
    }

    fn lock(&self, file: &Path) -> Result<Box<dyn DirLock>, LockError> {
        if !self.state.lock().locked.insert(file.into()) {
            return Err(LockError::Held { pid: Some(std::process::id()) });
        }
        Ok(Box::new(MemoryLock { disk: self.clone(), path: file.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{read_all, replace_file};

    fn disk_with_folder() -> (MemoryDisk, PathBuf) {
        let (disk, dir) = (MemoryDisk::new(), PathBuf::from("/data"));
        disk.create_dir_all(&dir).unwrap();
        (disk, dir)
    }

    #[test]
    fn a_crash_loses_bytes_that_were_not_synced() {
        let (disk, dir) = disk_with_folder();
        let mut file = disk.create(&dir.join("a")).unwrap();
        file.write_all(b"kept").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(&dir).unwrap();
        file.write_all(b"lost").unwrap();
        let after = disk.crash_image(Crash::LoseUnsynced);
        assert_eq!(read_all(&after, &dir.join("a")).unwrap(), b"kept");
        let after = disk.crash_image(Crash::KeepUnsynced);
        assert_eq!(read_all(&after, &dir.join("a")).unwrap(), b"keptlost");
        for seed in 0..50 {
            let bytes = read_all(&disk.crash_image(Crash::Torn(seed)), &dir.join("a")).unwrap();
            assert!(bytes.starts_with(b"kept") && bytes.len() <= 8);
        }
    }

    #[test]
    fn a_crash_loses_names_that_were_not_synced() {
        let (disk, dir) = disk_with_folder();
        replace_file(&disk, &dir, "a", b"1").unwrap();
        disk.rename(&dir.join("a"), &dir.join("b")).unwrap();
        let after = disk.crash_image(Crash::LoseUnsynced);
        assert_eq!(after.files(), [dir.join("a")]);
        disk.sync_dir(&dir).unwrap();
        assert_eq!(disk.crash_image(Crash::LoseUnsynced).files(), [dir.join("b")]);
    }

    #[test]
    fn a_file_lives_on_under_its_second_name() {
        let (disk, dir) = disk_with_folder();
        replace_file(&disk, &dir, "a", b"1").unwrap();
        disk.hard_link(&dir.join("a"), &dir.join("b")).unwrap();
        let taken = disk.hard_link(&dir.join("a"), &dir.join("b")).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert!(disk.hard_link(&dir.join("a"), Path::new("/none/b")).is_err());
        disk.remove(&dir.join("a")).unwrap();
        assert_eq!(read_all(&disk, &dir.join("b")).unwrap(), b"1");
        assert_eq!(disk.crash_image(Crash::LoseUnsynced).files(), [dir.join("a")]);
    }

    #[test]
    fn a_lock_does_not_survive_a_crash() {
        let (disk, dir) = disk_with_folder();
        let _held = disk.lock(&dir.join("LOCK")).unwrap();
        assert!(matches!(disk.lock(&dir.join("LOCK")), Err(LockError::Held { .. })));
        disk.crash_image(Crash::LoseUnsynced).lock(&dir.join("LOCK")).unwrap();
    }
}

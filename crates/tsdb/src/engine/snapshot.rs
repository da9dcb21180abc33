//! A second folder with what the store holds at one moment, made while it runs.
//!
//! Blocks never change, so they get a second name, or are copied where the file system has none. The log does change:
//! a running store writes its head into blocks first, and another process copies the log as it finds it, as a start after
//! a crash would. The manifest is written last; a folder without one is not whole.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use muster_environment::Disk;

use super::Shared;
use crate::TsdbError;
use crate::block::BlockMeta;
use crate::inspect::Damage;
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::wal::segment_number;

/// How many bytes are copied at a time.
const PIECE: usize = 1 << 20;
/// How many are where some of them cannot be read.
const SMALL_PIECE: usize = 4 << 10;
/// How often a store that changes while it is copied is looked at again.
const MOST_ROUNDS: usize = 50;

/// What a snapshot or a copy holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotReport {
    /// Blocks.
    pub blocks: usize,
    /// Samples in them.
    pub samples: u64,
    /// Bytes of the blocks and of the copied log.
    pub bytes: u64,
    /// Segments of the log that were copied.
    pub segments: usize,
}

/// What a copy does with a file that the medium does not give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It fails.
    Refuse,
    /// It goes on without it, and says so.
    LeaveOut,
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// What is in the copy.
    pub copied: SnapshotReport,
    /// What is not, by its name in the folder of the store: blocks, and of segments of the log all from where they cannot be read.
    pub left_out: Vec<Damage>,
}

/// How a block comes into the other folder.
#[derive(Clone, Copy)]
enum Transfer {
    /// By a second name, where that is possible.
    Link,
    /// As bytes of its own, which no fault of the first disk reaches.
    Copy,
}

impl Shared {
    /// Puts the blocks of now into the folder `to`, with a manifest that names them.
    pub(super) fn snapshot_blocks(&self, to: &Path) -> Result<SnapshotReport, TsdbError> {
        let disk = &*self.disk;
        refuse_used(disk, to)?;
        let mut held = self.manifest.lock();
        self.set_damaged_aside(&mut held)?;
        let manifest = Manifest { removed: Vec::new(), ..Manifest::clone(&held) };
        create_folders(disk, to)?;
        for meta in &manifest.blocks {
            let name = meta.file_name();
            let target = to.join("blocks").join(&name);
            transfer(disk, &self.folders.blocks.join(&name), &target, Transfer::Link)?;
        }
        drop(held);
        finish(disk, to, &manifest, 0)
    }
}

/// Copies the store in `from` into the folder `to`, which is new or empty, also while another process has it open: all samples
/// that were acknowledged before the call are in the copy. What was set aside in quarantine is not.
///
/// Blocks are copied once each; where the store goes on while they are, only what is new is copied after them, until manifest and
/// log are of one moment.
pub fn copy_store(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    unreadable: Unreadable,
) -> Result<CopyReport, TsdbError> {
    refuse_used(disk, to)?;
    let mut manifest = load(disk, from)?;
    create_folders(disk, to)?;
    let mut copy = Copy { disk, from, to, unreadable, left_out: BTreeMap::new() };
    for _ in 0..MOST_ROUNDS {
        let round = copy.round(&manifest);
        let after = load(disk, from)?;
        match round {
            Ok(log_bytes) if after == manifest => return copy.finish(manifest, log_bytes),
            // A file that went away while it was copied is not in the next manifest.
            Err(error) if after == manifest || !error.is_missing_file() => return Err(error),
            _ => manifest = after,
        }
    }
    let reason = "it changes faster than it can be copied";
    Err(TsdbError::io("copy", from, io::Error::other(reason)))
}

fn load(disk: &dyn Disk, dir: &Path) -> Result<Manifest, TsdbError> {
    let missing =
        || TsdbError::io("read", &dir.join(MANIFEST_NAME), io::ErrorKind::NotFound.into());
    Manifest::load(disk, dir)?.ok_or_else(missing)
}

fn refuse_used(disk: &dyn Disk, to: &Path) -> Result<(), TsdbError> {
    let failed = |error| TsdbError::io("use", to, error);
    if disk.exists(to).map_err(failed)? && !disk.list(to).map_err(failed)?.is_empty() {
        let error = io::Error::new(io::ErrorKind::AlreadyExists, "it holds something already");
        return Err(failed(error));
    }
    Ok(())
}

fn create_folders(disk: &dyn Disk, to: &Path) -> Result<(), TsdbError> {
    for folder in [to, &to.join("blocks"), &to.join("wal")] {
        disk.create_dir_all(folder).map_err(|error| TsdbError::io("create", folder, error))?;
    }
    Ok(())
}

/// A copy under way.
struct Copy<'a> {
    disk: &'a dyn Disk,
    from: &'a Path,
    to: &'a Path,
    unreadable: Unreadable,
    /// Why what is not in the copy could not be read, by its name in the folder.
    left_out: BTreeMap<String, String>,
}

impl Copy<'_> {
    /// Brings the copy to where the manifest and the log are now; returns the bytes of the log.
    fn round(&mut self, manifest: &Manifest) -> Result<u64, TsdbError> {
        self.left_out.clear();
        let disk = self.disk;
        let target = self.to.join("blocks");
        let named: Vec<String> = manifest.blocks.iter().map(BlockMeta::file_name).collect();
        let there = list(disk, &target)?;
        for (name, _) in there.iter().filter(|(name, _)| !named.contains(name)) {
            remove(disk, &target.join(name))?;
        }
        for name in named.iter().filter(|name| !there.iter().any(|(other, _)| other == *name)) {
            self.file(&format!("blocks/{name}"))?;
        }
        let (source, target) = (self.from.join("wal"), self.to.join("wal"));
        let is_needed = |name: &str| {
            segment_number(name).is_some_and(|number| number >= manifest.first_segment)
        };
        let mut segments = list(disk, &source)?;
        segments.retain(|(name, _)| is_needed(name));
        let there = list(disk, &target)?;
        for (name, _) in there.iter().filter(|(name, _)| !is_needed(name)) {
            remove(disk, &target.join(name))?;
        }
        let mut log_bytes = 0;
        for segment in &segments {
            let name = format!("wal/{}", segment.0);
            // A segment only grows until it is closed, so one of the same length is the same.
            if !there.contains(segment) && !self.file(&name)? {
                copy_start(disk, &source.join(&segment.0), &target.join(&segment.0))?;
            }
            log_bytes += segment.1;
        }
        Ok(log_bytes)
    }

    /// Copies a file; false if it is one that the medium does not give back, and that may be left out.
    fn file(&mut self, name: &str) -> Result<bool, TsdbError> {
        let copied =
            transfer(self.disk, &self.from.join(name), &self.to.join(name), Transfer::Copy);
        match copied {
            Err(error @ TsdbError::Corrupt { .. }) if self.unreadable == Unreadable::LeaveOut => {
                self.left_out.insert(name.to_owned(), error.to_string());
                Ok(false)
            }
            copied => copied.map(|()| true),
        }
    }

    fn finish(self, manifest: Manifest, log_bytes: u64) -> Result<CopyReport, TsdbError> {
        let is_here =
            |meta: &BlockMeta| !self.left_out.contains_key(&format!("blocks/{}", meta.file_name()));
        let blocks = manifest.blocks.iter().filter(|meta| is_here(meta)).cloned().collect();
        let whole = Manifest { removed: Vec::new(), blocks, ..manifest };
        let copied = finish(self.disk, self.to, &whole, log_bytes)?;
        let left_out =
            self.left_out.into_iter().map(|(file, reason)| Damage { file, reason }).collect();
        Ok(CopyReport { copied, left_out })
    }
}

/// Copies a file up to where it cannot be read.
fn copy_start(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), TsdbError> {
    let writing = |error| TsdbError::io("write", to, error);
    let mut target = disk.create(to).map_err(writing)?;
    if let Ok(source) = disk.open(from) {
        let (len, mut offset) = (source.len().unwrap_or(0), 0);
        let mut piece = vec![0; SMALL_PIECE];
        while offset < len {
            let size =
                usize::try_from(len - offset).map_or(SMALL_PIECE, |left| left.min(SMALL_PIECE));
            if source.read_exact_at(&mut piece[..size], offset).is_err() {
                break;
            }
            target.write_all(&piece[..size]).map_err(writing)?;
            offset += size as u64;
        }
    }
    target.sync_data().map_err(writing)
}

fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<(String, u64)>, TsdbError> {
    let files = disk.list(folder).map_err(|error| TsdbError::io("list", folder, error))?;
    Ok(files.into_iter().map(|file| (file.name, file.len)).collect())
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), TsdbError> {
    disk.remove(path).map_err(|error| TsdbError::io("remove", path, error))
}

/// Makes the file durable under its second name or as a copy; what is half copied goes again.
fn transfer(disk: &dyn Disk, from: &Path, to: &Path, how: Transfer) -> Result<(), TsdbError> {
    if matches!(how, Transfer::Link) && disk.hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy_bytes(disk, from, to).inspect_err(|_| {
        // Whoever made the folder removes it where this fails too.
        let _ = disk.remove(to);
    })
}

fn copy_bytes(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), TsdbError> {
    let reading = |error| TsdbError::reading(from, 0, error);
    let writing = |error| TsdbError::io("write", to, error);
    let source = disk.open(from).map_err(reading)?;
    let len = source.len().map_err(reading)?;
    let mut target = disk.create(to).map_err(writing)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < len {
        let piece =
            &mut piece[..usize::try_from(len - offset).map_or(PIECE, |left| left.min(PIECE))];
        let read = source.read_exact_at(piece, offset);
        read.map_err(|error| TsdbError::reading(from, offset, error))?;
        target.write_all(piece).map_err(writing)?;
        offset += piece.len() as u64;
    }
    target.sync_data().map_err(writing)
}

/// Makes the names durable, then writes the manifest.
fn finish(
    disk: &dyn Disk,
    to: &Path,
    manifest: &Manifest,
    log_bytes: u64,
) -> Result<SnapshotReport, TsdbError> {
    let (blocks, wal) = (to.join("blocks"), to.join("wal"));
    for folder in [&blocks, &wal] {
        disk.sync_dir(folder).map_err(|error| TsdbError::io("sync", folder, error))?;
    }
    manifest.store(disk, to)?;
    let block_bytes: u64 = manifest.blocks.iter().map(|block| block.bytes).sum();
    Ok(SnapshotReport {
        blocks: manifest.blocks.len(),
        samples: manifest.blocks.iter().map(|block| block.samples).sum(),
        bytes: block_bytes + log_bytes,
        segments: list(disk, &wal)?.len(),
    })
}

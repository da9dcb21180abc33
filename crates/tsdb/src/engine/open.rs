//! Opening a data folder: what is valid is served, what is damaged is set aside and told, never fatal.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use muster_environment::{Clock, Disk, LockError};
use muster_series::Labels;
use parking_lot::{Mutex, RwLock};

use super::maintenance::open_block;
use super::queue::Queue;
use super::stats::Counters;
use super::{Folders, Shared, View};
use crate::block::{Block, BlockMeta, PageCache};
use crate::head::Head;
use crate::index::registry::Registry;
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::wal::{ReplaySink, ResolvedGroup, WalWriter, replay_segment, segment_number};
use crate::{Options, TsdbError};

const LOCK_NAME: &str = "LOCK";

/// A file, or a part of one, that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The file, by its name within the data folder.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What was found when the data folder was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Blocks that are served.
    pub blocks: usize,
    /// Records of the log that were read.
    pub replayed_records: u64,
    /// Samples in them.
    pub replayed_samples: u64,
    /// Bytes at the end of log segments that a crash left half written; they were never acknowledged.
    pub cut_tail_bytes: u64,
    /// What is damaged; the originals are in the folder `quarantine`.
    pub quarantined: Vec<Quarantined>,
}

/// Opens the folder up to, but without, the threads.
pub(super) fn open(
    dir: &Path,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: Options,
) -> Result<(Shared, WalWriter, OpenReport), TsdbError> {
    let folders = Folders {
        root: dir.into(),
        wal: dir.join("wal"),
        blocks: dir.join("blocks"),
        quarantine: dir.join("quarantine"),
    };
    for folder in [
        &folders.root,
        &folders.wal,
        &folders.blocks,
        &folders.quarantine,
    ] {
        disk.create_dir_all(folder)
            .map_err(|error| TsdbError::io("create", folder, error))?;
    }
    let lock = disk
        .lock(&dir.join(LOCK_NAME))
        .map_err(|error| match error {
            LockError::Io(error) => TsdbError::io("lock", dir, error),
            held @ LockError::Held { .. } => TsdbError::Locked {
                path: dir.into(),
                holder: held.to_string(),
            },
        })?;
    let mut opening = Opening {
        disk: &*disk,
        folders: &folders,
        report: OpenReport::default(),
    };
    let (manifest, blocks) = opening.blocks()?;
    let mut report = opening.report;
    report.blocks = blocks.len();
    let active = Arc::new(Head::new(clock.monotonic_ms()));
    let shared = Shared {
        registry: RwLock::new(Registry::default()),
        view: ArcSwap::from_pointee(View {
            active,
            cut: None,
            blocks,
        }),
        cache: PageCache::new(options.cache_bytes),
        queue: Queue::new(options.queue_samples),
        counters: Counters::default(),
        manifest: Mutex::new(manifest),
        damaged_blocks: Mutex::default(),
        wake: Default::default(),
        stopping: AtomicBool::new(false),
        lock: Mutex::new(Some(lock)),
        folders,
        disk,
        clock,
        options,
    };
    let next_segment = shared.replay(&mut report)?;
    shared
        .counters
        .quarantined
        .add(report.quarantined.len() as u64);
    let wal = WalWriter::new(
        Arc::clone(&shared.disk),
        &shared.folders.wal,
        next_segment,
        shared.options.wal_segment_bytes,
    );
    Ok((shared, wal, report))
}

struct Opening<'a> {
    disk: &'a dyn Disk,
    folders: &'a Folders,
    report: OpenReport,
}

impl Opening<'_> {
    /// The manifest and the blocks that it names and that can be opened.
    fn blocks(&mut self) -> Result<(Manifest, Vec<Arc<Block>>), TsdbError> {
        let (mut manifest, trusted) = match Manifest::load(self.disk, &self.folders.root) {
            Ok(Some(manifest)) => (manifest, true),
            Ok(None) => (self.adopt_blocks()?, false),
            Err(error @ TsdbError::Corrupt { .. }) => {
                self.set_aside(
                    &self.folders.root.join(MANIFEST_NAME),
                    MANIFEST_NAME,
                    &error,
                )?;
                (self.adopt_blocks()?, false)
            }
            Err(error) => return Err(error),
        };
        let before = manifest.blocks.len();
        let mut blocks = Vec::new();
        for meta in std::mem::take(&mut manifest.blocks) {
            let name = meta.file_name();
            match open_block(self.disk, &self.folders.blocks, &name) {
                Ok(block) => {
                    manifest.blocks.push(meta);
                    blocks.push(Arc::new(block));
                }
                Err(error @ TsdbError::Corrupt { .. }) => {
                    self.set_aside(
                        &self.folders.blocks.join(&name),
                        &format!("blocks/{name}"),
                        &error,
                    )?;
                }
                Err(error) if is_missing(&error) => {
                    self.tell(format!("blocks/{name}"), "the file is missing".into());
                }
                Err(error) => return Err(error),
            }
        }
        if !trusted || manifest.blocks.len() < before {
            manifest.store(self.disk, &self.folders.root)?;
        }
        self.remove_leftovers(&manifest);
        blocks.sort_by_key(|block| block.meta.last_head);
        Ok((manifest, blocks))
    }

    /// A manifest of all blocks that can be opened, where the real one is lost. A block that a merge has replaced
    /// is recognised by the heads it was made of.
    fn adopt_blocks(&mut self) -> Result<Manifest, TsdbError> {
        let folder = &self.folders.blocks;
        let files = self
            .disk
            .list(folder)
            .map_err(|error| TsdbError::io("list", folder, error))?;
        let mut found: Vec<BlockMeta> = Vec::new();
        for file in files.iter().filter(|file| has_extension(&file.name, "blk")) {
            match open_block(self.disk, folder, &file.name) {
                Ok(block) if block.meta.file_name() == file.name => found.push(block.meta.clone()),
                Ok(_) => self.tell(
                    format!("blocks/{}", file.name),
                    "the file was renamed".into(),
                ),
                Err(error @ TsdbError::Corrupt { .. }) => {
                    let name = format!("blocks/{}", file.name);
                    self.set_aside(&folder.join(&file.name), &name, &error)?;
                }
                Err(error) => return Err(error),
            }
        }
        let replaced = |meta: &BlockMeta| {
            found.iter().any(|other| {
                other != meta
                    && other.partition == meta.partition
                    && other.first_head <= meta.first_head
                    && meta.last_head <= other.last_head
            })
        };
        let blocks: Vec<BlockMeta> = found
            .iter()
            .filter(|meta| !replaced(meta))
            .cloned()
            .collect();
        let next_head = blocks
            .iter()
            .map(|meta| meta.last_head + 1)
            .max()
            .unwrap_or(0);
        Ok(Manifest {
            next_head,
            first_segment: 0,
            blocks,
        })
    }

    /// Removes what a crash left: temporary files, and blocks that no manifest names.
    fn remove_leftovers(&self, manifest: &Manifest) {
        let named: Vec<String> = manifest.blocks.iter().map(BlockMeta::file_name).collect();
        for file in self.disk.list(&self.folders.blocks).unwrap_or_default() {
            let is_ours = ["tmp", "blk"]
                .iter()
                .any(|own| has_extension(&file.name, own));
            if is_ours && !named.contains(&file.name) {
                // What stays costs room only, and the next start tries again.
                let _ = self.disk.remove(&self.folders.blocks.join(&file.name));
            }
        }
    }

    fn set_aside(&mut self, path: &Path, name: &str, error: &TsdbError) -> Result<(), TsdbError> {
        let aside = self.folders.quarantine.join(name.replace('/', "_"));
        self.disk
            .rename(path, &aside)
            .map_err(|error| TsdbError::io("set aside", path, error))?;
        self.tell(name.into(), error.to_string());
        Ok(())
    }

    fn tell(&mut self, file: String, reason: String) {
        tracing::error!(file, reason, "a file of the store is set aside");
        self.report.quarantined.push(Quarantined { file, reason });
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|own| own == extension)
}

fn is_missing(error: &TsdbError) -> bool {
    matches!(error, TsdbError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// Puts what a segment holds into the head.
struct Replay<'a> {
    shared: &'a Shared,
    head: Arc<Head>,
    /// The series of the numbers that this segment uses.
    series: HashMap<u32, u32>,
    segment: String,
    report: &'a mut OpenReport,
}

impl ReplaySink for Replay<'_> {
    fn series(&mut self, id: u32, labels: &Labels) {
        // What was acknowledged is kept, whatever the limit says now.
        let known = self.shared.registry.write().insert(labels, usize::MAX);
        if let Ok(known) = known {
            self.series.insert(id, known.0);
        }
    }

    fn samples(&mut self, group: &ResolvedGroup) {
        let known: Vec<(u32, f64)> = group
            .samples
            .iter()
            .filter_map(|(id, value)| Some((*self.series.get(id)?, *value)))
            .collect();
        self.head.push_group(group.timestamp, &known);
        self.report.replayed_samples += known.len() as u64;
    }

    fn damaged(&mut self, offset: u64, bytes: &[u8], reason: &'static str) {
        let name = format!("{}.at-{offset}", self.segment);
        let folder = &self.shared.folders.quarantine;
        let kept = muster_environment::replace_file(&*self.shared.disk, folder, &name, bytes);
        if let Err(error) = kept {
            tracing::warn!(name, %error, "damaged bytes of the log could not be kept");
        }
        let file = format!("wal/{}", self.segment);
        let reason = format!("{reason}, at byte {offset}, {} bytes", bytes.len());
        tracing::error!(file, reason, "a part of the log is set aside");
        self.report.quarantined.push(Quarantined { file, reason });
    }
}

impl Shared {
    /// Reads the log into the head; returns the number for the next segment.
    fn replay(&self, report: &mut OpenReport) -> Result<u64, TsdbError> {
        let folder = &self.folders.wal;
        let files = self
            .disk
            .list(folder)
            .map_err(|error| TsdbError::io("list", folder, error))?;
        let first = self.manifest.lock().first_segment;
        let mut next = first;
        for file in files {
            let Some(number) = segment_number(&file.name) else {
                continue;
            };
            let path = folder.join(&file.name);
            if number < first {
                // A crash came between the manifest and this removal; nothing in it is needed.
                let _ = self.disk.remove(&path);
                continue;
            }
            next = number + 1;
            let mut sink = Replay {
                shared: self,
                head: Arc::clone(&self.view.load().active),
                series: HashMap::new(),
                segment: file.name,
                report: &mut *report,
            };
            let replayed = replay_segment(&*self.disk, &path, &mut sink)?;
            report.replayed_records += replayed.records;
            if let Some((len, lost)) = replayed.cut {
                report.cut_tail_bytes += lost;
                self.disk
                    .truncate(&path, len)
                    .map_err(|error| TsdbError::io("cut", &path, error))?;
            }
            self.bound_replay(next);
        }
        Ok(next)
    }

    /// Writes the head as a block when replay has filled it, so that a start needs no more memory than running does.
    fn bound_replay(&self, end_segment: u64) {
        let view = self.view.load();
        if view.cut.is_some() || view.active.bytes() < self.options.head_bytes {
            return;
        }
        drop(view);
        self.cut_head(end_segment);
        if let Err(error) = self.maintain() {
            tracing::warn!(%error, "the log is still needed, its samples could not be written as a block");
        }
    }
}

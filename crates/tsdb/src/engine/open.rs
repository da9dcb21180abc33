//! Opening a data folder: what is valid is served, what is damaged is set aside and told, never fatal.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use arc_swap::ArcSwap;
use muster_environment::{Clock, Disk, LockError};
use parking_lot::{Mutex, RwLock};

use super::forget::Forgetting;
use super::inventory::Inventory;
use super::queue::Queue;
use super::scrub::ScrubTimes;
use super::stats::Counters;
use super::{Folders, Shared, View};
use crate::block::PageCache;
use crate::head::Head;
use crate::index::registry::Registry;
use crate::index::scans::ScanCache;
use crate::wal::WalWriter;
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
    /// Bytes at the end of log segments that a crash left half written; they were never acknowledged. What may have
    /// been acknowledged and is damaged is in `quarantined`.
    pub cut_tail_bytes: u64,
    /// Samples in the log whose series is named only in a part of it that is damaged.
    pub nameless_samples: u64,
    /// Blocks that no manifest named, from a backup, say; they are served now.
    pub adopted: Vec<String>,
    /// What should be there and is not: the manifest, or segments of the log. What was in them is lost.
    pub missing: Vec<String>,
    /// What is damaged or cannot be used; the originals are in the folder `quarantine`.
    pub quarantined: Vec<Quarantined>,
}

impl OpenReport {
    /// Tells that a file is set aside.
    pub(super) fn quarantine(&mut self, file: String, reason: String) {
        tracing::error!(file, reason, "a file of the store is set aside");
        self.quarantined.push(Quarantined { file, reason });
    }

    /// Tells that something is not there.
    pub(super) fn miss(&mut self, file: String) {
        tracing::error!(file, "a file of the store is missing; what only it held is lost");
        self.missing.push(file);
    }
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
    for folder in [&folders.root, &folders.wal, &folders.blocks, &folders.quarantine] {
        disk.create_dir_all(folder).map_err(|error| TsdbError::io("create", folder, error))?;
    }
    let lock = disk.lock(&dir.join(LOCK_NAME)).map_err(|error| match error {
        LockError::Io(error) => TsdbError::io("lock", dir, error),
        held @ LockError::Held { .. } => {
            TsdbError::Locked { path: dir.into(), holder: held.to_string() }
        }
    })?;
    let mut inventory = Inventory::new(&*disk, &folders);
    let (manifest, blocks) = inventory.take()?;
    let manifest_is_new = inventory.manifest_is_new;
    let mut report = inventory.report;
    report.blocks = blocks.len();
    let active = Arc::new(Head::new(clock.monotonic_ms()));
    let tombstones = manifest.tombstones.clone().into();
    let shared = Shared {
        registry: RwLock::new(Registry::default()),
        forgetting: Forgetting::default(),
        scans: ScanCache::new(options.scan_cache_bytes),
        view: ArcSwap::from_pointee(View { active, cut: None, blocks, tombstones }),
        cache: PageCache::new(options.cache_bytes),
        queue: Queue::new(options.queue_samples),
        counters: Counters::default(),
        manifest: Mutex::new(manifest),
        damaged_blocks: Mutex::default(),
        clean_not_before_ms: AtomicI64::new(i64::MIN),
        scrub_times: Mutex::new(ScrubTimes::new(clock.monotonic_ms())),
        opened_ms: clock.now_ms(),
        unmergeable: Mutex::default(),
        clock_doubted: AtomicBool::new(false),
        wake: Default::default(),
        stopping: AtomicBool::new(false),
        lock: Mutex::new(Some(lock)),
        folders,
        disk,
        clock,
        options,
    };
    let next_segment = shared.replay(!manifest_is_new, &mut report)?;
    shared.counters.quarantined.add(report.quarantined.len() as u64);
    let wal = WalWriter::new(
        Arc::clone(&shared.disk),
        &shared.folders.wal,
        next_segment,
        shared.options.wal_segment_bytes,
    );
    Ok((shared, wal, report))
}

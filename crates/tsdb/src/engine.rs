//! The engine at work: what the threads share, and what each of them does.
//!
//! Three parties touch the state. Callers register series, queue batches and read a view. The writer's thread takes
//! what is queued, makes it durable, puts it into the active head, and cuts the head. The maintenance
//! thread turns a cut head into blocks, merges blocks and drops old ones. A view is immutable and replaced
//! as a whole, so a reader never waits for either.

mod db;
mod forget;
mod inventory;
mod maintenance;
mod merge;
mod open;
mod query;
mod queue;
mod reader;
mod replay;
mod scrub;
mod select;
mod snapshot;
mod stats;
mod tombstones;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use arc_swap::ArcSwap;
use muster_environment::{Clock, DirLock, Disk};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::block::{Block, PageCache};
use crate::head::Head;
use crate::index::registry::Registry;
use crate::index::scans::ScanCache;
use crate::manifest::Manifest;
use crate::tombstone::Tombstone;
use crate::{Options, TsdbError};

pub use db::Db;
pub use open::{OpenReport, Quarantined};
pub use reader::SeriesReader;
pub use select::{SelectHints, SelectLimits};
pub use snapshot::{CopyReport, SnapshotReport, Unreadable, copy_store};
pub use stats::Stats;

use forget::Forgetting;
use queue::Queue;
use scrub::ScrubTimes;
use stats::Counters;

/// A head that is cut: all of it is in log segments below `end_segment`.
#[derive(Clone)]
struct CutHead {
    head: Arc<Head>,
    end_segment: u64,
}

/// Everything there is to read at one moment.
#[derive(Clone)]
struct View {
    active: Arc<Head>,
    /// On its way into blocks.
    cut: Option<CutHead>,
    /// By the heads they were made of, oldest first.
    blocks: Vec<Arc<Block>>,
    /// Deletions that some block still holds samples of.
    tombstones: Arc<[Tombstone]>,
}

/// Folders within the data folder.
struct Folders {
    root: PathBuf,
    wal: PathBuf,
    blocks: PathBuf,
    quarantine: PathBuf,
}

/// What callers and threads share.
struct Shared {
    folders: Folders,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: Options,
    registry: RwLock<Registry>,
    forgetting: Forgetting,
    scans: ScanCache,
    view: ArcSwap<View>,
    cache: PageCache,
    queue: Queue,
    counters: Counters,
    /// What the manifest on disk says; held during maintenance, so that there is one at a time.
    manifest: Mutex<Manifest>,
    /// Blocks found damaged while they were read: out of the view, not yet out of the manifest.
    damaged_blocks: Mutex<Vec<Arc<Block>>>,
    /// By the monotonic clock: before this no block is written anew by itself for what is deleted of it.
    clean_not_before_ms: AtomicI64,
    scrub_times: Mutex<ScrubTimes>,
    /// When the store was opened, in milliseconds since 1970.
    opened_ms: i64,
    /// Files of blocks that could not be merged with each other, and until when, by the monotonic clock, that is not tried again.
    unmergeable: Mutex<BTreeMap<String, i64>>,
    /// Whether it was told that the clock is too far ahead of the samples to drop any by it.
    clock_doubted: AtomicBool,
    /// Tells the maintenance thread to look for work, now.
    wake: (Mutex<bool>, Condvar),
    stopping: AtomicBool,
    lock: Mutex<Option<Box<dyn DirLock>>>,
}

impl Shared {
    /// Takes a block whose index is damaged out of the view; maintenance puts its file aside.
    fn report_damage(&self, block: &Arc<Block>, error: &TsdbError) {
        tracing::error!(%error, "a block is damaged and is set aside");
        self.view.rcu(|view| {
            let mut view = View::clone(view);
            view.blocks.retain(|other| !Arc::ptr_eq(other, block));
            view
        });
        let mut damaged = self.damaged_blocks.lock();
        if !damaged.iter().any(|other| Arc::ptr_eq(other, block)) {
            damaged.push(Arc::clone(block));
            self.counters.quarantined.add(1);
        }
        drop(damaged);
        self.wake_maintenance();
    }

    fn wake_maintenance(&self) {
        *self.wake.0.lock() = true;
        self.wake.1.notify_all();
    }
}

//! Counters of the engine, for its own metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Shared;
use crate::Refused;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) appended: Counter,
    pub(super) duplicates: Counter,
    pub(super) too_new: Counter,
    pub(super) too_old: Counter,
    pub(super) unknown_series: Counter,
    pub(super) failed_samples: Counter,
    pub(super) busy_batches: Counter,
    pub(super) series_refused: Counter,
    pub(super) series_forgotten: Counter,
    pub(super) wal_syncs: Counter,
    pub(super) wal_sync_ms: Counter,
    pub(super) wal_bytes: Counter,
    pub(super) compactions: Counter,
    pub(super) maintenance_failures: Counter,
    pub(super) quarantined: Counter,
    pub(super) damaged_chunks: Counter,
    pub(super) scrubbed: Counter,
    pub(super) scrub_damage: Counter,
    pub(super) dropped_for_size: Counter,
    pub(super) disk_full: AtomicBool,
    pub(super) write_failing: AtomicBool,
}

/// What the engine has done since it was opened, and what it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Series that may be written to.
    pub series: u64,
    /// Bytes of memory that the texts of their labels take.
    pub label_bytes: u64,
    /// Series that were forgotten, as they had no sample for long.
    pub forgotten_series: u64,
    /// Samples not yet in a block.
    pub head_samples: u64,
    /// Bytes of memory that these take.
    pub head_bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Samples in blocks, a sample that is in two counted twice.
    pub block_samples: u64,
    /// Deletions that some block still holds samples of.
    pub tombstones: u64,
    /// Bytes of the log on disk now.
    pub wal_bytes_on_disk: u64,
    /// Bytes that decoded parts of blocks take in memory.
    pub cache_bytes: u64,
    /// Samples taken.
    pub appended_samples: u64,
    /// Samples that were there already.
    pub duplicate_samples: u64,
    /// Samples refused, by reason.
    pub refused_samples: Refused,
    /// Samples in batches that failed as a whole.
    pub failed_samples: u64,
    /// Batches refused because too much was waiting.
    pub busy_batches: u64,
    /// Series refused because there are as many as are allowed, or their labels are too many, too long or not valid.
    pub refused_series: u64,
    /// Syncs of the log.
    pub wal_syncs: u64,
    /// Time that writing and syncing the log took, in milliseconds.
    pub wal_sync_ms: u64,
    /// Bytes written to the log.
    pub wal_written_bytes: u64,
    /// Merges of blocks.
    pub compactions: u64,
    /// Rounds of maintenance that failed.
    pub maintenance_failures: u64,
    /// Files or parts of files set aside because they are damaged.
    pub quarantined: u64,
    /// Chunks left out of answers because they are damaged.
    pub damaged_chunks: u64,
    /// Blocks that were read whole again to see whether they are damaged.
    pub scrubbed_blocks: u64,
    /// Blocks of these that were.
    pub scrub_damage: u64,
    /// Blocks dropped because the store was larger than it may be.
    pub dropped_for_size: u64,
    /// Whether appends are refused for lack of room.
    pub disk_full: bool,
    /// Whether the last write to the log failed.
    pub write_failing: bool,
    /// The labels with most values: name and how many values.
    pub largest_labels: Vec<(String, u64)>,
}

impl Shared {
    /// Bytes of the log on disk; 0 where that cannot be told.
    pub(super) fn log_bytes(&self) -> u64 {
        let segments = self.disk.list(&self.folders.wal).unwrap_or_default();
        segments.iter().map(|entry| entry.len).sum()
    }

    pub(super) fn stats(&self) -> Stats {
        let view = self.view.load();
        let (series, label_bytes, largest_labels) = {
            let registry = self.registry.read();
            let largest = registry.largest_labels(5);
            let largest = largest.into_iter().map(|(n, v)| (n, v as u64)).collect();
            (registry.len() as u64, registry.label_bytes() as u64, largest)
        };
        let cut = view.cut.as_ref().map(|cut| (cut.head.samples(), cut.head.bytes()));
        let (cut_samples, cut_bytes) = cut.unwrap_or_default();
        let counters = &self.counters;
        Stats {
            series,
            label_bytes,
            forgotten_series: self.counters.series_forgotten.get(),
            head_samples: view.active.samples() + cut_samples,
            head_bytes: (view.active.bytes() + cut_bytes) as u64,
            blocks: view.blocks.len() as u64,
            block_bytes: view.blocks.iter().map(|block| block.meta.bytes).sum(),
            block_samples: view.blocks.iter().map(|block| block.meta.samples).sum(),
            tombstones: view.tombstones.len() as u64,
            wal_bytes_on_disk: self.log_bytes(),
            cache_bytes: self.cache.bytes() as u64,
            appended_samples: counters.appended.get(),
            duplicate_samples: counters.duplicates.get(),
            refused_samples: Refused {
                too_new: counters.too_new.get(),
                too_old: counters.too_old.get(),
                unknown_series: counters.unknown_series.get(),
            },
            failed_samples: counters.failed_samples.get(),
            busy_batches: counters.busy_batches.get(),
            refused_series: counters.series_refused.get(),
            wal_syncs: counters.wal_syncs.get(),
            wal_sync_ms: counters.wal_sync_ms.get(),
            wal_written_bytes: counters.wal_bytes.get(),
            compactions: counters.compactions.get(),
            maintenance_failures: counters.maintenance_failures.get(),
            quarantined: counters.quarantined.get(),
            damaged_chunks: counters.damaged_chunks.get(),
            scrubbed_blocks: counters.scrubbed.get(),
            scrub_damage: counters.scrub_damage.get(),
            dropped_for_size: counters.dropped_for_size.get(),
            disk_full: counters.disk_full.load(Ordering::Relaxed),
            write_failing: counters.write_failing.load(Ordering::Relaxed),
            largest_labels,
        }
    }
}

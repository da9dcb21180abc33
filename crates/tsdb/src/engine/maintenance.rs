//! The maintenance thread: cut heads become blocks, blocks are merged, old ones dropped.
//!
//! Every change goes in the same order: new files are durable, then the manifest says so, then the view, and only then
//! are old files removed. A failure leaves things as they were, and the next round tries again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use muster_environment::Disk;
use parking_lot::MutexGuard;

use super::inventory::aside_path;
use super::{CutHead, Shared, View};
use crate::TsdbError;
use crate::block::{Block, BlockMeta, BlockWriter, partition_range, partition_start};
use crate::codec::column::Effort;
use crate::manifest::Manifest;
use crate::plan::{RetentionPlan, plan_retention, plan_size_retention};
use crate::wal::segment_number;

/// Names the pages of a block in the cache.
static NEXT_BLOCK_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Opens a block that is new in this process.
pub(super) fn open_block(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Block, TsdbError> {
    let number = NEXT_BLOCK_NUMBER.fetch_add(1, Ordering::Relaxed);
    Block::open(disk, &dir.join(name), number)
}

impl Shared {
    /// Looks for work until the store is closed.
    pub(super) fn run_maintenance(&self) {
        while !self.stopping.load(Ordering::SeqCst) {
            {
                let mut woken = self.wake.0.lock();
                if !*woken {
                    self.wake.1.wait_for(&mut woken, self.options.maintenance_interval);
                }
                *woken = false;
            }
            // Each change is made in one step, so a round that breaks off leaves what the next can go on from.
            let failure = match catch_unwind(AssertUnwindSafe(|| self.round())) {
                Ok(Ok(()) | Err(TsdbError::Closed)) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "a defect of Muster, told above".to_owned(),
            };
            self.counters.maintenance_failures.add(1);
            tracing::error!(error = failure, "maintenance of the store failed and is tried again");
            self.pause();
        }
    }

    /// All that is due, then a look at a block whose turn it is.
    fn round(&self) -> Result<(), TsdbError> {
        match self.maintain() {
            Err(TsdbError::Closed) => Err(TsdbError::Closed),
            // What fails in one place must not keep damage in another from being found.
            maintained => maintained.and(self.scrub()),
        }
    }

    /// Waits before the next try, or until the store is closed.
    fn pause(&self) {
        let mut woken = self.wake.0.lock();
        *woken = false;
        // Whoever closes the store says so before taking this lock, so the news cannot be missed here.
        if !self.stopping.load(Ordering::SeqCst) {
            self.wake.1.wait_for(&mut woken, self.options.maintenance_interval);
        }
    }

    /// Does all that is due now. Where a merge fails, the rest is done all the same, and the first failure is returned.
    pub(super) fn maintain(&self) -> Result<(), TsdbError> {
        let mut manifest = self.manifest.lock();
        self.write_cut_head(&mut manifest)?;
        let now_ms = self.clock.now_ms();
        self.retain(&mut manifest, now_ms)?;
        self.retain_by_size(&mut manifest, now_ms)?;
        self.forget_idle()?;
        let mut merged = Ok(());
        loop {
            self.set_damaged_aside(&mut manifest)?;
            match self.compact(&mut manifest, now_ms) {
                Ok(true) => {}
                Ok(false) => break,
                Err(TsdbError::Closed) => return Err(TsdbError::Closed),
                // The next plan is another, since the blocks of this one are left alone for a while.
                failed => merged = merged.and(failed.map(|_| ())),
            }
        }
        merged.and(self.clean_if_due(&mut manifest, now_ms))
    }

    /// Turns the head that is cut into blocks, if there is one.
    pub(super) fn write_cut_head(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
    ) -> Result<(), TsdbError> {
        let cut = self.view.load().cut.clone();
        cut.map_or(Ok(()), |cut| self.write_head(manifest, &cut))
    }

    /// Drops what is older than the retention, unless the clock is in doubt.
    fn retain(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        now_ms: i64,
    ) -> Result<(), TsdbError> {
        let plan = plan_retention(&manifest.blocks, now_ms, self.options.retention_ms);
        let in_doubt = matches!(plan, RetentionPlan::Doubt { .. });
        let told = self.clock_doubted.swap(in_doubt, Ordering::Relaxed);
        match plan {
            RetentionPlan::Drop(old) => self.drop_blocks(
                manifest,
                old,
                "a block is older than the retention and was dropped",
            ),
            RetentionPlan::Doubt { newest_ms } if !told => {
                tracing::warn!(
                    now_ms,
                    newest_ms,
                    "the clock is far ahead of the stored samples; nothing is dropped for its age until the samples of a day agree with the clock"
                );
                Ok(())
            }
            RetentionPlan::Doubt { .. } => Ok(()),
        }
    }

    /// Drops the oldest days while blocks and log take more room than they may.
    fn retain_by_size(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        now_ms: i64,
    ) -> Result<(), TsdbError> {
        let Some(most_bytes) = self.options.retention_bytes else {
            return Ok(());
        };
        let log_bytes = self.log_bytes();
        let old = plan_size_retention(&manifest.blocks, log_bytes, most_bytes, now_ms);
        let count = old.len() as u64;
        let why = "the store is larger than it may be and its oldest block was dropped";
        self.drop_blocks(manifest, old, why)?;
        self.counters.dropped_for_size.add(count);
        Ok(())
    }

    fn drop_blocks(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        old: Vec<BlockMeta>,
        why: &'static str,
    ) -> Result<(), TsdbError> {
        if old.is_empty() {
            return Ok(());
        }
        self.replace(manifest, &old, Vec::new(), &[], |_| {})?;
        for block in old {
            let (from_ms, to_ms) = (block.range.start_ms, block.range.end_ms);
            let (name, samples) = (block.file_name(), block.samples);
            tracing::info!(block = name, from_ms, to_ms, samples, "{why}");
        }
        Ok(())
    }

    /// An error if the store is being closed.
    pub(super) fn check_stopping(&self) -> Result<(), TsdbError> {
        if self.stopping.load(Ordering::SeqCst) { Err(TsdbError::Closed) } else { Ok(()) }
    }

    /// Writes a cut head as one block for each partition; then its part of the log is void.
    fn write_head(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        cut: &CutHead,
    ) -> Result<(), TsdbError> {
        let ids = cut.head.series();
        self.registry.read().touch(ids.iter().copied(), self.now_s());
        // In two steps, so that nobody waits for the registry while its series are sorted.
        let keys = self.registry.read().order_keys(ids.into_iter());
        let order = keys.sorted();
        let (number, sequence) = (manifest.next_head, manifest.next_sequence);
        let range = cut.head.range();
        let mut new = Vec::new();
        let mut partition = partition_start(range.start_ms);
        while partition <= range.end_ms {
            let mut writer = BlockWriter::create(
                &*self.disk,
                &self.folders.blocks,
                partition,
                (number, number),
                sequence,
                Effort::Fast,
            )?;
            // The next partition that has a sample: a few samples may lie years before the others.
            let mut next = i64::MAX;
            for &id in &order {
                self.check_stopping()?;
                let own = cut.head.series_range(id).unwrap_or(range);
                if own.end_ms < partition {
                    continue;
                }
                let here = partition_range(partition);
                if own.start_ms <= here.end_ms {
                    let samples = cut.head.select(id, here);
                    if !samples.is_empty() {
                        writer.add(&self.registry.read().labels(id), &samples)?;
                    }
                }
                if own.end_ms > here.end_ms {
                    next = next.min(partition_start(own.start_ms.max(here.end_ms + 1)));
                }
            }
            new.extend(writer.finish(&mut || self.check_stopping())?);
            if next == i64::MAX {
                break;
            }
            partition = next;
        }
        let end_segment = cut.end_segment;
        self.replace(manifest, &[], new, &[], |manifest| {
            manifest.next_head = number + 1;
            manifest.next_sequence = sequence + 1;
            manifest.first_segment = end_segment;
        })?;
        self.remove_segments_below(end_segment);
        Ok(())
    }

    /// Replaces blocks by others, in the manifest, then in the view, then on disk. The old files are removed, but for those
    /// named in `kept`, which go to quarantine.
    pub(super) fn replace(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        old: &[BlockMeta],
        new: Vec<BlockMeta>,
        kept: &[String],
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), TsdbError> {
        let opened: Vec<Arc<Block>> = new
            .iter()
            .map(|meta| {
                open_block(&*self.disk, &self.folders.blocks, &meta.file_name()).map(Arc::new)
            })
            .collect::<Result<_, _>>()?;
        self.scrub_times.lock().note_written(&new, self.clock.monotonic_ms());
        let gone: Vec<String> = old.iter().map(BlockMeta::file_name).collect();
        let is_gone = |meta: &BlockMeta| gone.contains(&meta.file_name());
        let mut next = Manifest::clone(manifest);
        next.blocks.retain(|meta| !is_gone(meta));
        next.blocks.extend(new);
        next.removed = gone.iter().filter(|name| !kept.contains(name)).cloned().collect();
        change(&mut next);
        next.store(&*self.disk, &self.folders.root)?;
        let head_is_written = next.next_head != manifest.next_head;
        **manifest = next;
        if let (true, Some(cut)) = (head_is_written, &self.view.load().cut) {
            self.forgetting.leave(&cut.head);
        }
        self.view.rcu(|view| {
            let mut view = View::clone(view);
            view.blocks.retain(|block| !is_gone(&block.meta));
            view.blocks.extend(opened.iter().cloned());
            view.blocks.sort_by_key(|block| block.meta.last_head);
            view.tombstones = manifest.tombstones.clone().into();
            if head_is_written {
                view.cut = None;
            }
            view
        });
        if head_is_written {
            self.queue.tell_head_written();
        }
        for name in gone {
            let path = self.folders.blocks.join(&name);
            if !kept.contains(&name) {
                self.remove_file(&path);
            } else if let Err(error) =
                self.aside(&name).and_then(|aside| self.disk.rename(&path, &aside))
            {
                tracing::warn!(path = %path.display(), %error, "a damaged block could not be kept");
            }
        }
        Ok(())
    }

    fn remove_segments_below(&self, number: u64) {
        let segments = self.disk.list(&self.folders.wal).unwrap_or_default();
        for segment in segments {
            if segment_number(&segment.name).is_some_and(|own| own < number) {
                self.remove_file(&self.folders.wal.join(&segment.name));
            }
        }
    }

    /// Removes a file that nothing names any more; what stays is removed at the next start.
    fn remove_file(&self, path: &Path) {
        match self.disk.remove(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "a file of no use could not be removed");
            }
        }
    }

    fn aside(&self, name: &str) -> io::Result<PathBuf> {
        aside_path(&*self.disk, &self.folders, name)
    }

    /// Moves the files of damaged blocks into quarantine and out of the manifest.
    pub(super) fn set_damaged_aside(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
    ) -> Result<(), TsdbError> {
        let damaged = self.damaged_blocks.lock().clone();
        for block in damaged {
            let name = block.meta.file_name();
            let moved = self.aside(&name).and_then(|aside| self.disk.rename(&block.path, &aside));
            match moved {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(TsdbError::io("set aside", &block.path, error));
                }
                _ => {}
            }
            let meta = block.meta.clone();
            self.replace(manifest, &[meta], Vec::new(), &[], |_| {})?;
            self.damaged_blocks.lock().retain(|other| !Arc::ptr_eq(other, &block));
        }
        Ok(())
    }
}

//! The writer's thread: the only one that appends to the log and to the head.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::queue::{Done, Pending, Queue};
use super::{CutHead, Shared, View};
use crate::head::Head;
use crate::plan::{head_is_full, head_is_old, oldest_kept};
use crate::wal::WalWriter;
use crate::{Appended, Refused, SeriesSample, TsdbError};

/// The reserve that is kept free at most, where none is configured.
const MOST_RESERVE: u64 = 256 << 20;
/// And at most this part of the disk.
const RESERVE_SHARE: u64 = 20;

/// Longest that a commit waits for memory.
const MOST_WAIT_MS: i64 = 10_000;
/// It looks so often whether it still must.
const WAIT_STEP: Duration = Duration::from_millis(20);

/// When a sample must be of; one of a known series that is gets stored.
struct Bounds {
    newest: i64,
    /// By the clock; the stored samples may allow for older ones.
    oldest: i64,
}

impl Bounds {
    fn hold(&self, sample: &SeriesSample) -> bool {
        sample.timestamp_ms <= self.newest && sample.timestamp_ms >= self.oldest
    }
}

/// Closes the queue when it is dropped.
struct CloseQueue<'a>(&'a Queue);

impl Drop for CloseQueue<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the thread that writes samples panicked; nothing is stored until a restart"
            );
        }
        self.0.close();
    }
}

impl Shared {
    /// Takes what is queued until the queue ends.
    pub(super) fn run_writer(&self, mut wal: WalWriter) {
        // Whatever ends this thread, nobody must wait for it afterwards.
        let _closing = CloseQueue(&self.queue);
        loop {
            let work = self.queue.take(self.options.maintenance_interval);
            if work.ended {
                return;
            }
            if !work.pending.is_empty() {
                self.commit(&mut wal, work.pending);
            }
            let asked = !work.cuts.is_empty();
            let cut = self.cut_if_due(&mut wal, asked);
            for asker in work.cuts {
                // Whoever asked may have gone.
                let _ = asker.send(cut);
            }
        }
    }

    /// Makes all batches durable with one sync, then visible, then tells those who wait.
    fn commit(&self, wal: &mut WalWriter, mut pending: Vec<Pending>) {
        let now_ms = self.clock.now_ms();
        let _keeps = self.forgetting.keep_all();
        let bounds = Bounds {
            newest: now_ms.saturating_add(self.options.future_tolerance_ms),
            oldest: now_ms.saturating_sub(self.options.retention_ms),
        };
        let refused: Vec<Refused> = pending
            .iter_mut()
            .map(|pending| self.check(&mut pending.batch.samples, &bounds, now_ms))
            .collect();
        let is_empty = pending.iter().all(|pending| pending.batch.samples.is_empty());
        match if is_empty { Ok(()) } else { self.write(wal, &pending) } {
            Ok(()) => self.apply(pending, &refused),
            Err(error) => {
                for Pending { batch, done } in pending {
                    self.counters.failed_samples.add(batch.samples.len() as u64);
                    tell(done, Err(error.clone()));
                }
            }
        }
    }

    /// Takes out what cannot be stored, and counts it.
    fn check(&self, samples: &mut Vec<SeriesSample>, bounds: &Bounds, now_ms: i64) -> Refused {
        let mut refused = Refused::default();
        let registry = self.registry.read();
        let is_known = |sample: &SeriesSample| registry.is_known(sample.series.0);
        if samples.iter().all(|sample| bounds.hold(sample) && is_known(sample)) {
            return refused;
        }
        let oldest = bounds.oldest.min(self.oldest_kept_ms(now_ms));
        samples.retain(|sample| {
            let count = if sample.timestamp_ms > bounds.newest {
                &mut refused.too_new
            } else if sample.timestamp_ms < oldest {
                &mut refused.too_old
            } else if !is_known(sample) {
                &mut refused.unknown_series
            } else {
                return true;
            };
            *count += 1;
            false
        });
        refused
    }

    /// Samples before this are too old. It is no later than the clock says, and earlier where the stored samples doubt it.
    fn oldest_kept_ms(&self, now_ms: i64) -> i64 {
        let view = self.view.load();
        let stored = match &view.blocks[..] {
            [] => view.heads().map(Head::range).filter(|range| !range.is_empty()).collect(),
            blocks => blocks.iter().map(|block| block.meta.range).collect(),
        };
        oldest_kept(stored, now_ms, self.options.retention_ms)
    }

    fn write(&self, wal: &mut WalWriter, pending: &[Pending]) -> Result<(), TsdbError> {
        self.check_room()?;
        let started_ms = self.clock.monotonic_ms();
        let batches = pending.iter().map(|pending| &pending.batch.samples[..]);
        let written = wal.commit(batches, &self.registry);
        let took_ms = self.clock.monotonic_ms() - started_ms;
        self.counters.wal_syncs.add(1);
        self.counters.wal_sync_ms.add(took_ms.max(0) as u64);
        self.counters.write_failing.store(written.is_err(), Ordering::Relaxed);
        self.counters.wal_bytes.add(*written.as_ref().unwrap_or(&0));
        if matches!(written, Err(TsdbError::DiskFull { .. })) {
            self.counters.disk_full.store(true, Ordering::Relaxed);
        }
        written.map(drop)
    }

    /// Refuses while the disk has less room than the reserve, or the head more samples than it should and no end of that is near.
    fn check_room(&self) -> Result<(), TsdbError> {
        let root = &self.folders.root;
        let space = self
            .disk
            .space(root)
            .map_err(|error| TsdbError::io("look at the room on", root, error))?;
        let needed = self
            .options
            .reserve_bytes
            .unwrap_or_else(|| MOST_RESERVE.min(space.total / RESERVE_SHARE));
        let full = space.available < needed;
        if self.counters.disk_full.swap(full, Ordering::Relaxed) != full {
            let (available, path) = (space.available, root.display());
            tracing::warn!(full, available, needed, %path, "the room on the disk has changed");
        }
        if full {
            let (path, available) = (root.clone(), space.available);
            return Err(TsdbError::DiskFull { path, available, needed });
        }
        self.wait_for_memory()
    }

    /// Waits while a block is being written of the cut head and the one after it holds more than it should; refuses where that takes too long
    /// or nobody is at it. Memory is not to grow for a disk that is slow.
    fn wait_for_memory(&self) -> Result<(), TsdbError> {
        let started_ms = self.clock.monotonic_ms();
        loop {
            let view = self.view.load();
            let (bytes, series) = (view.active.bytes(), view.active.series_count());
            if view.cut.is_none() || !head_is_full(bytes / 2, series, &self.options) {
                return Ok(());
            }
            let is_written = self.manifest.is_locked() && !self.stopping.load(Ordering::Relaxed);
            if !is_written || self.clock.monotonic_ms() - started_ms > MOST_WAIT_MS {
                return Err(TsdbError::Busy);
            }
            drop(view);
            self.queue.wait_for_head(WAIT_STEP);
        }
    }

    fn apply(&self, pending: Vec<Pending>, refused: &[Refused]) {
        let head = Arc::clone(&self.view.load().active);
        for (Pending { batch, done }, &refused) in pending.into_iter().zip(refused) {
            let samples = head.push(&batch.samples);
            let duplicates = batch.samples.len() as u64 - samples;
            self.counters.appended.add(samples);
            self.counters.duplicates.add(duplicates);
            if refused.total() > 0 {
                self.counters.too_new.add(refused.too_new);
                self.counters.too_old.add(refused.too_old);
                self.counters.unknown_series.add(refused.unknown_series);
            }
            tell(done, Ok(Appended { samples, duplicates, refused }));
        }
    }

    /// Cuts the head if it is due or somebody asked; says whether all samples so far are now in a cut head or a block.
    fn cut_if_due(&self, wal: &mut WalWriter, asked: bool) -> bool {
        let view = self.view.load();
        let head = &view.active;
        if head.is_empty() {
            return view.cut.is_none();
        }
        let now_ms = self.clock.monotonic_ms();
        let is_due = asked
            || head_is_full(head.bytes(), head.series_count(), &self.options)
            || head_is_old(now_ms - head.created_ms(), &self.options);
        if !is_due || view.cut.is_some() {
            return false;
        }
        self.cut_head(wal.rotate());
        true
    }

    /// Starts a new head; the one before is complete in segments below `end_segment`. Only the thread that adds to heads
    /// calls this, and only when no other cut head is waiting.
    pub(super) fn cut_head(&self, end_segment: u64) {
        let fresh = Arc::new(Head::new(self.clock.monotonic_ms()));
        self.view.rcu(|view| {
            let cut = CutHead { head: Arc::clone(&view.active), end_segment };
            View { active: Arc::clone(&fresh), cut: Some(cut), ..View::clone(view) }
        });
        self.wake_maintenance();
    }
}

/// Tells the one who waits; a panic of theirs must not end the writer.
fn tell(done: Done, result: Result<Appended, TsdbError>) {
    if catch_unwind(AssertUnwindSafe(move || done(result))).is_err() {
        tracing::error!("the callback of an append panicked");
    }
}

//! The writer's thread: the only one that appends to the log and to the head.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::queue::{Done, Pending};
use super::{CutHead, Shared, View};
use crate::head::Head;
use crate::plan::{head_is_due, oldest_kept};
use crate::wal::{ResolvedGroup, WalWriter};
use crate::{Appended, TsdbError, WriteBatch};

/// The reserve that is kept free at most, where none is configured.
const MOST_RESERVE: u64 = 256 << 20;
/// And at most this part of the disk.
const RESERVE_SHARE: u64 = 20;

/// A batch after what is refused was taken out of it.
struct Checked {
    /// Its groups, by their places among those of the commit.
    groups: std::ops::Range<usize>,
    report: Appended,
    done: Done,
}

impl Shared {
    /// Takes what is queued until the queue ends.
    pub(super) fn run_writer(&self, mut wal: WalWriter) {
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
    fn commit(&self, wal: &mut WalWriter, pending: Vec<Pending>) {
        let mut groups = Vec::new();
        let now_ms = self.clock.now_ms();
        let known = self.registry.read().len();
        let checked: Vec<Checked> = pending
            .into_iter()
            .map(|pending| {
                let first = groups.len();
                let report = self.check(&pending.batch, now_ms, known, &mut groups);
                Checked { groups: first..groups.len(), report, done: pending.done }
            })
            .collect();
        let written = if groups.is_empty() { Ok(()) } else { self.write(wal, &groups) };
        match written {
            Ok(()) => self.apply(checked, &groups),
            Err(error) => {
                for batch in checked {
                    let samples: usize =
                        groups[batch.groups].iter().map(|group| group.samples.len()).sum();
                    self.counters.failed_samples.add(samples as u64);
                    tell(batch.done, Err(error.clone()));
                }
            }
        }
    }

    /// Takes out what cannot be stored, counts it, and adds the rest to `groups`.
    fn check(
        &self,
        batch: &WriteBatch,
        now_ms: i64,
        known_series: usize,
        groups: &mut Vec<ResolvedGroup>,
    ) -> Appended {
        let newest = now_ms.saturating_add(self.options.future_tolerance_ms);
        let oldest = now_ms.saturating_sub(self.options.retention_ms);
        let mut report = Appended::default();
        for scrape in batch.samples.chunk_by(|a, b| a.timestamp_ms == b.timestamp_ms) {
            let (timestamp, count) = (scrape[0].timestamp_ms, scrape.len() as u64);
            if timestamp > newest {
                report.refused.too_new += count;
                continue;
            }
            if timestamp < oldest && timestamp < self.oldest_kept_ms(now_ms) {
                report.refused.too_old += count;
                continue;
            }
            let samples: Vec<(u32, f64)> = scrape
                .iter()
                .filter(|sample| (sample.series.0 as usize) < known_series)
                .map(|sample| (sample.series.0, sample.value))
                .collect();
            report.refused.unknown_series += count - samples.len() as u64;
            if !samples.is_empty() {
                groups.push(ResolvedGroup { timestamp, samples });
            }
        }
        report
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

    fn write(&self, wal: &mut WalWriter, groups: &[ResolvedGroup]) -> Result<(), TsdbError> {
        self.check_room()?;
        let started_ms = self.clock.monotonic_ms();
        let written = wal.commit(groups, &self.registry);
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

    /// Refuses while the disk has less room than the reserve, or the head more samples than it should.
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
        let view = self.view.load();
        // The head that is cut could not be written, or not fast enough; memory is not to grow for it.
        if view.cut.is_some() && view.active.bytes() >= self.options.head_bytes.saturating_mul(2) {
            return Err(TsdbError::Busy);
        }
        Ok(())
    }

    fn apply(&self, checked: Vec<Checked>, groups: &[ResolvedGroup]) {
        let head = Arc::clone(&self.view.load().active);
        for batch in checked {
            let mut report = batch.report;
            for group in &groups[batch.groups] {
                let new = head.push_group(group.timestamp, &group.samples);
                report.samples += new;
                report.duplicates += group.samples.len() as u64 - new;
            }
            self.counters.appended.add(report.samples);
            self.counters.duplicates.add(report.duplicates);
            self.counters.too_new.add(report.refused.too_new);
            self.counters.too_old.add(report.refused.too_old);
            self.counters.unknown_series.add(report.refused.unknown_series);
            tell(batch.done, Ok(report));
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
        let due = asked || head_is_due(head.bytes(), now_ms - head.created_ms(), &self.options);
        if !due || view.cut.is_some() {
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

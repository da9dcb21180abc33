//! The store as its users hold it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use muster_environment::{Clock, Disk};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
use parking_lot::Mutex;

use super::Shared;
use super::open::{self, OpenReport};
use super::queue::Pending;
use super::reader::SeriesReader;
use super::select::{SelectHints, SelectLimits};
use super::snapshot::SnapshotReport;
use super::stats::Stats;
use crate::index::registry::RegistryLimits;
use crate::{Appended, LabelLimits, Options, SeriesId, TsdbError, WriteBatch};

/// Longest label set, so that any 256 of them fit into a page of a block's index, and one into a record of the log.
const MAX_LABEL_BYTES: usize = 1 << 20;

/// An open data folder. Clones share it; when the last is dropped it is closed.
///
/// ```
/// use std::sync::{Arc, mpsc};
/// use muster_environment::{ManualClock, MemoryDisk};
/// use muster_series::{Labels, Matcher, TimeRange};
/// use muster_tsdb::{Db, Options, SelectLimits, WriteBatch};
///
/// let disk = Arc::new(MemoryDisk::new());
/// let clock = Arc::new(ManualClock::at(1_000_000));
/// let (db, _report) = Db::open("/data".as_ref(), disk, clock, Options::default())?;
///
/// let labels = Labels::from_pairs([("__name__", "up"), ("instance", "web-1")])?;
/// let batch = WriteBatch::scrape(1_000_000, [(db.series(&labels)?, 1.0)]);
/// let (sender, receiver) = mpsc::channel();
/// db.append(batch, move |appended| sender.send(appended).unwrap());
/// assert_eq!(receiver.recv()??.samples, 1);
///
/// let found = db.select(&[Matcher::equal("__name__", "up")], TimeRange::ALL, &SelectLimits::default())?;
/// assert_eq!(found[0].values, [1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Db {
    /// Opens a data folder, which is made if it is not there, and starts the engine's two threads.
    ///
    /// Damaged files are set aside and told in the report. It is an error if another process has the folder, if it
    /// cannot be read or written, or if its files are of a version that is not known.
    pub fn open(
        dir: &Path,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<(Self, OpenReport), TsdbError> {
        let (shared, wal, report) = open::open(dir, disk, clock, options)?;
        let shared = Arc::new(shared);
        let writer = Arc::clone(&shared);
        let maintenance = Arc::clone(&shared);
        let threads = vec![
            spawn("tsdb-writer", dir, move || writer.run_writer(wal))?,
            spawn("tsdb-maintenance", dir, move || {
                maintenance.run_maintenance();
            })?,
        ];
        let inner = Inner { shared, threads: Mutex::new(threads) };
        Ok((Self { inner: Arc::new(inner) }, report))
    }

    /// The number of a series, which becomes known if it was not. A series without samples is forgotten after a while, and the
    /// number then means nothing; samples under it are refused as [`crate::Refused::unknown_series`].
    ///
    /// An error if there are too many series ([`TsdbError::SeriesLimit`]), too many labels ([`TsdbError::TooManyLabels`]), or
    /// too much text ([`TsdbError::TooLarge`], [`TsdbError::LabelMemory`]).
    pub fn series(&self, labels: &Labels) -> Result<SeriesId, TsdbError> {
        self.series_from_pairs(&labels.iter().collect::<Vec<_>>())
    }

    /// As [`Db::series`], for labels that are no [`Labels`] yet: sorted by name, each name once, no empty name and no empty
    /// value; else [`TsdbError::InvalidLabels`].
    pub fn series_from_pairs(&self, pairs: &[(&str, &str)]) -> Result<SeriesId, TsdbError> {
        let shared = &self.inner.shared;
        let now_s = shared.now_s();
        if let Some(id) = shared.registry.read().get(pairs, now_s) {
            return Ok(id);
        }
        let limits = RegistryLimits {
            series: shared.options.max_series,
            label_bytes: shared.options.max_label_bytes,
        };
        let inserted = check_labels(pairs, &shared.options.label_limits)
            .and_then(|()| shared.registry.write().insert_pairs(pairs, &limits, now_s));
        if inserted.is_err() {
            shared.counters.series_refused.add(1);
        }
        inserted
    }

    /// Queues a batch and returns at once. `done` is called, on a thread of the engine, when the batch survives a loss of power and
    /// is visible to queries, or with the error that kept it from being so; it must not block. After an error
    /// the batch may or may not be there, and may be sent again: what is there already is dropped.
    pub fn append(
        &self,
        batch: WriteBatch,
        done: impl FnOnce(Result<Appended, TsdbError>) + Send + 'static,
    ) {
        let shared = &self.inner.shared;
        let pending = Pending { batch, done: Box::new(done) };
        if let Err((pending, error)) = shared.queue.push(pending) {
            if matches!(error, TsdbError::Busy) {
                shared.counters.busy_batches.add(1);
            }
            (pending.done)(Err(error));
        }
    }

    /// The samples in the range of all series that pass the matchers; series without such samples are left out, and the
    /// others come in no order. Of several samples of a series at one time the one written last is there.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limits: &SelectLimits,
    ) -> Result<Vec<SeriesColumns>, TsdbError> {
        let hints = SelectHints::default();
        super::reader::read_all(&self.inner.shared, matchers, range, hints, limits)
    }

    /// As [`Db::select`], but of each series only the newest sample in the range: all that an instant query needs.
    pub fn select_last(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limits: &SelectLimits,
    ) -> Result<Vec<SeriesColumns>, TsdbError> {
        let hints = SelectHints { newest_only: true, ..SelectHints::default() };
        super::reader::read_all(&self.inner.shared, matchers, range, hints, limits)
    }

    /// As [`Db::select`], each series read only when its turn comes, in up to as many parts as the hints ask for, which
    /// threads may read at the same time. All show the store as it is now. Equal selections of equal contents come in
    /// equal parts; the limit on samples holds for each series.
    pub fn select_parts(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: SelectHints,
        limits: &SelectLimits,
    ) -> Result<Vec<SeriesReader>, TsdbError> {
        SeriesReader::parts(&self.inner.shared, matchers, range, hints, limits)
    }

    /// The label sets, sorted, of the series that pass one of the sets of matchers (all, if there is no set) and were
    /// written to about the time of the range; at most `limit`.
    pub fn series_labels(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<Labels>, TsdbError> {
        self.inner.shared.series_labels(matcher_sets, range, limit)
    }

    /// The label names, sorted, of the series that pass one of the sets of matchers (all, if there is no set) and are in
    /// a part of the store that overlaps the range; at most `limit`.
    pub fn label_names(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError> {
        self.inner.shared.label_names(matcher_sets, range, limit)
    }

    /// The values, sorted, of the label `name`, with the conditions of [`Db::label_names`].
    pub fn label_values(
        &self,
        name: &str,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError> {
        self.inner.shared.label_values(name, matcher_sets, range, limit)
    }

    /// What the engine holds and has done.
    pub fn stats(&self) -> Stats {
        self.inner.shared.stats()
    }

    /// Writes all samples acknowledged so far into blocks and does all maintenance that is due; before a backup, say.
    pub fn flush(&self) -> Result<(), TsdbError> {
        let shared = &self.inner.shared;
        loop {
            shared.check_stopping()?;
            shared.maintain()?;
            let cut = shared.queue.request_cut()?.recv().map_err(|_| TsdbError::Closed)?;
            if cut {
                return shared.maintain();
            }
        }
    }

    /// Writes all samples acknowledged so far into blocks, and does no other maintenance.
    fn write_heads(&self) -> Result<(), TsdbError> {
        let shared = &self.inner.shared;
        loop {
            shared.check_stopping()?;
            shared.write_cut_head(&mut shared.manifest.lock())?;
            let cut = shared.queue.request_cut()?.recv().map_err(|_| TsdbError::Closed)?;
            if cut {
                return shared.write_cut_head(&mut shared.manifest.lock());
            }
        }
    }

    /// Deletes the samples in the range of all series that pass one of the sets of matchers; no set deletes nothing. When this
    /// returns without an error, no query sees what was acknowledged before, and a crash does not bring it back. Samples written
    /// afterwards are untouched, also for the same series and times. The room on disk is free after a while, or by [`Db::clean_tombstones`].
    pub fn delete_series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<(), TsdbError> {
        if matcher_sets.is_empty() {
            return Ok(());
        }
        self.write_heads()?;
        self.inner.shared.add_tombstones(matcher_sets, range)
    }

    /// Writes every block anew that holds deleted samples, now; what fails is told and stays hidden.
    pub fn clean_tombstones(&self) -> Result<(), TsdbError> {
        let shared = &self.inner.shared;
        shared.check_stopping()?;
        shared.clean(&mut shared.manifest.lock())
    }

    /// Makes the folder `to`, which is new or empty, a store of its own that holds what this one holds: all samples acknowledged before
    /// the call, or, without `with_head`, those in blocks. Blocks get a second name where the file system can do that, and
    /// are copied where not; so it takes no room and little time. After an error the folder is not whole and of no use.
    pub fn snapshot(&self, to: &Path, with_head: bool) -> Result<SnapshotReport, TsdbError> {
        if with_head {
            self.write_heads()?;
        }
        self.inner.shared.snapshot_blocks(to)
    }

    /// Takes no more batches, writes those that wait, ends the threads and gives the folder free. What is in memory is
    /// read from the log at the next start, which is bounded by [`Options::head_bytes`]. Reading goes on.
    pub fn close(&self) -> Result<(), TsdbError> {
        self.inner.close()
    }
}

impl Inner {
    fn close(&self) -> Result<(), TsdbError> {
        self.shared.queue.close();
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.wake_maintenance();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // The last owner may be the callback of an append, which runs on the writer's thread.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
        let set_aside = self.shared.set_damaged_aside(&mut self.shared.manifest.lock());
        drop(self.shared.lock.lock().take());
        set_aside
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the store did not close in order");
        }
    }
}

/// Whether these are the labels of a series, within the limits.
fn check_labels(pairs: &[(&str, &str)], limits: &LabelLimits) -> Result<(), TsdbError> {
    if pairs.len() > limits.labels {
        return Err(TsdbError::TooManyLabels { found: pairs.len(), limit: limits.labels });
    }
    let check = |what, text: usize, most: usize| {
        let (bytes, limit) = (text as u64, most as u64);
        if text > most { Err(TsdbError::TooLarge { what, bytes, limit }) } else { Ok(()) }
    };
    let mut all = 0;
    for (name, value) in pairs {
        check("the name of a label", name.len(), limits.name_bytes)?;
        check("the value of a label", value.len(), limits.value_bytes)?;
        all += name.len() + value.len();
    }
    check("a label set", all, MAX_LABEL_BYTES)?;
    let is_valid = pairs.is_sorted_by(|a, b| a.0 < b.0)
        && pairs.iter().all(|(name, value)| !name.is_empty() && !value.is_empty());
    if is_valid { Ok(()) } else { Err(TsdbError::InvalidLabels { labels: format!("{pairs:?}") }) }
}

fn spawn(
    name: &str,
    dir: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, TsdbError> {
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|error| TsdbError::io("start a thread for", dir, error))
}

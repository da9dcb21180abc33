//! The seam to the metric store: append samples, answer queries.
//!
//! The default is the embedded engine ([`Embedded`]). Calls may block on the disk or compute for
//! long: callers on the async runtime wrap them in `spawn_blocking`, but for
//! [`MetricStore::append`], which only queues.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muster_environment::{Clock, RealDisk};
use muster_promql::{Evaluated, SelectHints, Selected, SeriesPart, SeriesSource, SourceError};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
use muster_tsdb::{
    Appended, Db, OpenReport, SelectLimits, SeriesId, SnapshotReport, Stats, TsdbError, WriteBatch,
};

use crate::config::data_paths;

/// The most series one query may touch.
const MAX_SERIES: usize = 1_000_000;
/// The most samples one query may hold at once: 16 bytes each, so 400 MB. With the queries that compute at the same
/// time (see `App`), this bounds what all of them together take.
pub(crate) const MAX_SAMPLES: usize = 25_000_000;
/// The most samples of a query that runs again and again, for a live chart.
const MAX_LIVE_SAMPLES: usize = 2_500_000;

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The expression is malformed.
    #[error("{0}")]
    Parse(#[from] muster_promql::ParseError),
    /// The expression cannot be evaluated.
    #[error("{0}")]
    Evaluate(#[from] muster_promql::EvaluateError),
    /// The store cannot give what it holds.
    #[error("{0}")]
    Store(#[from] TsdbError),
}

/// What is called when a batch is durable and visible, or refused.
pub type Done = Box<dyn FnOnce(Result<Appended, TsdbError>) + Send>;

/// Samples in, answers out.
pub trait MetricStore: Send + Sync + 'static {
    /// The number of a series, which is made if it is new.
    fn series(&self, labels: &Labels) -> Result<SeriesId, TsdbError>;

    /// Queues samples; `done` is called from a thread of the store when they are durable and queries see them.
    fn append(&self, batch: WriteBatch, done: Done);

    /// The value of an expression at one instant.
    fn query_instant(
        &self,
        text: &str,
        at_ms: i64,
        run: &QueryRun,
    ) -> Result<Evaluated, QueryError>;

    /// The values of an expression at each step of a range.
    fn query_range(
        &self,
        text: &str,
        range: TimeRange,
        step_ms: i64,
        run: &QueryRun,
    ) -> Result<Evaluated, QueryError>;

    /// The samples of the series that pass all matchers, as they are stored: stale markers too.
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        run: &QueryRun,
    ) -> Result<Vec<SeriesColumns>, TsdbError>;

    /// The newest of these samples of each series.
    fn select_last(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        run: &QueryRun,
    ) -> Result<Vec<SeriesColumns>, TsdbError>;

    /// The label sets of the series that any of the matcher sets selects.
    fn series_labels(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<Labels>, TsdbError>;

    /// The names of the labels of those series; of all series if there is no matcher set.
    fn label_names(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError>;

    /// The values of one label of those series.
    fn label_values(
        &self,
        name: &str,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError>;

    /// Deletes the samples in the range of all series that pass one of the sets of matchers; they are gone for queries at once.
    fn delete_series(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<(), TsdbError>;

    /// Frees the room of what was deleted, now.
    fn clean_tombstones(&self) -> Result<(), TsdbError>;

    /// Makes the folder `name` among the snapshots, with what the store holds; without `with_head`, what is in blocks.
    fn snapshot(&self, name: &str, with_head: bool) -> Result<SnapshotReport, TsdbError>;

    /// What the store knows of itself.
    fn stats(&self) -> Stats;

    /// Writes out what makes the next start quick; later appends are refused.
    fn close(&self) -> Result<(), TsdbError>;
}

/// One run of a query: who waits for it may stop it.
#[derive(Debug, Clone)]
pub struct QueryRun {
    cancelled: Arc<AtomicBool>,
    max_samples: usize,
    /// How long a sample stands for its series; none for the default.
    lookback_ms: Option<i64>,
    counts_samples: bool,
}

impl Default for QueryRun {
    fn default() -> Self {
        Self {
            cancelled: Arc::default(),
            max_samples: MAX_SAMPLES,
            lookback_ms: None,
            counts_samples: false,
        }
    }
}

impl QueryRun {
    /// A run that may hold fewer samples, as it will come again soon.
    pub fn live() -> Self {
        Self { max_samples: MAX_LIVE_SAMPLES, ..Self::default() }
    }

    /// A run in which a sample stands for its series for another time than the default.
    pub fn with_lookback(lookback_ms: Option<i64>) -> Self {
        Self { lookback_ms, ..Self::default() }
    }

    /// The same run, which counts the samples that it reads if `counts` says so.
    #[must_use]
    pub fn counting(self, counts: bool) -> Self {
        Self { counts_samples: counts, ..self }
    }

    /// Whether somebody stopped the run.
    pub fn is_stopped(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// A guard that stops the run when it is dropped, as happens when the client goes away.
    pub fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(Arc::clone(&self.cancelled))
    }

    fn limits(&self) -> SelectLimits {
        let cancelled = Some(Arc::clone(&self.cancelled));
        SelectLimits { max_series: MAX_SERIES, max_samples: self.max_samples, cancelled }
    }

    /// How PromQL is evaluated in it.
    pub(crate) fn options(&self) -> muster_promql::Options {
        let default = muster_promql::Options::default();
        muster_promql::Options {
            max_samples: self.max_samples,
            cancelled: Some(Arc::clone(&self.cancelled)),
            lookback_ms: self.lookback_ms.unwrap_or(default.lookback_ms),
            counts_samples: self.counts_samples,
            ..default
        }
    }
}

/// See [`QueryRun::stop_on_drop`].
pub struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The embedded engine.
pub struct Embedded {
    db: Db,
    snapshots: PathBuf,
}

impl Embedded {
    /// Opens the store of a data folder; the report says what had to be repaired.
    pub fn open(
        data_dir: &Path,
        clock: Arc<dyn Clock>,
        options: muster_tsdb::Options,
    ) -> Result<(Self, OpenReport), TsdbError> {
        let dir = data_paths::metrics(data_dir);
        let (db, report) = Db::open(&dir, Arc::new(RealDisk), clock, options)?;
        Ok((Self { db, snapshots: data_paths::snapshots(data_dir) }, report))
    }

    fn source(&self, run: &QueryRun) -> Source<'_> {
        Source { db: &self.db, limits: run.limits() }
    }
}

/// What PromQL sees of the engine.
struct Source<'a> {
    db: &'a Db,
    limits: SelectLimits,
}

impl SeriesSource for Source<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        self.db
            .select(matchers, range, &self.limits)
            .map_err(|error| SourceError::new(error.to_string()))
    }

    fn select_last(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        self.db
            .select_last(matchers, range, &self.limits)
            .map_err(|error| SourceError::new(error.to_string()))
    }

    fn select_parts(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: &SelectHints<'_>,
    ) -> Result<Selected<'_>, SourceError> {
        let failed = |error: TsdbError| SourceError::new(error.to_string());
        let wanted = muster_tsdb::SelectHints {
            newest_only: hints.newest_only,
            labels: hints.labels.map(<[String]>::to_vec),
            parts: hints.parts,
        };
        let parts = self.db.select_parts(matchers, range, wanted, &self.limits).map_err(failed)?;
        let parts = parts
            .into_iter()
            .map(|part| Box::new(part.map(move |series| series.map_err(failed))) as SeriesPart<'_>);
        Ok(Selected { parts: parts.collect(), held_samples: 0 })
    }
}

impl MetricStore for Embedded {
    fn series(&self, labels: &Labels) -> Result<SeriesId, TsdbError> {
        self.db.series(labels)
    }

    fn append(&self, batch: WriteBatch, done: Done) {
        self.db.append(batch, done);
    }

    fn query_instant(
        &self,
        text: &str,
        at_ms: i64,
        run: &QueryRun,
    ) -> Result<Evaluated, QueryError> {
        let query = muster_promql::parse(text)?;
        Ok(muster_promql::evaluate_instant(&self.source(run), &query, at_ms, &run.options())?)
    }

    fn query_range(
        &self,
        text: &str,
        range: TimeRange,
        step_ms: i64,
        run: &QueryRun,
    ) -> Result<Evaluated, QueryError> {
        let query = muster_promql::parse(text)?;
        let (start, end) = (range.start_ms, range.end_ms);
        Ok(muster_promql::evaluate_range(
            &self.source(run),
            &query,
            start,
            end,
            step_ms,
            &run.options(),
        )?)
    }

    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        run: &QueryRun,
    ) -> Result<Vec<SeriesColumns>, TsdbError> {
        self.db.select(matchers, range, &run.limits())
    }

    fn select_last(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        run: &QueryRun,
    ) -> Result<Vec<SeriesColumns>, TsdbError> {
        self.db.select_last(matchers, range, &run.limits())
    }

    fn series_labels(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<Labels>, TsdbError> {
        self.db.series_labels(sets, range, limit)
    }

    fn label_names(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError> {
        self.db.label_names(sets, range, limit)
    }

    fn label_values(
        &self,
        name: &str,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError> {
        self.db.label_values(name, sets, range, limit)
    }

    fn delete_series(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<(), TsdbError> {
        self.db.delete_series(sets, range)
    }

    fn clean_tombstones(&self) -> Result<(), TsdbError> {
        self.db.clean_tombstones()
    }

    fn snapshot(&self, name: &str, with_head: bool) -> Result<SnapshotReport, TsdbError> {
        let folder = self.snapshots.join(name);
        self.db.snapshot(&folder, with_head).inspect_err(|_| {
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                tracing::debug!(%error, "what there is of a snapshot that failed was not removed");
            }
        })
    }

    fn stats(&self) -> Stats {
        self.db.stats()
    }

    fn close(&self) -> Result<(), TsdbError> {
        self.db.close()
    }
}

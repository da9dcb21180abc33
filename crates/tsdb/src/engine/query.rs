//! Answers from a view: head, cut head and blocks together.
//!
//! 1. Each block that overlaps the range, the oldest first, and then the heads find the series that match, and read their
//!    samples; where there are many series, several threads do.
//! 2. What one source found is put to what those before it found, series by series; where all comes from one source nothing
//!    is compared.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
use roaring::RoaringBitmap;

use super::fan_out::fan_out;
use super::merge::append_newer;
use super::tombstones::Deleted;
use super::{Shared, View};
use crate::TsdbError;
use crate::block::Block;
use crate::head::sort_last_wins;
use crate::index::registry::Registry;
use crate::index::resolve::{LabelIndex, Selection};

/// A query starts anew at most so many times, if series that it saw are forgotten before it has read them: it takes seconds
/// and they were idle for hours, so once is rare.
const MOST_TRIES: usize = 3;

/// What one query may take; beyond it the query fails.
#[derive(Debug, Clone)]
pub struct SelectLimits {
    /// Most series.
    pub max_series: usize,
    /// Most samples.
    pub max_samples: usize,
    /// Set by whoever waits when they wait no more; the query then ends soon, with [`TsdbError::Cancelled`].
    pub cancelled: Option<Arc<AtomicBool>>,
}

impl Default for SelectLimits {
    fn default() -> Self {
        Self { max_series: 200_000, max_samples: 100_000_000, cancelled: None }
    }
}

impl SelectLimits {
    fn check_cancelled(&self) -> Result<(), TsdbError> {
        let cancelled = self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
        if cancelled { Err(TsdbError::Cancelled) } else { Ok(()) }
    }

    fn check_series(&self, series: usize) -> Result<(), TsdbError> {
        let limit = self.max_series;
        if series > limit { Err(TsdbError::QueryLimit { what: "series", limit }) } else { Ok(()) }
    }
}

/// What is asked for.
struct Query<'a> {
    selection: &'a Selection<'a>,
    range: TimeRange,
    /// Only the newest sample of each series.
    last_only: bool,
    limits: &'a SelectLimits,
    /// Samples taken so far.
    samples: AtomicUsize,
}

impl Query<'_> {
    /// The samples of one series from one source; nothing if there are none.
    fn take(
        &self,
        labels: impl FnOnce() -> Result<Labels, TsdbError>,
        (timestamps, values): (Vec<i64>, Vec<f64>),
    ) -> Result<Option<SeriesColumns>, TsdbError> {
        self.limits.check_cancelled()?;
        if timestamps.is_empty() {
            return Ok(None);
        }
        let mut found = SeriesColumns { labels: labels()?, timestamps, values };
        if self.last_only {
            keep_last(&mut found);
        }
        let before = self.samples.fetch_add(found.len(), Ordering::Relaxed);
        let limit = self.limits.max_samples;
        if before + found.len() > limit {
            return Err(TsdbError::QueryLimit { what: "samples", limit });
        }
        Ok(Some(found))
    }
}

/// The series found so far.
#[derive(Default)]
struct Found {
    series: Vec<SeriesColumns>,
    /// Where each is; empty while all are of one source.
    places: HashMap<Labels, usize>,
}

impl Found {
    /// Adds what a source has that was written after those before it.
    fn add(&mut self, newer: Vec<SeriesColumns>, query: &Query<'_>) -> Result<(), TsdbError> {
        if self.series.is_empty() {
            self.series = newer;
            return query.limits.check_series(self.series.len());
        }
        if newer.is_empty() {
            return Ok(());
        }
        if self.places.is_empty() {
            let own = self.series.iter().enumerate();
            self.places = own.map(|(at, series)| (series.labels.clone(), at)).collect();
        }
        for newer in newer {
            query.limits.check_cancelled()?;
            if let Some(&at) = self.places.get(&newer.labels) {
                append_columns(&mut self.series[at], newer);
                if query.last_only {
                    keep_last(&mut self.series[at]);
                }
            } else {
                self.places.insert(newer.labels.clone(), self.series.len());
                self.series.push(newer);
                query.limits.check_series(self.series.len())?;
            }
        }
        Ok(())
    }
}

/// Adds samples of the same series that were written later; of two at one time the added one holds.
fn append_columns(series: &mut SeriesColumns, newer: SeriesColumns) {
    let overlaps = series.timestamps.last() >= newer.timestamps.first();
    series.timestamps.extend(newer.timestamps);
    series.values.extend(newer.values);
    if overlaps {
        let columns = series.timestamps.drain(..).zip(series.values.drain(..));
        let mut samples: Vec<(i64, f64)> = columns.collect();
        sort_last_wins(&mut samples);
        (series.timestamps, series.values) = samples.into_iter().unzip();
    }
}

fn keep_last(series: &mut SeriesColumns) {
    let before = series.len().saturating_sub(1);
    series.timestamps.drain(..before);
    series.values.drain(..before);
}

impl Shared {
    /// The samples that match; of each series only the newest, if `last_only`.
    pub(super) fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        last_only: bool,
        limits: &SelectLimits,
    ) -> Result<Vec<SeriesColumns>, TsdbError> {
        let selection = &Selection::new(matchers);
        let mut tries = 0;
        loop {
            tries += 1;
            let samples = AtomicUsize::new(0);
            let query = Query { selection, range, last_only, limits, samples };
            let (is_gone, found) = self.try_select(&query)?;
            if !is_gone || tries == MOST_TRIES {
                return Ok(found);
            }
        }
    }

    /// Says as well whether this took so long that series of its view were forgotten meanwhile, and so are missing.
    fn try_select(&self, query: &Query<'_>) -> Result<(bool, Vec<SeriesColumns>), TsdbError> {
        query.limits.check_cancelled()?;
        let (view, ids) = self.heads_series(query)?;
        let mut found = Found::default();
        for block in view.blocks.iter().filter(|block| block.meta.range.overlaps(&query.range)) {
            let read = Deleted::of(block, &view.tombstones, &self.cache)
                .and_then(|deleted| self.select_block(block, &deleted, query));
            match read {
                Err(error @ TsdbError::Corrupt { .. }) => self.report_damage(block, &error),
                read => found.add(read?, query)?,
            }
        }
        let (is_gone, from_heads) = self.select_heads(&view, &ids, query)?;
        found.add(from_heads, query)?;
        Ok((is_gone, found.series))
    }

    /// A view, and the series of its heads that match. Both at once, so that every series of these heads is known.
    fn heads_series(&self, query: &Query<'_>) -> Result<(Arc<View>, Vec<u32>), TsdbError> {
        let registry = self.registry.read();
        let view = self.view.load_full();
        if !view.heads().any(|head| head.range().overlaps(&query.range)) {
            return Ok((view, Vec::new()));
        }
        let ids = query.selection.find(&*registry, &self.scans)?;
        Ok((view, ids.iter().collect()))
    }

    fn select_heads(
        &self,
        view: &View,
        ids: &[u32],
        query: &Query<'_>,
    ) -> Result<(bool, Vec<SeriesColumns>), TsdbError> {
        let is_gone = AtomicBool::new(false);
        let found = fan_out(ids, |ids| {
            let mut found = Vec::new();
            let mut read = Vec::new();
            for &id in ids {
                let mut samples = Vec::new();
                for head in view.heads() {
                    append_newer(&mut samples, head.select(id, query.range));
                }
                let columns = query.take(|| Ok(Labels::empty()), samples.into_iter().unzip())?;
                if let Some(columns) = columns {
                    read.push(id);
                    found.push(columns);
                }
            }
            let registry = self.registry.read();
            let mut ids = read.iter();
            found.retain_mut(|columns| {
                let known = ids.next().filter(|id| registry.is_known(**id));
                known.map(|&id| columns.labels = registry.labels(id)).is_some()
            });
            drop(registry);
            is_gone.fetch_or(found.len() < read.len(), Ordering::Relaxed);
            query.limits.check_series(found.len())?;
            Ok(found)
        })?;
        Ok((is_gone.into_inner(), found))
    }

    fn select_block(
        &self,
        block: &Block,
        deleted: &Deleted,
        query: &Query<'_>,
    ) -> Result<Vec<SeriesColumns>, TsdbError> {
        let index = block.index(&self.cache);
        let numbers: Vec<u32> = query.selection.find(&index, &self.scans)?.iter().collect();
        fan_out(&numbers, |numbers| {
            let mut found = Vec::new();
            for &number in numbers {
                if deleted.hides(number, query.range) {
                    continue;
                }
                let series = block.series(number, &self.cache)?;
                let mut read = block.columns(&series, query.range, &self.cache)?;
                deleted.take_out(number, &mut read);
                self.counters.damaged_chunks.add(read.damaged_chunks);
                let columns = (read.times, read.values);
                found.extend(query.take(|| block.labels(&series), columns)?);
                query.limits.check_series(found.len())?;
            }
            Ok(found)
        })
    }

    /// A block whose index is damaged is set aside and answers nothing; other errors go on.
    fn unless_damaged(
        &self,
        block: &Arc<Block>,
        read: Result<(), TsdbError>,
    ) -> Result<(), TsdbError> {
        match read {
            Err(error @ TsdbError::Corrupt { .. }) => {
                self.report_damage(block, &error);
                Ok(())
            }
            other => other,
        }
    }

    pub(super) fn series_labels(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<Labels>, TsdbError> {
        let mut found: HashSet<Labels> = HashSet::new();
        let selections = selections(matcher_sets);
        let view = {
            let registry = self.registry.read();
            let view = self.view.load_full();
            let ids = Selection::find_any(&selections, &*registry, &self.scans)?;
            let live = ids.iter().filter(|&id| view.is_live(id, range));
            found.extend(live.map(|id| registry.labels(id)));
            view
        };
        for block in view.blocks.iter().filter(|block| block.meta.range.overlaps(&range)) {
            let mut read = || {
                let index = block.index(&self.cache);
                let deleted = Deleted::of(block, &view.tombstones, &self.cache)?;
                for number in Selection::find_any(&selections, &index, &self.scans)? {
                    let series = block.series(number, &self.cache)?;
                    if series.has_chunk(|own| own.overlaps(&range) && !deleted.hides(number, own)) {
                        found.insert(block.labels(&series)?);
                    }
                }
                Ok(())
            };
            let read = read();
            self.unless_damaged(block, read)?;
        }
        let mut sorted: Vec<Labels> = found.into_iter().collect();
        sorted.sort_unstable();
        sorted.truncate(limit);
        Ok(sorted)
    }

    pub(super) fn label_names(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError> {
        let mut found = BTreeSet::new();
        let selections = selections(matcher_sets);
        let view = self.live_labels(None, &selections, range, &mut found)?;
        self.each_block(&view, &selections, range, |block, index, selected| {
            let is_whole = selected.len() == block.meta.series;
            for name in block.label_names() {
                // What a block names, one of its series has.
                let mut occurs = is_whole || found.contains(name);
                if !occurs {
                    index.each_value(name, "", &mut |_, series| {
                        occurs = occurs || series.intersects(selected);
                    })?;
                }
                if occurs {
                    found.insert(name.to_owned());
                }
            }
            Ok(())
        })?;
        Ok(found.into_iter().take(limit).collect())
    }

    pub(super) fn label_values(
        &self,
        name: &str,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError> {
        let mut found = BTreeSet::new();
        let selections = selections(matcher_sets);
        let view = self.live_labels(Some(name), &selections, range, &mut found)?;
        self.each_block(&view, &selections, range, |block, index, selected| {
            let is_whole = selected.len() == block.meta.series;
            index.each_value(name, "", &mut |value, series| {
                let occurs = is_whole || series.intersects(selected);
                if occurs && !found.contains(value) {
                    found.insert(value.to_owned());
                }
            })
        })?;
        Ok(found.into_iter().take(limit).collect())
    }

    /// Shows every block that overlaps the range, its index, and which of its series the matchers select. A series counts if its
    /// block overlaps the range.
    fn each_block(
        &self,
        view: &View,
        selections: &[Selection<'_>],
        range: TimeRange,
        mut visit: impl FnMut(&Block, &dyn LabelIndex, &RoaringBitmap) -> Result<(), TsdbError>,
    ) -> Result<(), TsdbError> {
        for block in view.blocks.iter().filter(|block| block.meta.range.overlaps(&range)) {
            let index = block.index(&self.cache);
            let read = Selection::find_any(selections, &index, &self.scans).and_then(|selected| {
                let deleted = Deleted::of(block, &view.tombstones, &self.cache)?;
                visit(block, &index, &(selected - deleted.hidden_in(block.meta.range)))
            });
            self.unless_damaged(block, read)?;
        }
        Ok(())
    }

    /// The names of the labels, or the values of one, of the series in the heads that the matchers select. Returns the view
    /// whose heads these are.
    fn live_labels(
        &self,
        name: Option<&str>,
        selections: &[Selection<'_>],
        range: TimeRange,
        found: &mut BTreeSet<String>,
    ) -> Result<Arc<View>, TsdbError> {
        let registry = self.registry.read();
        let view = self.view.load_full();
        let is_live = |id: u32| view.is_live(id, range);
        let selected = Selection::find_any(selections, &*registry, &self.scans)?;
        // Looking at the series costs their number, at the values of the labels theirs.
        if selected.len() < registry.len() as u64 / 16 {
            live_labels_of(&registry, selected.iter().filter(|&id| is_live(id)), name, found);
            return Ok(view);
        }
        let everything = selections.is_empty();
        let counts = |id: u32| (everything || selected.contains(id)) && is_live(id);
        match name {
            Some(name) => registry.each_value(name, "", &mut |value, series| {
                if series.any(counts) {
                    found.insert(value.to_owned());
                }
            })?,
            None => {
                for name in registry.names() {
                    let mut occurs = false;
                    registry.each_value(name, "", &mut |_, series| {
                        occurs = occurs || series.any(counts);
                    })?;
                    if occurs {
                        found.insert(name.to_owned());
                    }
                }
            }
        }
        Ok(view)
    }
}

fn selections(matcher_sets: &[Vec<Matcher>]) -> Vec<Selection<'_>> {
    matcher_sets.iter().map(|matchers| Selection::new(matchers)).collect()
}

/// The names of the labels of some series, or the values of one label.
fn live_labels_of(
    registry: &Registry,
    ids: impl Iterator<Item = u32>,
    name: Option<&str>,
    found: &mut BTreeSet<String>,
) {
    for id in ids {
        for (own, value) in registry.label_pairs(id) {
            let label = match name {
                None => own,
                Some(name) if name == own => value,
                Some(_) => continue,
            };
            if !found.contains(label) {
                found.insert(label.to_owned());
            }
        }
    }
}

impl View {
    /// The heads, the one written first before the other.
    pub(super) fn heads(&self) -> impl Iterator<Item = &crate::head::Head> {
        self.cut.iter().map(|cut| &*cut.head).chain(std::iter::once(&*self.active))
    }

    /// Whether a series may have samples of the range in a head.
    fn is_live(&self, id: u32, range: TimeRange) -> bool {
        self.heads().any(|head| head.series_range(id).is_some_and(|own| own.overlaps(&range)))
    }
}

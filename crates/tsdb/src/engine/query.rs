//! Answers from a view: head, cut head and blocks together.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
use roaring::RoaringBitmap;

use super::merge::append_newer;
use super::tombstones::Deleted;
use super::{Shared, View};
use crate::TsdbError;
use crate::block::Block;
use crate::index::resolve::{LabelIndex, resolve};

/// What one query may take; beyond it the query fails.
#[derive(Debug, Clone, Copy)]
pub struct SelectLimits {
    /// Most series.
    pub max_series: usize,
    /// Most samples.
    pub max_samples: usize,
}

impl Default for SelectLimits {
    fn default() -> Self {
        Self { max_series: 200_000, max_samples: 100_000_000 }
    }
}

/// Samples of a series from one source.
struct Part {
    labels: Labels,
    /// Sources with a higher rank were written later.
    rank: usize,
    samples: Vec<(i64, f64)>,
}

/// Counts what a query takes.
struct Budget {
    limits: SelectLimits,
    samples: usize,
}

impl Budget {
    fn take(&mut self, series_of_source: usize, samples: usize) -> Result<(), TsdbError> {
        if series_of_source > self.limits.max_series {
            return Err(self.too_many_series());
        }
        self.samples += samples;
        if self.samples > self.limits.max_samples {
            let limit = self.limits.max_samples;
            return Err(TsdbError::QueryLimit { what: "samples", limit });
        }
        Ok(())
    }

    fn too_many_series(&self) -> TsdbError {
        TsdbError::QueryLimit { what: "series", limit: self.limits.max_series }
    }
}

impl Shared {
    pub(super) fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limits: &SelectLimits,
    ) -> Result<Vec<SeriesColumns>, TsdbError> {
        let view = self.view.load_full();
        let mut budget = Budget { limits: *limits, samples: 0 };
        let mut parts = Vec::new();
        for (rank, block) in view.blocks.iter().enumerate() {
            if block.meta.range.overlaps(&range) {
                let start = parts.len();
                let deleted = Deleted::of(block, &view.tombstones, &self.cache);
                let read = deleted.and_then(|deleted| {
                    let block = (&**block, &deleted);
                    self.select_block(block, matchers, range, &mut budget, rank, &mut parts)
                });
                self.unless_damaged(block, read, || parts.truncate(start))?;
            }
        }
        let head_rank = view.blocks.len();
        self.select_heads(&view, matchers, range, &mut budget, head_rank, &mut parts)?;
        parts.sort_by(|a, b| a.labels.cmp(&b.labels).then(a.rank.cmp(&b.rank)));
        let mut columns = Vec::new();
        let mut parts = parts.into_iter().peekable();
        while let Some(first) = parts.next() {
            let (labels, mut samples) = (first.labels, first.samples);
            while let Some(next) = parts.next_if(|next| next.labels == labels) {
                append_newer(&mut samples, next.samples);
            }
            if columns.len() == limits.max_series {
                return Err(budget.too_many_series());
            }
            let (timestamps, values) = samples.into_iter().unzip();
            columns.push(SeriesColumns { labels, timestamps, values });
        }
        Ok(columns)
    }

    fn select_block(
        &self,
        (block, deleted): (&Block, &Deleted),
        matchers: &[Matcher],
        range: TimeRange,
        budget: &mut Budget,
        rank: usize,
        parts: &mut Vec<Part>,
    ) -> Result<(), TsdbError> {
        let mut series_count = 0;
        for number in resolve(&block.index(&self.cache), matchers)? {
            if deleted.hides(number, range) {
                continue;
            }
            let series = block.series(number, &self.cache)?;
            let mut read = block.samples(&series, range, &self.cache)?;
            deleted.take_out(number, &mut read.samples);
            self.counters.damaged_chunks.add(read.damaged_chunks);
            if !read.samples.is_empty() {
                series_count += 1;
                budget.take(series_count, read.samples.len())?;
                parts.push(Part { labels: block.labels(&series)?, rank, samples: read.samples });
            }
        }
        Ok(())
    }

    fn select_heads(
        &self,
        view: &View,
        matchers: &[Matcher],
        range: TimeRange,
        budget: &mut Budget,
        rank: usize,
        parts: &mut Vec<Part>,
    ) -> Result<(), TsdbError> {
        if !view.heads().any(|head| head.range().overlaps(&range)) {
            return Ok(());
        }
        let ids = resolve(&*self.registry.read(), matchers)?;
        let mut found = Vec::new();
        for id in ids {
            let mut samples = Vec::new();
            for head in view.heads() {
                append_newer(&mut samples, head.select(id, range));
            }
            if !samples.is_empty() {
                budget.take(found.len() + 1, samples.len())?;
                found.push((id, samples));
            }
        }
        let registry = self.registry.read();
        parts.extend(found.into_iter().map(|(id, samples)| Part {
            labels: registry.labels(id),
            rank,
            samples,
        }));
        Ok(())
    }

    /// A block whose index is damaged is set aside and answers nothing; other errors go on.
    fn unless_damaged(
        &self,
        block: &Arc<Block>,
        read: Result<(), TsdbError>,
        undo: impl FnOnce(),
    ) -> Result<(), TsdbError> {
        match read {
            Err(error @ TsdbError::Corrupt { .. }) => {
                self.report_damage(block, &error);
                undo();
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
        let mut found = BTreeSet::new();
        let view = self.view.load_full();
        for block in view.blocks.iter().filter(|block| block.meta.range.overlaps(&range)) {
            let mut read = || {
                let deleted = Deleted::of(block, &view.tombstones, &self.cache)?;
                for number in resolve_any(&block.index(&self.cache), matcher_sets)? {
                    let series = block.series(number, &self.cache)?;
                    if series.has_chunk(|own| own.overlaps(&range) && !deleted.hides(number, own)) {
                        found.insert(block.labels(&series)?);
                    }
                }
                Ok(())
            };
            let read = read();
            self.unless_damaged(block, read, || {})?;
        }
        let ids = resolve_any(&*self.registry.read(), matcher_sets)?;
        let live: Vec<u32> = ids.iter().filter(|&id| view.is_live(id, range)).collect();
        let registry = self.registry.read();
        found.extend(live.into_iter().map(|id| registry.labels(id)));
        Ok(found.into_iter().take(limit).collect())
    }

    pub(super) fn label_names(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, TsdbError> {
        let mut found = BTreeSet::new();
        self.each_index(matcher_sets, range, &mut |index, names, matched| {
            for name in names {
                let mut occurs = found.contains(*name);
                index.each_value(name, &mut |_, series| occurs = occurs || matched(series))?;
                if occurs {
                    found.insert((*name).to_owned());
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
        self.each_index(matcher_sets, range, &mut |index, _, matched| {
            index.each_value(name, &mut |value, series| {
                if !found.contains(value) && matched(series) {
                    found.insert(value.to_owned());
                }
            })
        })?;
        Ok(found.into_iter().take(limit).collect())
    }

    /// Shows every index that overlaps the range: the index, its label names, and whether of some series one is among
    /// those that the matchers select. In a block a series counts if the block overlaps the range.
    fn each_index(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        visit: &mut IndexVisitor<'_>,
    ) -> Result<(), TsdbError> {
        let view = self.view.load_full();
        for block in view.blocks.iter().filter(|block| block.meta.range.overlaps(&range)) {
            let index = block.index(&self.cache);
            let names: Vec<&str> = block.label_names().collect();
            let selected = resolve_any(&index, matcher_sets).and_then(|selected| {
                let deleted = Deleted::of(block, &view.tombstones, &self.cache)?;
                Ok(selected - deleted.hidden_in(block.meta.range))
            });
            let read = selected.and_then(|selected| {
                visit(&index, &names, &|series| !series.is_disjoint(&selected))
            });
            self.unless_damaged(block, read, || {})?;
        }
        let registry = self.registry.read();
        let selected = resolve_any(&*registry, matcher_sets)?;
        let names: Vec<&str> = registry.names().collect();
        let live = |series: &RoaringBitmap| {
            series.iter().any(|id| selected.contains(id) && view.is_live(id, range))
        };
        visit(&*registry, &names, &live)
    }
}

type IndexVisitor<'a> = dyn FnMut(&dyn LabelIndex, &[&str], &dyn Fn(&RoaringBitmap) -> bool) -> Result<(), TsdbError>
    + 'a;

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

/// The series that pass one of several sets of matchers; all, where there is no set.
fn resolve_any(
    index: &dyn LabelIndex,
    matcher_sets: &[Vec<Matcher>],
) -> Result<RoaringBitmap, TsdbError> {
    if matcher_sets.is_empty() {
        return Ok(index.all());
    }
    let mut union = RoaringBitmap::new();
    for matchers in matcher_sets {
        union |= resolve(index, matchers)?;
    }
    Ok(union)
}

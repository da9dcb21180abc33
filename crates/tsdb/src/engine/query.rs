//! Answers about labels from a view: which series there are, which names and values they have.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use muster_series::{Labels, Matcher, TimeRange};
use roaring::RoaringBitmap;

use super::tombstones::Deleted;
use super::{Shared, View};
use crate::TsdbError;
use crate::block::{Block, SeriesAt};
use crate::index::registry::Registry;
use crate::index::resolve::{LabelIndex, Selection};

impl Shared {
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
        // Those of them that the registry knows, by its numbers.
        let mut known = RoaringBitmap::new();
        let selections = selections(matcher_sets);
        let view = {
            let registry = self.registry.read();
            let view = self.view.load_full();
            let ids = Selection::find_any(&selections, &*registry, &self.scans)?;
            known.extend(ids.iter().filter(|&id| view.is_live(id, range)));
            found.extend(known.iter().map(|id| registry.labels(id)));
            view
        };
        for block in view.blocks.iter().filter(|block| block.meta.range.overlaps(&range)) {
            let mut read = || {
                let index = block.index(&self.cache);
                let deleted = Deleted::of(block, &view.tombstones, &self.cache)?;
                let numbers = Selection::find_any(&selections, &index, &self.scans)?;
                self.each_series(block, &numbers, |number, series, registry| {
                    if !series.has_chunk(|own| own.overlaps(&range) && !deleted.hides(number, own))
                        || series.known_as(registry).is_some_and(|id| !known.insert(id))
                    {
                        return Ok(());
                    }
                    found.insert(block.labels(series)?);
                    Ok(())
                })
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
            if are_few(selected, block.meta.series) {
                return self.labels_of_few(block, selected, None, &mut found);
            }
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
            if are_few(selected, block.meta.series) {
                return self.labels_of_few(block, selected, Some(name), &mut found);
            }
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

    /// Shows some series of a block with their numbers, and the registry.
    pub(super) fn each_series(
        &self,
        block: &Block,
        numbers: &RoaringBitmap,
        mut visit: impl FnMut(u32, &SeriesAt, &Registry) -> Result<(), TsdbError>,
    ) -> Result<(), TsdbError> {
        let mut numbers = numbers.iter().peekable();
        while let Some(&first) = numbers.peek() {
            let group = block.series_group(first, &self.cache)?;
            let registry = self.registry.read();
            while let Some(series) = numbers.peek().and_then(|&number| group.get(number)) {
                let Some(number) = numbers.next() else { break };
                visit(number, &series, &registry)?;
            }
        }
        Ok(())
    }

    /// Adds the names of the labels of some series of a block, or the values of one.
    fn labels_of_few(
        &self,
        block: &Block,
        numbers: &RoaringBitmap,
        name: Option<&str>,
        found: &mut BTreeSet<String>,
    ) -> Result<(), TsdbError> {
        self.each_series(block, numbers, |_, series, _| {
            add_labels(series.label_pairs(), name, found);
            Ok(())
        })
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
        if are_few(&selected, registry.len() as u64) {
            for id in selected.iter().filter(|&id| is_live(id)) {
                add_labels(registry.label_pairs(id), name, found);
            }
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

/// Whether looking at these series costs less than looking at the values of a label of all of them.
fn are_few(selected: &RoaringBitmap, all: u64) -> bool {
    selected.len() < all / 16
}

/// Adds the names of the labels of a series, or the value of one label.
fn add_labels<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    name: Option<&str>,
    found: &mut BTreeSet<String>,
) {
    for (own, value) in pairs {
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

impl View {
    /// The heads, the one written first before the other.
    pub(super) fn heads(&self) -> impl DoubleEndedIterator<Item = &crate::head::Head> {
        self.cut.iter().map(|cut| &*cut.head).chain(std::iter::once(&*self.active))
    }

    /// Whether a series may have samples of the range in a head.
    fn is_live(&self, id: u32, range: TimeRange) -> bool {
        self.heads().any(|head| head.series_range(id).is_some_and(|own| own.overlaps(&range)))
    }
}

//! What a selection reads: which series, and where their samples are, found at one moment and read later.
//!
//! 1. The registry names the series of the heads that match, together with the view that these heads are in.
//! 2. Each block that overlaps the range finds its own, and what the registry calls them.
//! 3. So a series in several places is told by a number; only what the registry does not know is told by labels.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hashbrown::HashTable;
use muster_series::{Labels, Matcher, TimeRange};
use roaring::RoaringBitmap;

use super::tombstones::Deleted;
use super::{Shared, View};
use crate::TsdbError;
use crate::block::{Block, SeriesAt};
use crate::head::Head;
use crate::index::registry::Registry;
use crate::index::resolve::Selection;

/// A selection is made anew at most so many times, if series were registered or forgotten such that it may have taken one for two.
const MOST_TRIES: usize = 3;
/// A part has at least so much to do, in samples to read: about a millisecond.
const PART_COST: usize = 1 << 17;
/// What a series costs besides its samples, in samples.
const SERIES_COST: usize = 32;

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
    pub(super) fn check_cancelled(&self) -> Result<(), TsdbError> {
        let cancelled = self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
        if cancelled { Err(TsdbError::Cancelled) } else { Ok(()) }
    }

    pub(super) fn check_samples(&self, samples: usize) -> Result<(), TsdbError> {
        let limit = self.max_samples;
        if samples > limit { Err(TsdbError::QueryLimit { what: "samples", limit }) } else { Ok(()) }
    }
}

/// What of the selected series is needed, so that the rest is left out.
#[derive(Debug, Clone)]
pub struct SelectHints {
    /// Only the newest sample of each series in the range.
    pub newest_only: bool,
    /// Only labels of these names. Several series then may come with the same labels.
    pub labels: Option<Vec<String>>,
    /// Most parts to read the series in; at least 1.
    pub parts: usize,
}

impl Default for SelectHints {
    /// Everything, in one part.
    fn default() -> Self {
        Self { newest_only: false, labels: None, parts: 1 }
    }
}

/// Series that were selected, and where their samples are.
pub(super) struct Plan {
    pub(super) view: Arc<View>,
    pub(super) range: TimeRange,
    pub(super) hints: SelectHints,
    pub(super) limits: SelectLimits,
    /// Those that have samples of a series, oldest first.
    pub(super) blocks: Vec<(Arc<Block>, Deleted)>,
    /// In the order of the oldest block, then of the next, and then of the heads, so that neighbours stand on the same pages.
    series: Vec<PlannedSeries>,
    places: Vec<Place>,
    /// About how many samples have to be read.
    samples: usize,
    /// How many series had samples, so far.
    pub(super) found: AtomicUsize,
}

/// A series of a plan.
#[derive(Debug, Clone, Copy)]
struct PlannedSeries {
    /// The registry's number, where it knows it.
    id: Option<u32>,
    /// Where in the places its own end.
    places_end: u32,
}

/// Where a block has a series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The place of the block in the plan.
    pub(super) block: u32,
    /// The number of the series in it.
    pub(super) number: u32,
}

/// A series of a block, and what tells it from others.
struct BlockSeries {
    number: u32,
    identity: Identity,
}

enum Identity {
    Known(u32),
    /// The registry does not know it.
    Unknown(Labels),
}

impl Plan {
    /// How many series there are; not all need have samples in the range.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// The registry's number of a series, and its places in blocks, oldest first.
    pub(super) fn series(&self, at: usize) -> (Option<u32>, &[Place]) {
        let start = if at == 0 { 0 } else { self.series[at - 1].places_end };
        let PlannedSeries { id, places_end } = self.series[at];
        (id, &self.places[start as usize..places_end as usize])
    }

    /// The heads that may have samples in the range, the one written first before the other.
    pub(super) fn heads(&self) -> impl DoubleEndedIterator<Item = &Head> {
        self.view.heads().filter(|head| !head.is_empty() && head.range().overlaps(&self.range))
    }

    /// Into how many parts it pays to split the series.
    pub(super) fn parts(&self) -> usize {
        let cost = self.samples + self.series.len() * SERIES_COST;
        (cost / PART_COST).clamp(1, self.hints.parts.max(1))
    }

    /// Counts a series that has samples.
    pub(super) fn count_found(&self, more: usize) -> Result<(), TsdbError> {
        let limit = self.limits.max_series;
        if self.found.fetch_add(more, Ordering::Relaxed) + more > limit {
            return Err(TsdbError::QueryLimit { what: "series", limit });
        }
        Ok(())
    }
}

impl Shared {
    pub(super) fn plan_select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: SelectHints,
        limits: &SelectLimits,
    ) -> Result<Plan, TsdbError> {
        let selection = Selection::new(matchers);
        let mut tries = 0;
        loop {
            limits.check_cancelled()?;
            tries += 1;
            let mut planning = Planning::default();
            let (view, ids) = self.find_in_heads(&selection, range)?;
            for block in view.blocks.iter().filter(|block| block.meta.range.overlaps(&range)) {
                let found = Deleted::of(block, &view.tombstones, &self.cache).and_then(|deleted| {
                    let series =
                        self.find_in_block(block, &deleted, &selection, range, &mut planning);
                    Ok((deleted, series?))
                });
                match found {
                    Ok((deleted, series)) => planning.add_block(block, deleted, series),
                    Err(error @ TsdbError::Corrupt { .. }) => self.report_damage(block, &error),
                    Err(error) => return Err(error),
                }
                limits.check_cancelled()?;
            }
            planning.add_heads(&view, &ids, range);
            if planning.still_holds(&self.registry.read()) || tries == MOST_TRIES {
                return Ok(planning.finish(view, range, hints, limits));
            }
        }
    }

    /// A view, and the series of its heads that match. Both at once, so that every series of these heads is known.
    fn find_in_heads(
        &self,
        selection: &Selection<'_>,
        range: TimeRange,
    ) -> Result<(Arc<View>, RoaringBitmap), TsdbError> {
        let registry = self.registry.read();
        let view = self.view.load_full();
        if !view.heads().any(|head| head.range().overlaps(&range)) {
            return Ok((view, RoaringBitmap::new()));
        }
        let ids = selection.find(&*registry, &self.scans)?;
        Ok((view, ids))
    }

    /// The series of a block that match and may have samples in the range.
    fn find_in_block(
        &self,
        block: &Block,
        deleted: &Deleted,
        selection: &Selection<'_>,
        range: TimeRange,
        planning: &mut Planning,
    ) -> Result<Vec<BlockSeries>, TsdbError> {
        let numbers = selection.find(&block.index(&self.cache), &self.scans)?;
        let mut found = Vec::with_capacity(numbers.len() as usize);
        self.each_series(block, &numbers, |number, series, registry| {
            let samples = samples_in(series, range);
            if samples == 0 || deleted.hides(number, range) {
                return Ok(());
            }
            planning.samples += samples;
            let identity = match series.known_as(registry) {
                Some(id) => Identity::Known(id),
                None => Identity::Unknown(block.labels(series)?),
            };
            found.push(BlockSeries { number, identity });
            Ok(())
        })?;
        Ok(found)
    }
}

/// How many samples the chunks have that overlap the range.
fn samples_in(series: &SeriesAt, range: TimeRange) -> usize {
    let chunks = series.chunks().filter(|chunk| chunk.range.overlaps(&range));
    chunks.map(|chunk| chunk.len as usize).sum()
}

/// A plan that is being made.
#[derive(Default)]
struct Planning {
    blocks: Vec<(Arc<Block>, Deleted)>,
    /// By its place in the plan, what the registry calls a series.
    series: Vec<Option<u32>>,
    by_id: HashTable<u32>,
    unknown: HashMap<Labels, u32>,
    /// The place of a series in the plan, and where a block has it.
    places: Vec<(u32, Place)>,
    samples: usize,
}

impl Planning {
    fn add_block(&mut self, block: &Arc<Block>, deleted: Deleted, found: Vec<BlockSeries>) {
        if found.is_empty() {
            return;
        }
        let at = self.blocks.len() as u32;
        self.blocks.push((Arc::clone(block), deleted));
        self.places.reserve(found.len());
        for BlockSeries { number, identity } in found {
            let series = match identity {
                Identity::Known(id) => self.number_of(id),
                Identity::Unknown(labels) => {
                    let next = self.series.len() as u32;
                    let series = *self.unknown.entry(labels).or_insert(next);
                    if series == next {
                        self.series.push(None);
                    }
                    series
                }
            };
            self.places.push((series, Place { block: at, number }));
        }
    }

    fn number_of(&mut self, id: u32) -> u32 {
        let series = &mut self.series;
        let hash_at = |at: &u32, series: &[Option<u32>]| hash(series[*at as usize].unwrap_or(0));
        let is = |at: &u32| series[*at as usize] == Some(id);
        if let Some(&at) = self.by_id.find(hash(id), is) {
            return at;
        }
        let at = series.len() as u32;
        series.push(Some(id));
        self.by_id.insert_unique(hash(id), at, |at| hash_at(at, series));
        at
    }

    fn add_heads(&mut self, view: &View, ids: &RoaringBitmap, range: TimeRange) {
        if self.series.is_empty() {
            self.series.extend(ids.iter().map(Some));
        } else {
            for id in ids {
                self.number_of(id);
            }
        }
        for head in view.heads() {
            let own = head.range();
            if head.is_empty() || !own.overlaps(&range) {
                continue;
            }
            let length = |from: i64, to: i64| to as f64 - from as f64 + 1.0;
            let wanted = length(range.start_ms.max(own.start_ms), range.end_ms.min(own.end_ms));
            let share = wanted / length(own.start_ms, own.end_ms);
            let of_each = head.samples() as f64 / head.series_count().max(1) as f64;
            self.samples += (share * of_each * ids.len() as f64) as usize;
        }
    }

    /// Whether what was found at several moments still goes together: each series is in the plan once. A series of a head is
    /// not forgotten while the plan has that head.
    fn still_holds(&self, registry: &Registry) -> bool {
        self.blocks.is_empty()
            || self.series.iter().flatten().all(|&id| registry.is_known(id))
                && self.unknown.keys().all(|labels| registry.look_up(labels.iter()).is_none())
    }

    fn finish(
        mut self,
        view: Arc<View>,
        range: TimeRange,
        hints: SelectHints,
        limits: &SelectLimits,
    ) -> Plan {
        // Stable, so that the places of a series stay in the order of the blocks.
        self.places.sort_by_key(|(series, _)| *series);
        let mut end = 0;
        let series = self.series.iter().enumerate().map(|(at, &id)| {
            while self.places.get(end).is_some_and(|(series, _)| *series as usize == at) {
                end += 1;
            }
            PlannedSeries { id, places_end: end as u32 }
        });
        let series: Vec<PlannedSeries> = series.collect();
        Plan {
            view,
            range,
            samples: if hints.newest_only { 0 } else { self.samples },
            hints,
            limits: limits.clone(),
            blocks: self.blocks,
            series,
            places: self.places.into_iter().map(|(_, place)| place).collect(),
            found: AtomicUsize::new(0),
        }
    }
}

fn hash(id: u32) -> u64 {
    u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

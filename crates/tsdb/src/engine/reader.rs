//! Reads the series of a plan one after another, a few at a time.
//!
//! 1. Of each series the samples of its blocks come first, oldest block first, then those of the heads; later writing wins.
//! 2. Names are looked up last, for several series at once, so that the registry is held seldom and shortly.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};

use super::Shared;
use super::merge::append_newer_columns;
use super::select::{Place, Plan, SelectHints, SelectLimits};
use crate::TsdbError;
use crate::block::{ColumnsRead, Recent, SeriesAt, SeriesGroup};
use crate::index::registry::Registry;

/// Series that are read before their names are looked up.
const BATCH: usize = 256;
/// Samples after which this is done anyhow: half a megabyte.
const BATCH_SAMPLES: usize = 1 << 15;
/// Most threads that read for a caller who wants all at once.
const MOST_THREADS: usize = 8;

/// Some of the series that were selected, in no order, each read when it is asked for. See [`crate::Db::select_parts`].
///
/// After an error there is nothing more.
pub struct SeriesReader {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    /// The places in the plan of what is still to read.
    next: usize,
    end: usize,
    ready: std::vec::IntoIter<SeriesColumns>,
    recent: Recent,
    /// The block and the group that a series was found in last.
    group: Option<(u32, SeriesGroup)>,
}

/// A series that is read, without its name.
struct Nameless {
    id: Option<u32>,
    /// Where else than in the registry its labels are.
    place: Option<Place>,
    columns: ColumnsRead,
}

impl SeriesReader {
    pub(super) fn parts(
        shared: &Arc<Shared>,
        matchers: &[Matcher],
        range: TimeRange,
        hints: SelectHints,
        limits: &SelectLimits,
    ) -> Result<Vec<Self>, TsdbError> {
        let plan = Arc::new(shared.plan_select(matchers, range, hints, limits)?);
        let (parts, len) = (plan.parts(), plan.len());
        let part = |at: usize| Self {
            shared: Arc::clone(shared),
            plan: Arc::clone(&plan),
            next: len * at / parts,
            end: len * (at + 1) / parts,
            ready: Vec::new().into_iter(),
            recent: Recent::default(),
            group: None,
        };
        Ok((0..parts).map(part).collect())
    }

    fn read_batch(&mut self) -> Result<(), TsdbError> {
        let plan = Arc::clone(&self.plan);
        let mut batch = Vec::new();
        let mut samples = 0;
        while self.next < self.end && batch.len() < BATCH && samples < BATCH_SAMPLES {
            plan.limits.check_cancelled()?;
            let (id, places) = plan.series(self.next);
            self.next += 1;
            let columns = if plan.hints.newest_only {
                self.read_newest(&plan, id, places)?
            } else {
                self.read_series(&plan, id, places)?
            };
            if !columns.times.is_empty() {
                samples += columns.times.len();
                batch.push(Nameless { id, place: places.first().copied(), columns });
            }
        }
        plan.count_found(batch.len())?;
        self.ready = self.name(&plan, batch)?.into_iter();
        Ok(())
    }

    fn read_series(
        &mut self,
        plan: &Plan,
        id: Option<u32>,
        places: &[Place],
    ) -> Result<ColumnsRead, TsdbError> {
        let mut all = ColumnsRead::default();
        for &place in places {
            let (block, deleted) = &plan.blocks[place.block as usize];
            let Some(series) = self.series_at(plan, place)? else { continue };
            let cache = &self.shared.cache;
            let mut read = block.columns(&series, plan.range, cache, &mut self.recent)?;
            deleted.take_out(place.number, &mut read);
            self.shared.counters.damaged_chunks.add(read.damaged_chunks);
            append_newer_columns(&mut all, read);
            plan.limits.check_samples(all.times.len())?;
        }
        for head in plan.heads() {
            let Some(id) = id else { break };
            if all.times.is_empty() {
                head.read(id, plan.range, &mut all.times, &mut all.values);
            } else {
                let mut read = ColumnsRead::default();
                head.read(id, plan.range, &mut read.times, &mut read.values);
                append_newer_columns(&mut all, read);
            }
            plan.limits.check_samples(all.times.len())?;
        }
        Ok(all)
    }

    /// The newest first: what was written later holds, unless there is a newer sample in what was written before.
    fn read_newest(
        &mut self,
        plan: &Plan,
        id: Option<u32>,
        places: &[Place],
    ) -> Result<ColumnsRead, TsdbError> {
        let mut newest: Option<(i64, f64)> = None;
        let heads = plan.heads().rev();
        for found in heads.filter_map(|head| head.newest(id?, plan.range)) {
            if newest.is_none_or(|known| known.0 < found.0) {
                newest = Some(found);
            }
        }
        for &place in places.iter().rev() {
            let start_ms = newest.map_or(plan.range.start_ms, |known| known.0.saturating_add(1));
            let range = TimeRange::new(start_ms, plan.range.end_ms);
            let (block, deleted) = &plan.blocks[place.block as usize];
            if start_ms > range.end_ms || !block.meta.range.overlaps(&range) {
                continue;
            }
            let Some(series) = self.series_at(plan, place)? else { continue };
            if !series.has_chunk(|own| own.overlaps(&range)) {
                continue;
            }
            let (cache, recent) = (&self.shared.cache, &mut self.recent);
            let mut read = if deleted.concerns(place.number) {
                block.columns(&series, plan.range, cache, recent)?
            } else {
                block.newest(&series, plan.range, cache, recent)?
            };
            deleted.take_out(place.number, &mut read);
            self.shared.counters.damaged_chunks.add(read.damaged_chunks);
            if let (Some(time), Some(value)) = (read.times.pop(), read.values.pop())
                && time >= start_ms
            {
                newest = Some((time, value));
            }
        }
        let (times, values) = newest.into_iter().unzip();
        Ok(ColumnsRead { times, values, damaged_chunks: 0 })
    }

    /// A series of a block; nothing if the block turns out to be damaged, which is told.
    fn series_at(&mut self, plan: &Plan, place: Place) -> Result<Option<SeriesAt>, TsdbError> {
        if let Some((_, group)) = self.group.as_ref().filter(|(block, _)| *block == place.block)
            && let Some(series) = group.get(place.number)
        {
            return Ok(Some(series));
        }
        let (block, _) = &plan.blocks[place.block as usize];
        match block.series_group(place.number, &self.shared.cache) {
            Ok(group) => {
                let series = group.get(place.number);
                self.group = Some((place.block, group));
                Ok(series)
            }
            Err(error @ TsdbError::Corrupt { .. }) => {
                self.shared.report_damage(block, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives each series its labels. The registry knows those of the heads; others it may have forgotten.
    fn name(&mut self, plan: &Plan, batch: Vec<Nameless>) -> Result<Vec<SeriesColumns>, TsdbError> {
        let wanted = plan.hints.labels.as_deref();
        let mut labels: Vec<Option<Labels>> = Vec::with_capacity(batch.len());
        {
            let registry = self.shared.registry.read();
            let mut names = Names::new(&registry, wanted);
            labels.extend(batch.iter().map(|series| names.of(series.id?)));
        }
        let mut named = Vec::with_capacity(batch.len());
        for (Nameless { place, columns, .. }, labels) in batch.into_iter().zip(labels) {
            let labels = match (labels, place) {
                (Some(labels), _) => labels,
                (None, Some(place)) => {
                    let Some(series) = self.series_at(plan, place)? else { continue };
                    let (block, _) = &plan.blocks[place.block as usize];
                    let all = block.labels(&series)?;
                    match wanted {
                        None => all,
                        Some(names) => all.filtered(|own| names.iter().any(|name| name == own)),
                    }
                }
                (None, None) => unreachable!("a series of a head in use is not forgotten"),
            };
            let ColumnsRead { times: timestamps, values, .. } = columns;
            named.push(SeriesColumns { labels, timestamps, values });
        }
        Ok(named)
    }
}

impl Iterator for SeriesReader {
    type Item = Result<SeriesColumns, TsdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(series) = self.ready.next() {
                return Some(Ok(series));
            }
            if self.next >= self.end {
                return None;
            }
            if let Err(error) = self.read_batch() {
                self.next = self.end;
                return Some(Err(error));
            }
        }
    }
}

/// Label sets from the registry, all or a part of each; equal parts are made once.
struct Names<'a> {
    registry: &'a Registry,
    /// The numbers of the names that are wanted, where not all are.
    wanted: Option<Vec<u32>>,
    made: HashMap<Vec<u32>, Labels>,
}

impl<'a> Names<'a> {
    fn new(registry: &'a Registry, wanted: Option<&[String]>) -> Self {
        let wanted = wanted.map(|names| registry.name_numbers(names));
        Self { registry, wanted, made: HashMap::new() }
    }

    /// The labels of a series, if it is known.
    fn of(&mut self, id: u32) -> Option<Labels> {
        let registry = self.registry;
        if !registry.is_known(id) {
            return None;
        }
        let Some(wanted) = &self.wanted else {
            return Some(registry.labels(id));
        };
        let entries: Vec<u32> = registry.projected(id, wanted).collect();
        if let Some(labels) = self.made.get(&entries) {
            return Some(labels.clone());
        }
        let labels = registry.labels_of(&entries);
        self.made.insert(entries, labels.clone());
        Some(labels)
    }
}

/// All that is selected, at once, read by several threads where it is much.
pub(super) fn read_all(
    shared: &Arc<Shared>,
    matchers: &[Matcher],
    range: TimeRange,
    hints: SelectHints,
    limits: &SelectLimits,
) -> Result<Vec<SeriesColumns>, TsdbError> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let hints = SelectHints { parts: cores, ..hints };
    let mut parts = SeriesReader::parts(shared, matchers, range, hints, limits)?;
    let samples = AtomicUsize::new(0);
    let read = |part: SeriesReader| -> Result<Vec<SeriesColumns>, TsdbError> {
        let mut all = Vec::new();
        for series in part {
            let series = series?;
            let before = samples.fetch_add(series.len(), Ordering::Relaxed);
            limits.check_samples(before + series.len())?;
            all.push(series);
        }
        Ok(all)
    };
    let rest = parts.split_off(1);
    thread::scope(|scope| {
        let threads: Vec<_> = rest.into_iter().map(|part| scope.spawn(|| read(part))).collect();
        let mut all = Vec::new();
        for part in parts {
            all.append(&mut read(part)?);
        }
        for thread in threads {
            let part = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.append(&mut part?);
        }
        Ok(all)
    })
}

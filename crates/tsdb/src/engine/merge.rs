//! Merges blocks of one partition into one, series by series.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_series::{Labels, TimeRange};
use parking_lot::MutexGuard;

use super::Shared;
use super::tombstones::{Deleted, RETRY_MS};
use crate::TsdbError;
use crate::block::{
    Block, BlockMeta, BlockWriter, Chunk, ColumnsRead, PageCache, Recent, SeriesAt,
};
use crate::codec::column::Effort;
use crate::head::sort_last_wins;
use crate::manifest::Manifest;
use crate::plan::{Compaction, plan_compaction};
use crate::tombstone::Tombstone;

/// Room for decoded pages while blocks are merged, so that merging does not empty the readers' cache.
const CACHE_BYTES: usize = 8 << 20;
/// A chunk of at least so many samples is copied as it is when a merge is to be fast.
const COPIED_LEN: u32 = 64;
/// Shorter chunks are joined until they have so many.
const JOINED_LEN: usize = 512;

/// A block that is read from its first series to its last.
struct Input {
    block: Arc<Block>,
    deleted: Deleted,
    next: u32,
    /// The series that is read next, if there is one.
    current: Option<(Labels, SeriesAt)>,
}

impl Input {
    fn start(
        block: Arc<Block>,
        tombstones: &[Tombstone],
        cache: &PageCache,
    ) -> Result<Self, TsdbError> {
        let deleted = Deleted::of(&block, tombstones, cache)?;
        let mut input = Self { block, deleted, next: 0, current: None };
        input.advance(cache)?;
        Ok(input)
    }

    /// The series that is read next, if there is one; `input` is the place of this among the inputs.
    fn source(&self, input: usize) -> Option<Source<'_>> {
        let (_, series) = self.current.as_ref()?;
        let (block, deleted, number) = (&*self.block, &self.deleted, self.next - 1);
        Some(Source { block, deleted, series, number, input })
    }

    fn advance(&mut self, cache: &PageCache) -> Result<(), TsdbError> {
        self.current = None;
        if u64::from(self.next) < self.block.meta.series {
            let series = self.block.series(self.next, cache)?;
            self.current = Some((self.block.labels(&series)?, series));
            self.next += 1;
        }
        Ok(())
    }
}

/// A series in one of the inputs.
struct Source<'a> {
    block: &'a Block,
    deleted: &'a Deleted,
    series: &'a SeriesAt,
    /// The number of the series in the block.
    number: u32,
    /// The place of the block among the inputs.
    input: usize,
}

impl Shared {
    /// Does the next merge, if one is due, and tells whether there was one. Blocks whose merge fails are left as they are for a
    /// while, those that would be too large together from then on, so that they do not hold up the others.
    pub(super) fn compact(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        now_ms: i64,
    ) -> Result<bool, TsdbError> {
        let Some(compaction) = plan_compaction(&manifest.blocks, now_ms, &self.left_alone()) else {
            return Ok(false);
        };
        let error = match self.merge(manifest, &compaction) {
            Ok(()) => return Ok(true),
            Err(TsdbError::Closed) => return Err(TsdbError::Closed),
            // It is put aside before the next plan, which does without it.
            Err(TsdbError::Corrupt { .. }) if !self.damaged_blocks.lock().is_empty() => {
                return Ok(true);
            }
            Err(error) => error,
        };
        let names: Vec<String> = compaction.inputs.iter().map(BlockMeta::file_name).collect();
        tracing::error!(%error, blocks = ?names, "blocks cannot be merged and stay apart");
        let is_too_large = matches!(error, TsdbError::TooLarge { .. });
        let until_ms = if is_too_large {
            i64::MAX
        } else {
            self.clock.monotonic_ms().saturating_add(RETRY_MS)
        };
        self.unmergeable.lock().extend(names.into_iter().map(|name| (name, until_ms)));
        if !is_too_large {
            return Err(error);
        }
        self.counters.maintenance_failures.add(1);
        Ok(true)
    }

    /// The files of blocks that are not merged now, since that failed.
    fn left_alone(&self) -> BTreeSet<String> {
        let now_ms = self.clock.monotonic_ms();
        let mut unmergeable = self.unmergeable.lock();
        unmergeable.retain(|_, until_ms| now_ms < *until_ms);
        unmergeable.keys().cloned().collect()
    }

    /// Merges blocks and replaces them by the result.
    /// A block some of whose chunks are damaged is merged without them, and its file stays in quarantine. What tombstones hide
    /// is left out; one block alone is written anew without it.
    pub(super) fn merge(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        compaction: &Compaction,
    ) -> Result<(), TsdbError> {
        let inputs = &compaction.inputs;
        let (first, last) = (&inputs[0], &inputs[inputs.len() - 1]);
        let view = self.view.load_full();
        let blocks: Vec<Arc<Block>> = inputs
            .iter()
            .filter_map(|meta| view.blocks.iter().find(|block| block.meta == *meta).cloned())
            .collect();
        if blocks.len() < inputs.len() {
            // One was found damaged since; it is put aside before the next plan.
            return Ok(());
        }
        let heads = (first.first_head, last.last_head);
        let sequence = manifest.next_sequence;
        // A head may be written during the merge, and takes the next number.
        manifest.next_sequence += 1;
        let (dir, partition, effort) = (&self.folders.blocks, first.partition, compaction.effort);
        let mut writer = BlockWriter::create(&*self.disk, dir, partition, heads, sequence, effort)?;
        let mut damaged = vec![false; blocks.len()];
        self.merge_series(manifest, &blocks, effort, &mut writer, &mut damaged)?;
        let new = writer.finish(&mut || {
            self.check_stopping()?;
            self.write_cut_head(manifest)
        })?;
        let kept: Vec<String> = blocks
            .iter()
            .zip(damaged)
            .filter(|(_, damaged)| *damaged)
            .map(|(block, _)| block.meta.file_name())
            .collect();
        self.counters.quarantined.add(kept.len() as u64);
        self.replace(manifest, inputs, new.into_iter().collect(), &kept, |_| {})?;
        self.counters.compactions.add(1);
        Ok(())
    }

    fn merge_series(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        blocks: &[Arc<Block>],
        effort: Effort,
        writer: &mut BlockWriter<'_>,
        damaged: &mut [bool],
    ) -> Result<(), TsdbError> {
        let cache = PageCache::new(CACHE_BYTES);
        let mut recent = Recent::default();
        // A deletion waits for the manifest, so there is none while this runs.
        let tombstones = manifest.tombstones.clone();
        let told = |block: &Arc<Block>, error: TsdbError| {
            if matches!(error, TsdbError::Corrupt { .. }) {
                self.report_damage(block, &error);
            }
            error
        };
        let mut inputs = Vec::with_capacity(blocks.len());
        for block in blocks {
            let input = Input::start(Arc::clone(block), &tombstones, &cache);
            inputs.push(input.map_err(|error| told(block, error))?);
        }
        loop {
            self.check_stopping()?;
            // A merge may take long, and the head that is written to must not grow for want of another.
            self.write_cut_head(manifest)?;
            let least = inputs.iter().filter_map(|input| Some(&input.current.as_ref()?.0)).min();
            let Some(labels) = least.cloned() else {
                return Ok(());
            };
            let with_labels: Vec<usize> = (0..inputs.len())
                .filter(|&at| inputs[at].current.as_ref().is_some_and(|own| own.0 == labels))
                .collect();
            let mut series = MergedSeries {
                cache: &cache,
                recent: &mut recent,
                chunks: Vec::new(),
                damaged_chunks: 0,
            };
            let sources: Vec<Source<'_>> =
                with_labels.iter().filter_map(|&at| inputs[at].source(at)).collect();
            let is_whole = sources.iter().all(|source| !source.deleted.concerns(source.number));
            if effort == Effort::Fast && is_whole && follow_one_another(&sources) {
                series.append_chunks(&sources, damaged)?;
            } else {
                series.merge_samples(&sources, damaged)?;
            }
            self.counters.damaged_chunks.add(series.damaged_chunks);
            writer.add_chunks(&labels, series.chunks)?;
            for at in with_labels {
                let input = &mut inputs[at];
                input.advance(&cache).map_err(|error| told(&input.block, error))?;
            }
        }
    }
}

/// Whether each chunk of a series is later than all before, in the order of writing.
fn follow_one_another(sources: &[Source<'_>]) -> bool {
    sources
        .iter()
        .flat_map(|source| source.series.chunks())
        .is_sorted_by(|a, b| a.range.end_ms < b.range.start_ms)
}

/// One series while its chunks in several blocks become one list.
struct MergedSeries<'a> {
    cache: &'a PageCache,
    recent: &'a mut Recent,
    chunks: Vec<Chunk>,
    damaged_chunks: u64,
}

impl MergedSeries<'_> {
    /// Takes chunks that follow one another as they are, and joins those that are short.
    fn append_chunks(
        &mut self,
        sources: &[Source<'_>],
        damaged: &mut [bool],
    ) -> Result<(), TsdbError> {
        let mut short = ColumnsRead::default();
        for source in sources {
            for (at, chunk) in source.series.chunks().enumerate() {
                let (block, len) = (source.block, short.times.len());
                let done = if chunk.len < COPIED_LEN {
                    let (cache, recent) = (self.cache, &mut *self.recent);
                    block.read_chunk(source.series, at, TimeRange::ALL, cache, recent, &mut short)
                } else {
                    self.end_short(&mut short);
                    block
                        .copy_chunk(source.series, at, self.cache)
                        .map(|chunk| self.chunks.push(chunk))
                };
                match done {
                    Ok(()) => {}
                    Err(error @ TsdbError::Corrupt { .. }) => {
                        tracing::warn!(%error, "a chunk is left out of a merge");
                        short.times.truncate(len);
                        short.values.truncate(len);
                        self.damaged_chunks += 1;
                        damaged[source.input] = true;
                    }
                    Err(error) => return Err(error),
                }
                if short.times.len() >= JOINED_LEN {
                    self.end_short(&mut short);
                }
            }
        }
        self.end_short(&mut short);
        Ok(())
    }

    fn end_short(&mut self, short: &mut ColumnsRead) {
        if !short.times.is_empty() {
            let ColumnsRead { times, values, .. } = std::mem::take(short);
            self.chunks.push(Chunk::Samples { times, values });
        }
    }

    /// Decodes all samples; of two at one time the one written later holds.
    fn merge_samples(
        &mut self,
        sources: &[Source<'_>],
        damaged: &mut [bool],
    ) -> Result<(), TsdbError> {
        let mut merged = ColumnsRead::default();
        for source in sources {
            let (cache, recent) = (self.cache, &mut *self.recent);
            let mut read = source.block.columns(source.series, TimeRange::ALL, cache, recent)?;
            source.deleted.take_out(source.number, &mut read);
            damaged[source.input] |= read.damaged_chunks > 0;
            self.damaged_chunks += read.damaged_chunks;
            append_newer_columns(&mut merged, read);
        }
        self.end_short(&mut merged);
        Ok(())
    }
}

/// Adds samples that were written after those that are there; of two at one time the added one holds.
pub(super) fn append_newer_columns(merged: &mut ColumnsRead, newer: ColumnsRead) {
    let overlaps = merged.times.last().zip(newer.times.first()).is_some_and(|(a, b)| b <= a);
    if overlaps {
        let samples = |columns: &mut ColumnsRead| -> Vec<(i64, f64)> {
            columns.times.drain(..).zip(columns.values.drain(..)).collect()
        };
        let (mut all, mut newer) = (samples(merged), newer);
        append_newer(&mut all, samples(&mut newer));
        (merged.times, merged.values) = all.into_iter().unzip();
    } else if merged.times.is_empty() {
        *merged = newer;
    } else {
        merged.times.extend(newer.times);
        merged.values.extend(newer.values);
    }
}

fn append_newer(samples: &mut Vec<(i64, f64)>, newer: Vec<(i64, f64)>) {
    if samples.is_empty() {
        *samples = newer;
        return;
    }
    let overlaps = samples.last().zip(newer.first()).is_some_and(|(last, first)| first.0 <= last.0);
    samples.extend(newer);
    if overlaps {
        sort_last_wins(samples);
    }
}

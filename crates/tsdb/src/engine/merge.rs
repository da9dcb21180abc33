//! Merges blocks of one partition into one, series by series.

use std::sync::Arc;

use muster_series::{Labels, TimeRange};
use parking_lot::MutexGuard;

use super::Shared;
use super::tombstones::Deleted;
use crate::TsdbError;
use crate::block::{Block, BlockMeta, BlockWriter, PageCache, SeriesAt};
use crate::head::sort_last_wins;
use crate::manifest::Manifest;
use crate::tombstone::Tombstone;

/// Room for decoded pages while blocks are merged, so that merging does not empty the readers' cache.
const CACHE_BYTES: usize = 32 << 20;

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

impl Shared {
    /// Merges blocks that are adjacent in the order of their heads, oldest first, and replaces them by the result.
    /// A block some of whose chunks are damaged is merged without them, and its file stays in quarantine. What tombstones hide
    /// is left out; one block alone is written anew without it.
    pub(super) fn merge(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        inputs: &[BlockMeta],
    ) -> Result<(), TsdbError> {
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
        let folder = &self.folders.blocks;
        let mut writer =
            BlockWriter::create(&*self.disk, folder, first.partition, heads, sequence)?;
        let mut damaged = vec![false; blocks.len()];
        self.merge_series(&blocks, &manifest.tombstones, &mut writer, &mut damaged)?;
        let new = writer.finish(&mut || self.check_stopping())?;
        let kept: Vec<String> = blocks
            .iter()
            .zip(damaged)
            .filter(|(_, damaged)| *damaged)
            .map(|(block, _)| block.meta.file_name())
            .collect();
        self.counters.quarantined.add(kept.len() as u64);
        self.replace(manifest, inputs, new.into_iter().collect(), &kept, |manifest| {
            manifest.next_sequence = sequence + 1;
        })?;
        self.counters.compactions.add(1);
        Ok(())
    }

    fn merge_series(
        &self,
        blocks: &[Arc<Block>],
        tombstones: &[Tombstone],
        writer: &mut BlockWriter<'_>,
        damaged: &mut [bool],
    ) -> Result<(), TsdbError> {
        let cache = PageCache::new(CACHE_BYTES);
        let told = |block: &Arc<Block>, error: TsdbError| {
            if matches!(error, TsdbError::Corrupt { .. }) {
                self.report_damage(block, &error);
            }
            error
        };
        let mut inputs = Vec::with_capacity(blocks.len());
        for block in blocks {
            let input = Input::start(Arc::clone(block), tombstones, &cache);
            inputs.push(input.map_err(|error| told(block, error))?);
        }
        loop {
            self.check_stopping()?;
            let least = inputs.iter().filter_map(|input| Some(&input.current.as_ref()?.0)).min();
            let Some(labels) = least.cloned() else {
                return Ok(());
            };
            let mut samples = Vec::new();
            for (input, damaged) in inputs.iter_mut().zip(damaged.iter_mut()) {
                let Some((own, series)) = &input.current else {
                    continue;
                };
                if *own != labels {
                    continue;
                }
                let mut read = input.block.samples(series, TimeRange::ALL, &cache)?;
                input.deleted.take_out(input.next - 1, &mut read.samples);
                *damaged |= read.damaged_chunks > 0;
                self.counters.damaged_chunks.add(read.damaged_chunks);
                append_newer(&mut samples, read.samples);
                input.advance(&cache).map_err(|error| told(&input.block, error))?;
            }
            writer.add(&labels, &samples)?;
        }
    }
}

/// Adds samples that were written after those that are there; of two at one time the added one holds.
pub(super) fn append_newer(samples: &mut Vec<(i64, f64)>, newer: Vec<(i64, f64)>) {
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

//! Deletion by matcher: hidden at once by a tombstone, and later written out of the blocks.
//!
//! 1. All samples so far are written into blocks; then a tombstone goes into the manifest, and with it into the view. From there
//!    on every answer leaves out what it hides, and so does every merge.
//! 2. After a while each block that holds something of it is written anew without it.
//! 3. When no block does, and the files of the old ones are gone for good, the tombstone goes.

use std::sync::atomic::Ordering;

use muster_series::{Matcher, TimeRange};
use parking_lot::MutexGuard;
use roaring::RoaringBitmap;

use super::inventory::has_extension;
use super::{Shared, View};
use crate::TsdbError;
use crate::block::{Block, BlockMeta, ColumnsRead, PageCache};
use crate::index::resolve::Selection;
use crate::index::scans::ScanCache;
use crate::manifest::Manifest;
use crate::plan::{Compaction, cleaning_is_due};
use crate::tombstone::Tombstone;

/// With more tombstones than this every query would be slow: blocks are written anew at once.
const MOST_TOMBSTONES: usize = 200;
/// How long after a failure blocks are not written anew by themselves, in milliseconds.
pub(super) const RETRY_MS: i64 = 600_000;

/// What of one block is deleted.
pub(super) struct Deleted(Vec<(RoaringBitmap, TimeRange)>);

impl Deleted {
    /// What the tombstones hide of a block; nothing is read where none concerns it.
    pub(super) fn of(
        block: &Block,
        tombstones: &[Tombstone],
        cache: &PageCache,
    ) -> Result<Self, TsdbError> {
        let mut parts = Vec::new();
        for tombstone in tombstones.iter().filter(|tombstone| tombstone.concerns(&block.meta)) {
            let selection = Selection::new(&tombstone.matchers);
            let series = selection.find(&block.index(cache), &ScanCache::new(0))?;
            if !series.is_empty() {
                parts.push((series, tombstone.range));
            }
        }
        Ok(Self(parts))
    }

    /// Whether one deletion hides all of a range of a series.
    pub(super) fn hides(&self, series: u32, range: TimeRange) -> bool {
        self.0.iter().any(|(hidden, own)| covers(*own, range) && hidden.contains(series))
    }

    /// The series of which one deletion hides all of a range.
    pub(super) fn hidden_in(&self, range: TimeRange) -> RoaringBitmap {
        let mut union = RoaringBitmap::new();
        for (hidden, _) in self.0.iter().filter(|(_, own)| covers(*own, range)) {
            union |= hidden;
        }
        union
    }

    /// Whether something of a series is deleted.
    pub(super) fn concerns(&self, series: u32) -> bool {
        self.0.iter().any(|(hidden, _)| hidden.contains(series))
    }

    /// Takes the deleted samples of a series out.
    pub(super) fn take_out(&self, series: u32, columns: &mut ColumnsRead) {
        for (hidden, range) in &self.0 {
            if !hidden.contains(series) {
                continue;
            }
            // Times rise, so what is deleted is one stretch.
            let start = columns.times.partition_point(|&time| time < range.start_ms);
            let end = columns.times.partition_point(|&time| time <= range.end_ms);
            columns.times.drain(start..end.max(start));
            columns.values.drain(start..end.max(start));
        }
    }

    /// Whether the block has a chunk with a sample that may be hidden.
    fn touches(&self, block: &Block, cache: &PageCache) -> Result<bool, TsdbError> {
        for (hidden, range) in &self.0 {
            if covers(*range, block.meta.range) {
                return Ok(true);
            }
            for number in hidden {
                if block.series(number, cache)?.has_chunk(|own| own.overlaps(range)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn covers(outer: TimeRange, inner: TimeRange) -> bool {
    outer.start_ms <= inner.start_ms && inner.end_ms <= outer.end_ms
}

impl Shared {
    /// Hides what is in blocks now; whoever calls this has written everything else into blocks before.
    pub(super) fn add_tombstones(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<(), TsdbError> {
        let mut manifest = self.manifest.lock();
        if manifest.tombstones.len() + matcher_sets.len() > MOST_TOMBSTONES {
            // What cannot be cleaned stays hidden, and is no reason to refuse this.
            if let Err(error) = self.clean(&mut manifest) {
                tracing::warn!(%error, "deleted samples stay on the disk, hidden");
            }
        }
        let created_ms = self.clock.now_ms();
        let sequence = manifest.next_sequence;
        let mut tombstones = manifest.tombstones.clone();
        tombstones.extend(matcher_sets.iter().map(|matchers| Tombstone {
            sequence,
            created_ms,
            range,
            matchers: matchers.clone(),
        }));
        self.set_tombstones(&mut manifest, tombstones, sequence + 1)
    }

    fn set_tombstones(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        tombstones: Vec<Tombstone>,
        next_sequence: u64,
    ) -> Result<(), TsdbError> {
        let next = Manifest { next_sequence, tombstones, ..Manifest::clone(manifest) };
        next.store(&*self.disk, &self.folders.root)?;
        **manifest = next;
        self.view.rcu(|view| View {
            tombstones: manifest.tombstones.clone().into(),
            ..View::clone(view)
        });
        Ok(())
    }

    /// Cleans when a tombstone has waited long enough, and the last try is long enough ago.
    pub(super) fn clean_if_due(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        now_ms: i64,
    ) -> Result<(), TsdbError> {
        let not_before = self.clean_not_before_ms.load(Ordering::Relaxed);
        if !cleaning_is_due(&manifest.tombstones, now_ms) || self.clock.monotonic_ms() < not_before
        {
            return Ok(());
        }
        self.clean(manifest)
    }

    /// Writes every block anew that holds deleted samples; then drops the tombstones. What fails is told and stays hidden.
    pub(super) fn clean(&self, manifest: &mut MutexGuard<'_, Manifest>) -> Result<(), TsdbError> {
        if manifest.tombstones.is_empty() {
            return Ok(());
        }
        let mut last_failure = None;
        for meta in manifest.blocks.clone() {
            match self.clean_block(manifest, &meta) {
                Ok(()) => {}
                Err(TsdbError::Closed) => return Err(TsdbError::Closed),
                Err(error) => {
                    let block = meta.file_name();
                    tracing::error!(block, %error, "deleted samples stay in a block, hidden, and it is tried again");
                    last_failure = Some(error);
                }
            }
        }
        self.set_damaged_aside(manifest)?;
        let done = match last_failure {
            None => self.forget_tombstones(manifest),
            Some(error) => Err(error),
        };
        if done.is_err() {
            let retry_ms = self.clock.monotonic_ms().saturating_add(RETRY_MS);
            self.clean_not_before_ms.store(retry_ms, Ordering::Relaxed);
        }
        done
    }

    fn clean_block(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        meta: &BlockMeta,
    ) -> Result<(), TsdbError> {
        let view = self.view.load_full();
        let Some(block) = view.blocks.iter().find(|block| block.meta == *meta) else {
            // It is damaged and on its way out of the manifest.
            return Ok(());
        };
        let deleted = Deleted::of(block, &manifest.tombstones, &self.cache);
        match deleted.and_then(|deleted| deleted.touches(block, &self.cache)) {
            Ok(true) => self.merge(manifest, &Compaction::again(meta)),
            Ok(false) => Ok(()),
            Err(error) => {
                if matches!(error, TsdbError::Corrupt { .. }) {
                    self.report_damage(block, &error);
                }
                Err(error)
            }
        }
    }

    /// Drops all tombstones, unless a file is left that no manifest names: the next start would serve it.
    fn forget_tombstones(&self, manifest: &mut MutexGuard<'_, Manifest>) -> Result<(), TsdbError> {
        let folder = &self.folders.blocks;
        let failed = |error| TsdbError::io("list", folder, error);
        self.disk.sync_dir(folder).map_err(failed)?;
        let named: Vec<String> = manifest.blocks.iter().map(BlockMeta::file_name).collect();
        let files = self.disk.list(folder).map_err(failed)?;
        let is_left = |name: &String| has_extension(name, "blk") && !named.contains(name);
        if let Some(left) = files.iter().find(|file| is_left(&file.name)) {
            let path = folder.join(&left.name);
            let reason = "a file of the store that is of no use is still there";
            return Err(TsdbError::io("remove", &path, std::io::Error::other(reason)));
        }
        let next_sequence = manifest.next_sequence;
        self.set_tombstones(manifest, Vec::new(), next_sequence)
    }
}

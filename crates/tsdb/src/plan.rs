//! What is to be done in the background, decided without doing it.

use std::collections::BTreeSet;

use muster_series::TimeRange;

use crate::Options;
use crate::block::{BlockMeta, partition_range, partition_start};
use crate::codec::column::Effort;
use crate::tombstone::Tombstone;

/// So long after its end a partition is taken to be complete but for late samples.
const SETTLE_MS: i64 = 3_600_000;
/// So many blocks of one size are merged while their partition grows: a sample is written again once for each power of it.
const FAN_IN: usize = 8;
/// Most blocks merged at a time, so that the merge needs little memory.
const MAX_INPUTS: usize = 32;
/// Blocks are of one size when no one is larger than so many times one that is small among them.
const ALIKE: u64 = 4;
/// Late blocks are merged into the settled ones when they are at least this part of them.
const SMALLEST_SHARE: u64 = 4;
/// So long after a deletion blocks are written anew: several deletions in a row are one rewriting.
const CLEAN_AFTER_MS: u64 = 600_000;
/// A block is read again so long after it was read last.
const SCRUB_MS: i64 = 7 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Samples so far from all others may be of a clock that was wrong.
const ISLAND_GAP_MS: i64 = 7 * DAY_MS;

/// A head whose series have fewer bytes than this each is too thin for a block, unless it is old.
const HEAD_BYTES_PER_SERIES: usize = 48;

/// Whether a head of so many bytes and series is to become a block, whatever its age.
pub(crate) fn head_is_full(bytes: usize, series: usize, options: &Options) -> bool {
    bytes >= options.head_bytes.max(series.saturating_mul(HEAD_BYTES_PER_SERIES))
}

/// Whether a head of such an age is to become a block, whatever its size.
pub(crate) fn head_is_old(age_ms: i64, options: &Options) -> bool {
    age_ms >= options.head_window_ms
}

/// Blocks to be merged into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compaction {
    /// All of one partition and adjacent in the order of their heads, oldest first; at least one.
    pub(crate) inputs: Vec<BlockMeta>,
    pub(crate) effort: Effort,
}

impl Compaction {
    /// One block that is written anew as it is, but for what was deleted or is damaged.
    pub(crate) fn again(block: &BlockMeta) -> Self {
        let effort = if block.settled { Effort::Small } else { Effort::Fast };
        Self { inputs: vec![block.clone()], effort }
    }
}

/// The blocks to merge next; none if nothing is worth the writing. Blocks named in `unmergeable` stay as they are.
///
/// 1. While a partition grows, blocks of about one size are merged as soon as there are [`FAN_IN`] of them.
/// 2. When it is settled, all its blocks become one that is small, even if there is but one.
/// 3. Blocks that come later grow among themselves, until they are worth it to write the settled one again.
///
/// So a sample is written three times in most cases: from the head, once on the way, and when its partition is settled.
pub(crate) fn plan_compaction(
    blocks: &[BlockMeta],
    now_ms: i64,
    unmergeable: &BTreeSet<String>,
) -> Option<Compaction> {
    let mut sorted: Vec<&BlockMeta> = blocks.iter().collect();
    sorted.sort_unstable_by_key(|block| (block.partition, block.first_head));
    sorted.chunk_by(|a, b| a.partition == b.partition).find_map(|partition| {
        let end_ms = partition_range(partition[0].partition).end_ms;
        let is_settled = end_ms.saturating_add(SETTLE_MS) < now_ms;
        partition
            .split(|block| unmergeable.contains(&block.file_name()))
            .find_map(|run| if is_settled { settle(run) } else { grow(run) })
    })
}

fn compaction(inputs: &[&BlockMeta], effort: Effort) -> Compaction {
    Compaction { inputs: inputs.iter().map(|&block| block.clone()).collect(), effort }
}

fn settle(run: &[&BlockMeta]) -> Option<Compaction> {
    let late = run.iter().position(|block| !block.settled)?;
    let bytes = |blocks: &[&BlockMeta]| blocks.iter().map(|block| block.bytes).sum::<u64>();
    if bytes(&run[late..]).saturating_mul(SMALLEST_SHARE) < bytes(&run[..late]) {
        return grow(&run[late..]);
    }
    Some(if run.len() <= MAX_INPUTS {
        compaction(run, Effort::Small)
    } else {
        let end = run.len().min(late + MAX_INPUTS);
        compaction(&run[late..end], Effort::Fast)
    })
}

/// The longest run of the newest blocks that are of one size.
fn grow(run: &[&BlockMeta]) -> Option<Compaction> {
    let newest = (0..run.len()).map(|at| &run[at..]);
    let alike = newest.take_while(|blocks| blocks.len() >= FAN_IN).find(|blocks| are_alike(blocks));
    alike.map(|blocks| compaction(&blocks[..blocks.len().min(MAX_INPUTS)], Effort::Fast))
}

/// A few may be far smaller than the others: those of late samples.
fn are_alike(blocks: &[&BlockMeta]) -> bool {
    let mut sizes: Vec<u64> = blocks.iter().map(|block| block.bytes).collect();
    sizes.sort_unstable();
    sizes[sizes.len() / 4].saturating_mul(ALIKE) >= sizes[sizes.len() - 1]
}

/// Which of these series, given with when they were last seen, are to be forgotten: those not seen for so long that have no
/// samples in memory. Times are seconds of the clock that never jumps.
pub(crate) fn plan_forgetting(
    seen: impl Iterator<Item = (u32, u32)>,
    is_in_head: impl Fn(u32) -> bool,
    now_s: u32,
    forget_after_s: u32,
) -> Vec<u32> {
    let idle = seen.filter(|(_, seen_s)| now_s.saturating_sub(*seen_s) >= forget_after_s);
    idle.map(|(id, _)| id).filter(|&id| !is_in_head(id)).collect()
}

/// What retention asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RetentionPlan {
    /// These blocks hold nothing younger than the retention.
    Drop(Vec<BlockMeta>),
    /// The clock is so far ahead of the newest sample that can be trusted that nothing may be dropped by it.
    Doubt {
        /// The time of that sample.
        newest_ms: i64,
    },
}

/// What is too old to be kept.
pub(crate) fn plan_retention(
    blocks: &[BlockMeta],
    now_ms: i64,
    retention_ms: i64,
) -> RetentionPlan {
    let ranges: Vec<TimeRange> = blocks.iter().map(|block| block.range).collect();
    if let Some(newest_ms) = trusted_newest(ranges.clone())
        && newest_ms.saturating_add(DAY_MS) < now_ms
    {
        return RetentionPlan::Doubt { newest_ms };
    }
    let oldest_kept = oldest_kept(ranges, now_ms, retention_ms);
    let old = blocks.iter().filter(|block| block.range.end_ms < oldest_kept).cloned().collect();
    RetentionPlan::Drop(old)
}

/// The blocks that go so that blocks and log take no more than `most_bytes`: whole days, the oldest first, but never today or
/// the newest day.
pub(crate) fn plan_size_retention(
    blocks: &[BlockMeta],
    log_bytes: u64,
    most_bytes: u64,
    now_ms: i64,
) -> Vec<BlockMeta> {
    let Some(newest) = blocks.iter().map(|block| block.partition).max() else {
        return Vec::new();
    };
    let first_kept = newest.min(partition_start(now_ms));
    let mut sorted: Vec<&BlockMeta> = blocks.iter().collect();
    sorted.sort_unstable_by_key(|block| (block.partition, block.first_head));
    let mut bytes: u64 = blocks.iter().map(|block| block.bytes).sum::<u64>() + log_bytes;
    let mut dropped = Vec::new();
    for day in sorted.chunk_by(|a, b| a.partition == b.partition) {
        if bytes <= most_bytes || day[0].partition >= first_kept {
            break;
        }
        bytes -= day.iter().map(|block| block.bytes).sum::<u64>();
        dropped.extend(day.iter().map(|&block| block.clone()));
    }
    dropped
}

/// Which block is to be read again, so that each is about once a week; `checked_ms` says when each was last, where that is
/// known. Of those where it is not, one is chosen by the time of the start, so that starts in a row do not begin with the same.
pub(crate) fn plan_scrub(
    checked_ms: &[Option<i64>],
    opened_ms: i64,
    last_ms: i64,
    now_ms: i64,
) -> Option<usize> {
    let count = i64::try_from(checked_ms.len()).ok().filter(|&count| count > 0)?;
    if now_ms.saturating_sub(last_ms) < SCRUB_MS / count {
        return None;
    }
    let unknown: Vec<usize> =
        (0..checked_ms.len()).filter(|&at| checked_ms[at].is_none()).collect();
    if !unknown.is_empty() {
        let at = opened_ms.unsigned_abs() / 1000 % unknown.len() as u64;
        return Some(unknown[at as usize]);
    }
    let oldest = (0..checked_ms.len()).min_by_key(|&at| checked_ms[at])?;
    let age_ms = now_ms.saturating_sub(checked_ms[oldest]?);
    (age_ms >= SCRUB_MS).then_some(oldest)
}

/// Whether samples have been hidden for so long that blocks are to be written anew without them.
pub(crate) fn cleaning_is_due(tombstones: &[Tombstone], now_ms: i64) -> bool {
    tombstones.iter().any(|tombstone| now_ms.abs_diff(tombstone.created_ms) >= CLEAN_AFTER_MS)
}

/// The oldest instant within the retention, counted from the clock or from the newest sample that can be trusted, whatever is earlier.
pub(crate) fn oldest_kept(stored: Vec<TimeRange>, now_ms: i64, retention_ms: i64) -> i64 {
    trusted_newest(stored).map_or(now_ms, |newest| newest.min(now_ms)).saturating_sub(retention_ms)
}

/// The newest sample that a wrong clock cannot have made on its own, if there is a sample.
///
/// One start with a clock that is years ahead writes samples of its own that agree with it. So the stored ranges are seen as islands,
/// a week or more apart, and the last island counts that is a day long; the first, where none is.
fn trusted_newest(mut stored: Vec<TimeRange>) -> Option<i64> {
    stored.sort_unstable_by_key(|range| range.start_ms);
    let mut islands: Vec<TimeRange> = Vec::new();
    for range in stored {
        match islands.last_mut() {
            Some(last) if range.start_ms < last.end_ms.saturating_add(ISLAND_GAP_MS) => {
                last.end_ms = last.end_ms.max(range.end_ms);
            }
            _ => islands.push(range),
        }
    }
    let long = |island: &&TimeRange| island.end_ms.saturating_sub(island.start_ms) >= DAY_MS;
    islands.iter().rfind(long).or(islands.first()).map(|island| island.end_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::PARTITION_MS;

    /// A block of the first day or a later one.
    fn block(day: i64, head: u64, bytes: u64) -> BlockMeta {
        let partition = day * PARTITION_MS;
        let range = TimeRange::new(partition, partition + 1000);
        let (series, samples, settled) = (1, 1, false);
        let (first_head, last_head, sequence) = (head, head, head);
        BlockMeta {
            partition,
            first_head,
            last_head,
            sequence,
            range,
            series,
            samples,
            bytes,
            settled,
        }
    }

    fn blocks(settled: &[u64], others: &[u64]) -> Vec<BlockMeta> {
        let sizes = settled.iter().chain(others).zip(0..);
        sizes
            .map(|(&bytes, head)| BlockMeta {
                settled: (head as usize) < settled.len(),
                ..block(0, head, bytes)
            })
            .collect()
    }

    /// The places of the first and the last block that are merged.
    type Planned = Option<(u64, u64, Effort)>;

    fn planned(blocks: &[BlockMeta], now_ms: i64, unmergeable: &BTreeSet<String>) -> Planned {
        let plan = plan_compaction(blocks, now_ms, unmergeable)?;
        let heads: Vec<u64> = plan.inputs.iter().map(|block| block.first_head).collect();
        assert!(heads.is_sorted_by(|a, b| a + 1 == *b), "{heads:?}");
        Some((heads[0], heads[heads.len() - 1], plan.effort))
    }

    #[track_caller]
    fn check_growing(sizes: &[u64], expected: Option<(u64, u64)>) {
        let expected = expected.map(|(first, last)| (first, last, Effort::Fast));
        assert_eq!(planned(&blocks(&[], sizes), 0, &BTreeSet::new()), expected);
    }

    #[test]
    fn blocks_of_one_size_are_merged_while_their_partition_grows() {
        check_growing(&[10; 7], None);
        check_growing(&[10; 8], Some((0, 7)));
        check_growing(&[10, 12, 20, 10, 10, 10, 30, 10], Some((0, 7)));
        check_growing(&[80, 10, 10, 10, 10, 10, 10, 10], None);
        check_growing(&[80, 10, 10, 10, 10, 10, 10, 10, 10], Some((1, 8)));
        check_growing(&[80, 80, 80, 80, 80, 10, 10, 10], None);
        check_growing(&[80; 8], Some((0, 7)));
        // A block of a few late samples does not keep the others apart.
        check_growing(&[10, 10, 10, 1, 10, 10, 10, 10], Some((0, 7)));
        check_growing(&[10; 50], Some((0, 31)));
    }

    #[track_caller]
    fn check_settled(settled: &[u64], others: &[u64], expected: Planned) {
        let found = planned(&blocks(settled, others), 2 * PARTITION_MS, &BTreeSet::new());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_settled_partition_becomes_one_small_block() {
        check_settled(&[], &[10], Some((0, 0, Effort::Small)));
        check_settled(&[], &[80, 80, 10, 10, 1], Some((0, 4, Effort::Small)));
        check_settled(&[100], &[], None);
        check_settled(&[100], &[24], None);
        check_settled(&[100], &[25], Some((0, 1, Effort::Small)));
        // Late blocks grow by themselves.
        check_settled(&[1000], &[1; 7], None);
        check_settled(&[1000], &[1; 8], Some((1, 8, Effort::Fast)));
        check_settled(&[], &[10; 40], Some((0, 31, Effort::Fast)));
        check_settled(&[10], &[10; 40], Some((1, 32, Effort::Fast)));
    }

    /// Plays a day of heads of one size and counts how often a sample is written in a merge, at most and on average.
    #[track_caller]
    fn check_writes(heads: u64, most: u64, average: f64) {
        // The blocks, and for each the largest number of writes of a sample in it.
        let mut stored: Vec<(BlockMeta, u64)> = Vec::new();
        let mut written = 0;
        let mut merge_all = |stored: &mut Vec<(BlockMeta, u64)>, now_ms| loop {
            let metas: Vec<BlockMeta> = stored.iter().map(|(meta, _)| meta.clone()).collect();
            let Some(plan) = plan_compaction(&metas, now_ms, &BTreeSet::new()) else { return };
            let (first, last) = (&plan.inputs[0], &plan.inputs[plan.inputs.len() - 1]);
            let bytes = plan.inputs.iter().map(|input| input.bytes).sum();
            let merged = BlockMeta {
                last_head: last.last_head,
                bytes,
                settled: plan.effort == Effort::Small,
                ..first.clone()
            };
            written += bytes;
            let is_input = |meta: &BlockMeta| meta.overlaps_heads(&merged);
            let inputs = stored.iter().filter(|(meta, _)| is_input(meta));
            let writes = inputs.map(|(_, writes)| writes + 1).max().unwrap();
            stored.retain(|(meta, _)| !is_input(meta));
            stored.push((merged, writes));
        };
        for head in 0..heads {
            stored.push((block(0, head, 100), 0));
            merge_all(&mut stored, 0);
        }
        assert!(stored.len() < 22, "{} blocks", stored.len());
        merge_all(&mut stored, 2 * PARTITION_MS);
        assert_eq!(stored.len(), 1);
        let mean = written as f64 / (heads * 100) as f64;
        assert!(stored[0].1 <= most && mean <= average, "{} writes, mean {mean}", stored[0].1);
    }

    #[test]
    fn a_sample_is_merged_few_times() {
        check_writes(1, 1, 1.0);
        check_writes(48, 2, 2.0);
        check_writes(150, 3, 3.0);
        check_writes(500, 4, 3.5);
    }

    #[test]
    fn blocks_that_cannot_be_merged_hold_up_no_others() {
        let blocks = blocks(&[], &[10; 20]);
        let names = |heads: &[usize]| heads.iter().map(|&at| blocks[at].file_name()).collect();
        assert_eq!(planned(&blocks, 0, &names(&[5])), Some((6, 19, Effort::Fast)));
        assert_eq!(planned(&blocks, 0, &names(&[5, 12])), None);
        let settled = 2 * PARTITION_MS;
        assert_eq!(planned(&blocks, settled, &names(&[5])), Some((0, 4, Effort::Small)));
        assert_eq!(planned(&blocks[..1], settled, &names(&[0])), None);
    }

    #[test]
    fn partitions_are_not_mixed() {
        let blocks: Vec<BlockMeta> = (0..16).map(|day| block(day, day as u64, 10)).collect();
        assert_eq!(planned(&blocks, 0, &BTreeSet::new()), None);
        assert_eq!(planned(&blocks, i64::MAX, &BTreeSet::new()), Some((0, 0, Effort::Small)));
    }

    #[test]
    fn a_block_goes_when_its_newest_sample_is_too_old() {
        check_retention(&[0, 1], 1, DAY_MS - 1, Some(&[0]));
        check_retention(&[0, 1], 1, DAY_MS, Some(&[]));
    }

    /// Blocks of these days, each a second long; which are dropped a second into day `today`. None is a doubt.
    #[track_caller]
    fn check_retention(days: &[i64], today: i64, retention_ms: i64, expected: Option<&[i64]>) {
        let blocks: Vec<BlockMeta> = days.iter().map(|&day| block(day, 0, 1)).collect();
        let dropped = match plan_retention(&blocks, today * DAY_MS + 1000, retention_ms) {
            RetentionPlan::Drop(old) => Some(old),
            RetentionPlan::Doubt { .. } => None,
        };
        let dropped: Option<Vec<i64>> =
            dropped.map(|old| old.iter().map(|block| block.partition / DAY_MS).collect());
        assert_eq!(dropped.as_deref(), expected);
    }

    #[test]
    fn a_clock_that_is_far_ahead_drops_nothing_until_a_day_of_samples_agrees() {
        let retention = 10 * DAY_MS;
        check_retention(&[], 500, retention, Some(&[]));
        check_retention(&[0, 1, 2], 3, retention, Some(&[]));
        check_retention(&[0, 1, 2], 4, retention, None);
        check_retention(&[0, 1, 2], 500, retention, None);
        // What was written in the first hours under that clock proves nothing.
        check_retention(&[0, 1, 2, 500], 500, retention, None);
        check_retention(&[0, 1, 2, 500, 501], 501, retention, Some(&[0, 1, 2]));
        // And does no harm when the clock is right again.
        check_retention(&[0, 1, 2, 500], 2, retention, Some(&[]));
        check_retention(&[0, 1, 11, 12, 500], 12, retention, Some(&[0, 1]));
        // A store that runs for an hour every sixth day is dropped from.
        check_retention(&[0, 6, 12, 18], 18, retention, Some(&[0, 6]));
    }

    /// Blocks of these days and sizes, with a log of 5 bytes; which days go at noon of day 3.
    #[track_caller]
    fn check_size(blocks: &[(i64, u64)], most_bytes: u64, expected: &[i64]) {
        let blocks: Vec<BlockMeta> =
            blocks.iter().map(|&(day, bytes)| block(day, 0, bytes)).collect();
        let dropped = plan_size_retention(&blocks, 5, most_bytes, 3 * DAY_MS + DAY_MS / 2);
        let days: Vec<i64> = dropped.iter().map(|block| block.partition / DAY_MS).collect();
        assert_eq!(days, expected);
    }

    #[test]
    fn whole_days_go_for_size_but_never_today() {
        let days = [(2, 10), (1, 10), (0, 10), (1, 10), (3, 10)];
        check_size(&days, 55, &[]);
        check_size(&days, 54, &[0]);
        check_size(&days, 45, &[0]);
        check_size(&days, 44, &[0, 1, 1]);
        check_size(&days, 0, &[0, 1, 1, 2]);
        check_size(&[], 0, &[]);
        // A clock that is years ahead does not make the newest day an old one.
        check_size(&[(0, 10), (1, 10)], 0, &[0]);
    }

    #[track_caller]
    fn check_scrub(checked_days: &[Option<i64>], since_last: i64, expected: Option<usize>) {
        let now_ms = 100 * DAY_MS;
        let checked: Vec<Option<i64>> =
            checked_days.iter().map(|day| day.map(|day| day * DAY_MS)).collect();
        assert_eq!(plan_scrub(&checked, 4000, now_ms - since_last, now_ms), expected);
    }

    #[test]
    fn blocks_are_read_again_spread_over_a_week() {
        check_scrub(&[], 7 * DAY_MS, None);
        check_scrub(&[None], 7 * DAY_MS - 1, None);
        check_scrub(&[None], 7 * DAY_MS, Some(0));
        check_scrub(&[None; 7], DAY_MS - 1, None);
        check_scrub(&[None; 7], DAY_MS, Some(4));
        check_scrub(&[Some(1), None, Some(1), None], 2 * DAY_MS, Some(1));
        check_scrub(&[Some(93), Some(92), Some(99)], 7 * DAY_MS, Some(1));
        check_scrub(&[Some(94), Some(95)], 7 * DAY_MS, None);
    }

    #[test]
    fn samples_are_too_old_by_the_clock_or_the_trusted_sample_whatever_is_earlier() {
        let range = |day: i64| TimeRange::new(day * DAY_MS, day * DAY_MS);
        assert_eq!(oldest_kept(vec![], 50, 10), 40);
        assert_eq!(oldest_kept(vec![range(1)], 50, 10), 40);
        assert_eq!(oldest_kept(vec![range(0), range(1)], 500 * DAY_MS, 10), DAY_MS - 10);
    }

    #[test]
    fn a_series_is_forgotten_when_it_is_idle_and_not_in_memory() {
        let seen = [(1, 0), (2, 50), (3, 0), (4, 41), (5, 40), (6, 200)];
        let forgotten = plan_forgetting(seen.into_iter(), |id| id == 3, 100, 60);
        assert_eq!(forgotten, [1, 5]);
        assert_eq!(plan_forgetting(seen.into_iter(), |_| false, u32::MAX, u32::MAX), [1, 3]);
    }

    #[test]
    fn a_head_is_due_by_size_or_by_age() {
        let options = Options { head_bytes: 100, head_window_ms: 50, ..Options::default() };
        assert!(head_is_full(100, 2, &options) && head_is_full(480, 10, &options));
        assert!(!head_is_full(99, 1, &options) && !head_is_full(479, 10, &options));
        assert!(head_is_old(50, &options) && !head_is_old(49, &options));
    }
}

//! What is to be done in the background, decided without doing it.

use muster_series::TimeRange;

use crate::Options;
use crate::block::{BlockMeta, partition_range, partition_start};
use crate::tombstone::Tombstone;

/// So long after its end a partition is taken to be complete but for late samples.
const SETTLE_MS: i64 = 3_600_000;
/// Blocks that are merged at a time at least, while their partition still grows, and after.
const MERGE_GROWING: usize = 4;
const MERGE_SETTLED: usize = 2;
/// A block is only written again when what is merged into it is at least this part of it.
const SMALLEST_SHARE: u64 = 4;
/// So long after a deletion blocks are written anew: several deletions in a row are one rewriting.
const CLEAN_AFTER_MS: u64 = 600_000;
/// A block is read again so long after it was read last.
const SCRUB_MS: i64 = 7 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Samples so far from all others may be of a clock that was wrong.
const ISLAND_GAP_MS: i64 = 7 * DAY_MS;

/// Whether a head of so many bytes and such an age is to become a block.
pub(crate) fn head_is_due(bytes: usize, age_ms: i64, options: &Options) -> bool {
    bytes >= options.head_bytes || age_ms >= options.head_window_ms
}

/// The blocks to merge next, all of one partition and adjacent in the order of their heads; none if nothing
/// is worth the writing.
///
/// In each partition the longest run of the newest blocks is taken in which the oldest is not much larger than
/// the rest together: so a sample is written again a number of times that grows with the logarithm of the partition.
pub(crate) fn plan_compaction(blocks: &[BlockMeta], now_ms: i64) -> Vec<BlockMeta> {
    let mut sorted: Vec<&BlockMeta> = blocks.iter().collect();
    sorted.sort_unstable_by_key(|block| (block.partition, block.first_head));
    for partition in sorted.chunk_by(|a, b| a.partition == b.partition) {
        let end_ms = partition_range(partition[0].partition).end_ms;
        let settled = end_ms.saturating_add(SETTLE_MS) < now_ms;
        let least = if settled { MERGE_SETTLED } else { MERGE_GROWING };
        for (at, oldest) in partition.iter().enumerate() {
            let newer = &partition[at + 1..];
            let newer_bytes: u64 = newer.iter().map(|block| block.bytes).sum();
            if newer.len() + 1 >= least
                && newer_bytes.saturating_mul(SMALLEST_SHARE) >= oldest.bytes
            {
                return partition[at..].iter().map(|&block| block.clone()).collect();
            }
        }
    }
    Vec::new()
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
        let (series, samples) = (1, 1);
        BlockMeta {
            partition,
            first_head: head,
            last_head: head,
            sequence: head,
            range,
            series,
            samples,
            bytes,
        }
    }

    #[track_caller]
    fn check(sizes: &[u64], now_ms: i64, expected_heads: &[u64]) {
        let blocks: Vec<BlockMeta> =
            sizes.iter().enumerate().map(|(head, &bytes)| block(0, head as u64, bytes)).collect();
        let merged: Vec<u64> =
            plan_compaction(&blocks, now_ms).iter().map(|block| block.first_head).collect();
        assert_eq!(merged, expected_heads);
    }

    #[test]
    fn equals_are_merged_and_giants_left_alone() {
        check(&[10, 10, 10], 0, &[]);
        check(&[10, 10, 10, 10], 0, &[0, 1, 2, 3]);
        check(&[1000, 10, 10, 10, 10], 0, &[1, 2, 3, 4]);
        check(&[100, 10, 10, 10], 0, &[0, 1, 2, 3]);
        check(&[1000, 10], 2 * PARTITION_MS, &[]);
        check(&[30, 10], 2 * PARTITION_MS, &[0, 1]);
    }

    #[test]
    fn partitions_are_not_mixed() {
        let blocks = [block(0, 0, 10), block(1, 1, 10), block(2, 2, 10), block(3, 3, 10)];
        assert_eq!(plan_compaction(&blocks, i64::MAX), []);
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
    fn a_head_is_due_by_size_or_by_age() {
        let options = Options { head_bytes: 100, head_window_ms: 50, ..Options::default() };
        assert!(head_is_due(100, 0, &options) && head_is_due(0, 50, &options));
        assert!(!head_is_due(99, 49, &options));
    }
}

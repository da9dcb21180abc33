//! What is to be done in the background, decided without doing it.

use muster_series::TimeRange;

use crate::Options;
use crate::block::{BlockMeta, partition_range};

/// So long after its end a partition is taken to be complete but for late samples.
const SETTLE_MS: i64 = 3_600_000;
/// Blocks that are merged at a time at least, while their partition still grows, and after.
const MERGE_GROWING: usize = 4;
const MERGE_SETTLED: usize = 2;
/// A block is only written again when what is merged into it is at least this part of it.
const SMALLEST_SHARE: u64 = 4;
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
        BlockMeta { partition, first_head: head, last_head: head, range, series, samples, bytes }
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
        assert!(head_is_full(100, 2, &options) && head_is_full(480, 10, &options));
        assert!(!head_is_full(99, 1, &options) && !head_is_full(479, 10, &options));
        assert!(head_is_old(50, &options) && !head_is_old(49, &options));
    }
}

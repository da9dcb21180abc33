//! What is to be done in the background, decided without doing it.

use crate::Options;
use crate::block::{BlockMeta, partition_range};

/// So long after its end a partition is taken to be complete but for late samples.
const SETTLE_MS: i64 = 3_600_000;
/// Blocks that are merged at a time at least, while their partition still grows, and after.
const MERGE_GROWING: usize = 4;
const MERGE_SETTLED: usize = 2;
/// A block is only written again when what is merged into it is at least this part of it.
const SMALLEST_SHARE: u64 = 4;

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
        let least = if settled {
            MERGE_SETTLED
        } else {
            MERGE_GROWING
        };
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

/// The blocks that hold nothing younger than the retention.
pub(crate) fn plan_retention(
    blocks: &[BlockMeta],
    now_ms: i64,
    retention_ms: i64,
) -> Vec<BlockMeta> {
    let oldest_kept = now_ms.saturating_sub(retention_ms);
    blocks
        .iter()
        .filter(|block| block.range.end_ms < oldest_kept)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::PARTITION_MS;
    use muster_series::TimeRange;

    /// A block of the first day or a later one.
    fn block(day: i64, head: u64, bytes: u64) -> BlockMeta {
        let partition = day * PARTITION_MS;
        let range = TimeRange::new(partition, partition + 1000);
        let (series, samples) = (1, 1);
        BlockMeta {
            partition,
            first_head: head,
            last_head: head,
            range,
            series,
            samples,
            bytes,
        }
    }

    #[track_caller]
    fn check(sizes: &[u64], now_ms: i64, expected_heads: &[u64]) {
        let blocks: Vec<BlockMeta> = sizes
            .iter()
            .enumerate()
            .map(|(head, &bytes)| block(0, head as u64, bytes))
            .collect();
        let merged: Vec<u64> = plan_compaction(&blocks, now_ms)
            .iter()
            .map(|block| block.first_head)
            .collect();
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
        let blocks = [
            block(0, 0, 10),
            block(1, 1, 10),
            block(2, 2, 10),
            block(3, 3, 10),
        ];
        assert_eq!(plan_compaction(&blocks, i64::MAX), []);
    }

    #[test]
    fn a_block_goes_when_its_newest_sample_is_too_old() {
        let blocks = [block(0, 0, 10), block(1, 1, 10)];
        assert_eq!(
            plan_retention(&blocks, PARTITION_MS + 1001, PARTITION_MS),
            [block(0, 0, 10)]
        );
        assert_eq!(
            plan_retention(&blocks, PARTITION_MS + 1000, PARTITION_MS),
            []
        );
    }

    #[test]
    fn a_head_is_due_by_size_or_by_age() {
        let options = Options {
            head_bytes: 100,
            head_window_ms: 50,
            ..Options::default()
        };
        assert!(head_is_due(100, 0, &options) && head_is_due(0, 50, &options));
        assert!(!head_is_due(99, 49, &options));
    }
}

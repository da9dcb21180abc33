//! Immutable blocks: the samples of one day or a part of it, with the index to find them.
//!
//! A block is one file of pages, each with its checksum; the last of them is the table of contents.
//! Layout: docs/format/block.md and docs/format/index.md.

mod chunks;
mod known;
mod label_page;
#[cfg(test)]
mod measure;
mod open_pages;
mod page;
mod reader;
mod series_page;
#[cfg(test)]
mod shapes;
mod writer;

use muster_series::TimeRange;

use crate::codec::varint::{self, Malformed, Reader};

pub(crate) use chunks::{ColumnsRead, Recent};
pub(crate) use page::PageCache;
pub(crate) use reader::{Block, SeriesAt, SeriesGroup};
pub(crate) use writer::BlockWriter;

/// A block holds samples of one partition of time only, so blocks of different partitions never overlap.
pub(crate) const PARTITION_MS: i64 = 86_400_000;

/// The start of the partition that holds an instant.
pub(crate) fn partition_start(timestamp: i64) -> i64 {
    timestamp.saturating_sub(timestamp.rem_euclid(PARTITION_MS))
}

/// The instants of a partition.
pub(crate) fn partition_range(start: i64) -> TimeRange {
    TimeRange::new(start, start.saturating_add(PARTITION_MS - 1))
}

/// What a block is, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    /// Start of its partition, in milliseconds.
    pub(crate) partition: i64,
    /// The heads it was made of, by number, both included. Of two samples at one time the one from the later head holds.
    pub(crate) first_head: u64,
    pub(crate) last_head: u64,
    /// Its place among the blocks and tombstones of the store: those tombstones are carried out in it that have a lower number.
    pub(crate) sequence: u64,
    /// Its oldest and newest sample.
    pub(crate) range: TimeRange,
    pub(crate) series: u64,
    pub(crate) samples: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Whether it was written to be small, when its partition was complete but for late samples.
    pub(crate) settled: bool,
}

/// Some samples of one series on their way into a block.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// As many as one likes; times rise.
    Samples { times: Vec<i64>, values: Vec<f64> },
    /// A chunk of another block as it is there.
    Columns { range: TimeRange, len: u32, times: Vec<u8>, values: Vec<u8> },
}

impl BlockMeta {
    /// The block's file name, which no other block has.
    pub(crate) fn file_name(&self) -> String {
        format!("{}_{}-{}_{}.blk", self.partition, self.first_head, self.last_head, self.sequence)
    }

    /// Whether a head went into both blocks.
    pub(crate) fn overlaps_heads(&self, other: &Self) -> bool {
        self.partition == other.partition
            && self.first_head <= other.last_head
            && other.first_head <= self.last_head
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        varint::put_signed(out, self.partition);
        varint::put(out, self.first_head);
        varint::put(out, self.last_head);
        varint::put(out, self.sequence);
        varint::put_signed(out, self.range.start_ms);
        varint::put_signed(out, self.range.end_ms);
        varint::put(out, self.series);
        varint::put(out, self.samples);
        varint::put(out, self.bytes);
        out.push(u8::from(self.settled));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            partition: reader.signed()?,
            first_head: reader.varint()?,
            last_head: reader.varint()?,
            sequence: reader.varint()?,
            range: TimeRange::new(reader.signed()?, reader.signed()?),
            series: reader.varint()?,
            samples: reader.varint()?,
            bytes: reader.varint()?,
            settled: reader.byte()? != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_cover_all_time() {
        assert_eq!(partition_start(0), 0);
        assert_eq!(partition_start(-1), -PARTITION_MS);
        assert_eq!(partition_start(PARTITION_MS - 1), 0);
        assert!(partition_range(partition_start(i64::MAX)).contains(i64::MAX));
        assert!(partition_range(partition_start(i64::MIN)).contains(i64::MIN));
    }
}

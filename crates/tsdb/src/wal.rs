//! The write-ahead log: what was acknowledged is here until it is in a block.
//!
//! Segments stand alone: each names a series before its first sample, so deleting old segments needs no
//! checkpoint, and damage in one cannot make another unreadable. Layout: docs/format/wal.md.

mod record;
mod replay;
mod samples;
mod series_table;
mod writer;

pub(crate) use record::segment_header;
pub(crate) use replay::{Cut, ReplaySink, replay_segment};
pub(crate) use series_table::SeriesTable;
pub(crate) use writer::WalWriter;

/// First bytes of a segment (docs/format/wal.md, "Segment").
const MAGIC: [u8; 8] = *b"MUSTRWAL";
const VERSION: u32 = 2;
const SEGMENT_HEADER_LEN: u64 = 16;

/// First bytes of a record (docs/format/wal.md, "Record").
const RECORD_HEADER_LEN: u64 = 12;
/// Longest record, packed or not; a longer length is damage.
const MAX_RECORD_LEN: u64 = 64 << 20;

/// The file name of a segment; names sort as numbers do.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:012}.wal")
}

/// The number of a segment's file name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    (digits.len() == 12).then(|| digits.parse().ok())?
}

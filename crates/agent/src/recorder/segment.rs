//! A segment of the recorder: some minute of collections, readable by itself (docs/format/recorder.md).
//!
//! A record holds the groups of some seconds, packed and compressed together, and before them when each was taken and
//! whether the server gets it anyway; so what a segment has is known without unpacking it. Records build upon each
//! other. The first that is damaged ends what can be read of its segment.

use muster_series::Labels;
use muster_wire::{Group, RecordDecoder, RecordEncoder};

/// The first bytes of a segment.
pub(crate) const MAGIC: &[u8; 8] = b"MRECORD1";
/// Length and checksum before each record.
const HEADER_BYTES: usize = 8;
/// Time and flags of one group.
const MARK_BYTES: usize = 9;
const FLAG_SENT: u8 = 1;
/// What a segment takes beside its bytes and marks, about.
const OVERHEAD_BYTES: usize = 256;

/// A group of a record, as told before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) timestamp_ms: i64,
    /// Whether the server got it, or gets it by the queue.
    pub(crate) sent: bool,
}

/// A segment, open or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Counts up from segment to segment, and names its file.
    pub(crate) number: u64,
    /// What its file holds, or is to hold.
    pub(crate) bytes: Vec<u8>,
    /// The groups of all its records.
    pub(crate) marks: Vec<Mark>,
    /// When its first group came, by the monotonic clock; before its start for one of an earlier run.
    pub(crate) since_ms: i64,
    /// When its last group came.
    pub(crate) until_ms: i64,
    /// How many of the bytes the file has.
    pub(crate) written: usize,
    /// Whether writing it has failed, so that its file must not grow any more.
    pub(crate) unwritable: bool,
}

impl Segment {
    /// An empty segment.
    pub(crate) fn new(number: u64, now_ms: i64) -> Self {
        Self {
            number,
            bytes: MAGIC.to_vec(),
            marks: Vec::new(),
            since_ms: now_ms,
            until_ms: now_ms,
            written: 0,
            unwritable: false,
        }
    }

    /// What its file lacks and can get.
    pub(crate) fn unwritten(&self) -> Option<&[u8]> {
        let waits = !self.unwritable && self.written < self.bytes.len() && !self.marks.is_empty();
        waits.then(|| &self.bytes[self.written..])
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.marks.capacity() * size_of::<Mark>() + OVERHEAD_BYTES
    }
}

/// Fills a segment.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    encoder: RecordEncoder,
    /// The groups of the record that is not sealed yet.
    marks: Vec<Mark>,
    samples: usize,
    record_since_ms: i64,
}

impl SegmentWriter {
    /// For a segment that is empty.
    pub(crate) fn new(now_ms: i64) -> Self {
        Self {
            encoder: RecordEncoder::new(),
            marks: Vec::new(),
            samples: 0,
            record_since_ms: now_ms,
        }
    }

    /// Adds a group to the next record.
    pub(crate) fn add(
        &mut self,
        group: &Group,
        mark: Mark,
        labels_of: impl Fn(u32) -> Option<Labels>,
        now_ms: i64,
    ) {
        if self.marks.is_empty() {
            self.record_since_ms = now_ms;
        }
        self.encoder.append(group, labels_of);
        self.samples += group.samples.len();
        self.marks.push(mark);
    }

    /// When the first group of the next record came.
    pub(crate) fn record_since_ms(&self) -> i64 {
        self.record_since_ms
    }

    /// Samples of the next record.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// Ends the record, if it has groups.
    pub(crate) fn seal(&mut self, segment: &mut Segment) {
        if self.marks.is_empty() {
            return;
        }
        let mut body = (self.marks.len() as u16).to_le_bytes().to_vec();
        for mark in &self.marks {
            body.extend_from_slice(&mark.timestamp_ms.to_le_bytes());
            body.push(if mark.sent { FLAG_SENT } else { 0 });
        }
        body.extend_from_slice(&self.encoder.seal());
        segment.bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        segment.bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        segment.bytes.extend_from_slice(&body);
        segment.marks.append(&mut self.marks);
        self.samples = 0;
    }
}

/// What a record brings.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ReadRecord {
    /// Series whose places this record and later ones use: the next places, in order.
    pub(crate) new_series: Vec<Labels>,
    /// Groups whose samples bear the places of series.
    pub(crate) groups: Vec<Group>,
}

/// Reads a segment record by record.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    decoder: RecordDecoder,
    at: usize,
    /// A record may give a number to a second series, so each definition has a place of its own.
    places: Vec<u32>,
    defined: u32,
}

impl SegmentReader {
    /// At the start of a segment.
    pub(crate) fn new() -> Self {
        let (decoder, places) = (RecordDecoder::new(), Vec::new());
        Self { decoder, at: MAGIC.len(), places, defined: 0 }
    }

    /// The next record of these bytes, which are those of the segment in every call; none at the end and from the first
    /// damage on.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<ReadRecord> {
        let framed = next_framed(bytes, self.at)?;
        let record = self.decoder.decode(framed.record).ok()?;
        let mut read = ReadRecord { new_series: Vec::new(), groups: record.groups };
        for (number, labels) in record.new_series {
            self.places.resize(self.places.len().max(number as usize + 1), 0);
            self.places[number as usize] = self.defined;
            self.defined += 1;
            read.new_series.push(labels);
        }
        for sample in read.groups.iter_mut().flat_map(|group| &mut group.samples) {
            sample.0 = self.places[sample.0 as usize];
        }
        self.at = framed.end;
        Some(read)
    }
}

/// The marks of all whole records of a file, and where those end; none if it is no segment.
pub(crate) fn scan(bytes: &[u8]) -> Option<(Vec<Mark>, usize)> {
    bytes.strip_prefix(MAGIC)?;
    let (mut marks, mut at) = (Vec::new(), MAGIC.len());
    while let Some(framed) = next_framed(bytes, at) {
        marks.extend(framed.marks.chunks_exact(MARK_BYTES).filter_map(|mark| {
            let (time, flags) = mark.split_first_chunk()?;
            let sent = flags.first()? & FLAG_SENT != 0;
            Some(Mark { timestamp_ms: i64::from_le_bytes(*time), sent })
        }));
        at = framed.end;
    }
    Some((marks, at))
}

struct Framed<'a> {
    marks: &'a [u8],
    record: &'a [u8],
    end: usize,
}

/// The record at `at`, if it is whole.
fn next_framed(bytes: &[u8], at: usize) -> Option<Framed<'_>> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let body = rest.get(..length)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (count, rest) = body.split_first_chunk()?;
    let (marks, record) =
        rest.split_at_checked(usize::from(u16::from_le_bytes(*count)) * MARK_BYTES)?;
    Some(Framed { marks, record, end: at + HEADER_BYTES + length })
}

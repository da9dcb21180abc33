//! The flight recorder: every collection of the last minutes, whether it was sent or not.
//!
//! It is a ring of segments ([`segment`]), each some minute long and readable by itself, in memory and, byte for byte
//! the same, in files ([`disk`]). What happens is decided here without I/O: [`Recorder::record`] takes a collection,
//! [`Recorder::poll_write`] says what is to be written and removed, [`Recorder::recall`] asks for a time, and
//! [`Recorder::next_recalled`] hands its samples out piece by piece, so that they are never all in memory at once.
//! Times named `now_ms` are of the monotonic clock; a ring that went by the wall clock would be emptied by setting it.

pub(crate) mod disk;
mod segment;

use std::collections::VecDeque;

use muster_series::Labels;
use muster_wire::Group;

use segment::SegmentWriter;
pub(crate) use segment::{Mark, Segment, SegmentReader};

use crate::series_table::SeriesTable;

/// How far back the ring goes, unless it has not enough room.
pub(crate) const RING_MS: i64 = 600_000;
/// How long a segment is filled; the ring forgets by whole segments.
const SEGMENT_MS: i64 = 60_000;
/// How long groups wait for those that share their record: so much an agent that is killed may lose.
const RECORD_MS: i64 = 10_000;
/// Samples of one record, about: what is read at once takes 16 bytes for each.
const RECORD_SAMPLES: usize = 20_000;
/// A segment has at most this part of the ring's room, so that a ring that is short of it still has several.
const SEGMENT_SHARE: usize = 8;

/// What is to be done in the recorder's folder: files removed first, then bytes appended to one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Write {
    /// Segments whose files are to go, if they have any.
    pub(crate) remove: Vec<u64>,
    /// What is to be written.
    pub(crate) append: Option<Append>,
}

/// Bytes for the end of a segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Append {
    pub(crate) segment: u64,
    /// How many bytes the file has; with none it is to be made.
    pub(crate) at: usize,
    pub(crate) bytes: Vec<u8>,
}

/// What the recorder holds, for the agent's own metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) bytes: usize,
    /// From the first group to the last, in milliseconds of real time.
    pub(crate) span_ms: i64,
    /// Writes to the folder that failed.
    pub(crate) write_failures: u64,
}

/// A time that was asked for, and how far it was answered.
#[derive(Debug)]
struct Recall {
    from_ms: i64,
    to_ms: i64,
    /// The segment to look at next.
    segment: u64,
    reader: Option<Reading>,
}

/// A segment that is being handed out.
#[derive(Debug)]
struct Reading {
    reader: SegmentReader,
    /// The agent's numbers of the segment's series.
    numbers: Vec<u32>,
    marks_read: usize,
}

/// The ring in memory.
#[derive(Debug)]
pub(crate) struct Recorder {
    limit_bytes: usize,
    /// The oldest first; to the last one groups are added if there is a writer.
    segments: VecDeque<Segment>,
    writer: Option<SegmentWriter>,
    next_number: u64,
    /// Segments that the ring has forgotten and the folder may still have.
    forgotten: Vec<u64>,
    recall: Option<Recall>,
    write_failures: u64,
}

impl Recorder {
    /// A ring of about `limit_bytes`, with the segments that an earlier run has left, the oldest first.
    pub(crate) fn new(limit_bytes: usize, earlier: Vec<Segment>) -> Self {
        let next_number = earlier.last().map_or(1, |segment| segment.number + 1);
        Self {
            limit_bytes,
            segments: earlier.into(),
            writer: None,
            next_number,
            forgotten: Vec::new(),
            recall: None,
            write_failures: 0,
        }
    }

    /// Keeps a group; `sent` if the server gets it anyway. Its numbers are those of `labels_of`, which is asked once a
    /// series and segment.
    pub(crate) fn record(
        &mut self,
        group: &Group,
        sent: bool,
        labels_of: impl Fn(u32) -> Option<Labels>,
        now_ms: i64,
    ) {
        if self.segments.back().is_some_and(|segment| self.is_full(segment, now_ms)) {
            self.close_segment();
        }
        let writer = self.writer.get_or_insert_with(|| {
            self.segments.push_back(Segment::new(self.next_number, now_ms));
            self.next_number += 1;
            SegmentWriter::new(now_ms)
        });
        writer.add(group, Mark { timestamp_ms: group.timestamp_ms, sent }, labels_of, now_ms);
        if now_ms - writer.record_since_ms() >= RECORD_MS || writer.samples() >= RECORD_SAMPLES {
            self.seal();
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.until_ms = now_ms;
        }
        self.forget(now_ms);
    }

    fn is_full(&self, segment: &Segment, now_ms: i64) -> bool {
        now_ms - segment.since_ms >= SEGMENT_MS
            || segment.bytes.len() >= self.limit_bytes / SEGMENT_SHARE
    }

    fn close_segment(&mut self) {
        self.seal();
        self.writer = None;
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes.shrink_to_fit();
            segment.marks.shrink_to_fit();
        }
    }

    /// Ends the record to which groups are added, so that they can be written and read.
    fn seal(&mut self) {
        if let (Some(writer), Some(segment)) = (&mut self.writer, self.segments.back_mut()) {
            writer.seal(segment);
        }
    }

    /// Drops segments that are too old or too much.
    fn forget(&mut self, now_ms: i64) {
        while let Some(oldest) = self.segments.front()
            && self.segments.len() > 1
            && (now_ms - oldest.until_ms > RING_MS || self.bytes() > self.limit_bytes)
        {
            if oldest.written > 0 {
                self.forgotten.push(oldest.number);
            }
            self.segments.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        self.segments.iter().map(Segment::memory_bytes).sum()
    }

    /// What the ring holds now.
    pub(crate) fn held(&self, now_ms: i64) -> Held {
        let first_ms = self.segments.front().map_or(now_ms, |segment| segment.since_ms);
        let span_ms = (now_ms - first_ms).max(0);
        Held { bytes: self.bytes(), span_ms, write_failures: self.write_failures }
    }

    /// The next thing to do in the folder. Tell by [`Recorder::written`] what became of it before asking again.
    pub(crate) fn poll_write(&mut self) -> Option<Write> {
        let unwritten = self.segments.iter().find(|segment| segment.unwritten().is_some());
        let append = unwritten.and_then(|segment| {
            let bytes = segment.unwritten()?.to_vec();
            Some(Append { segment: segment.number, at: segment.written, bytes })
        });
        if append.is_none() && self.forgotten.is_empty() {
            return None;
        }
        Some(Write { remove: std::mem::take(&mut self.forgotten), append })
    }

    /// A write was done, or failed: then its segment is in memory only from there on, and the next one is tried. Tells
    /// whether this is the first failure.
    pub(crate) fn written(&mut self, segment: u64, bytes: usize, done: bool) -> bool {
        self.write_failures += u64::from(!done);
        if let Some(segment) = self.segments.iter_mut().find(|own| own.number == segment) {
            segment.written += bytes;
            segment.unwritable = !done;
        }
        !done && self.write_failures == 1
    }

    /// Lets everything that was recorded so far be written.
    pub(crate) fn finish(&mut self) {
        self.seal();
    }

    /// Asks for the groups of a time, both ends included, that are here and were not sent. A recall that is under way
    /// grows by it. Nothing is handed out twice.
    pub(crate) fn recall(&mut self, from_ms: i64, to_ms: i64) {
        self.seal();
        let wider = self.recall.take().map_or((from_ms, to_ms), |under_way| {
            (under_way.from_ms.min(from_ms), under_way.to_ms.max(to_ms))
        });
        let (from_ms, to_ms) = wider;
        self.recall = Some(Recall { from_ms, to_ms, segment: 0, reader: None });
    }

    /// Whether [`Recorder::next_recalled`] may have something.
    pub(crate) fn is_recalling(&self) -> bool {
        self.recall.is_some()
    }

    /// Some more of the groups that were asked for, by the numbers of `table`; none once all were handed out.
    pub(crate) fn next_recalled(&mut self, table: &mut SeriesTable) -> Option<Vec<Group>> {
        let mut recall = self.recall.take()?;
        while let Some(segment) = self.segments.iter_mut().find(|s| s.number >= recall.segment) {
            if segment.number > recall.segment {
                recall.segment = segment.number;
                recall.reader = None;
            }
            if let Some(groups) = recall.read(segment, table) {
                self.recall = Some(recall);
                return Some(groups);
            }
            recall.segment += 1;
            recall.reader = None;
        }
        None
    }
}

impl Recall {
    fn wants(&self, mark: &Mark) -> bool {
        !mark.sent && (self.from_ms..=self.to_ms).contains(&mark.timestamp_ms)
    }

    /// The wanted groups of the next record of a segment that has any; they count as sent from now on.
    fn read(&mut self, segment: &mut Segment, table: &mut SeriesTable) -> Option<Vec<Group>> {
        loop {
            let read = self.reader.as_ref().map_or(0, |reading| reading.marks_read);
            if !segment.marks[read..].iter().any(|mark| self.wants(mark)) {
                return None;
            }
            let mut reading = self.reader.take().unwrap_or_else(Reading::new);
            let record = reading.reader.next(&segment.bytes)?;
            reading.numbers.extend(record.new_series.into_iter().map(|l| table.number_of(l)));
            let mut wanted = Vec::new();
            for (mut group, mark) in record.groups.into_iter().zip(&mut segment.marks[read..]) {
                reading.marks_read += 1;
                if !self.wants(mark) {
                    continue;
                }
                mark.sent = true;
                for sample in &mut group.samples {
                    sample.0 = reading.numbers[sample.0 as usize];
                }
                wanted.push(group);
            }
            self.reader = Some(reading);
            if !wanted.is_empty() {
                return Some(wanted);
            }
        }
    }
}

impl Reading {
    fn new() -> Self {
        Self { reader: SegmentReader::new(), numbers: Vec::new(), marks_read: 0 }
    }
}

#[cfg(test)]
mod tests;

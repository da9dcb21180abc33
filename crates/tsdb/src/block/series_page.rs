//! A page of series: their labels, and where their chunks are (docs/format/index.md, "Series page").

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use muster_series::{Labels, TimeRange};

use super::page::{PageKind, PageRef};
use crate::codec::column::MAX_CHUNK_SAMPLES;
use crate::codec::varint::{self, Malformed, Reader};

/// Most series in a page.
pub(super) const SERIES_PER_PAGE: u32 = 256;

/// A page of columns that a page of series refers to by its place in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ColumnsRef {
    pub(super) at: PageRef,
    pub(super) kind: PageKind,
}

/// A column of timestamps, which series that are scraped together share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeline {
    pub(super) column: Place,
    pub(super) range: TimeRange,
    /// How many timestamps.
    pub(super) len: u32,
}

/// A column: the place of its page in the table, and its own place in that page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) page: u32,
    pub(super) slot: u32,
}

/// Some samples of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkRef {
    /// The place of its timestamps among the timelines.
    pub(super) timeline: u32,
    pub(super) values: Place,
}

/// A page of series, ready for use: label texts are shared within the page.
#[derive(Debug, Default)]
pub(super) struct SeriesPage {
    texts: String,
    /// Where each text ends.
    text_ends: Vec<u32>,
    pairs: Vec<(u32, u32)>,
    columns: Vec<ColumnsRef>,
    timelines: Vec<Timeline>,
    chunks: Vec<ChunkRef>,
    /// Where in `pairs` and in `chunks` each series ends.
    ends: Vec<(u32, u32)>,
    /// What is remembered of the registry's number of each series (`block/known.rs`); empty in a page that is being written.
    pub(super) known: Box<[AtomicU64]>,
}

impl SeriesPage {
    /// A page without series, whose chunks will refer to these columns.
    pub(super) fn new(columns: Vec<ColumnsRef>, timelines: Vec<Timeline>) -> Self {
        Self { columns, timelines, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn weight(&self) -> usize {
        self.texts.len()
            + self.text_ends.len() * 4
            + self.pairs.len() * 8
            + self.columns.len() * size_of::<ColumnsRef>()
            + self.timelines.len() * size_of::<Timeline>()
            + self.chunks.len() * size_of::<ChunkRef>()
            + self.ends.len() * 16
    }

    fn start(&self, at: usize) -> (u32, u32) {
        if at == 0 { (0, 0) } else { self.ends[at - 1] }
    }

    fn text(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.text_ends[number - 1] };
        &self.texts[start as usize..self.text_ends[number] as usize]
    }

    /// The label set of the series at a place below [`SeriesPage::len`].
    pub(super) fn labels(&self, at: usize) -> Result<Labels, Malformed> {
        Labels::from_sorted(self.label_pairs(at)).ok_or(Malformed)
    }

    /// Name and value of each label of that series.
    pub(super) fn label_pairs(
        &self,
        at: usize,
    ) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        let pairs = &self.pairs[self.start(at).0 as usize..self.ends[at].0 as usize];
        pairs.iter().map(|&(name, value)| (self.text(name), self.text(value)))
    }

    /// The chunks of the series at a place below [`SeriesPage::len`], oldest first.
    pub(super) fn chunks(&self, at: usize) -> &[ChunkRef] {
        &self.chunks[self.start(at).1 as usize..self.ends[at].1 as usize]
    }

    /// The timestamps of one of its chunks.
    pub(super) fn timeline(&self, chunk: &ChunkRef) -> &Timeline {
        &self.timelines[chunk.timeline as usize]
    }

    /// The page of a column of one of its chunks.
    pub(super) fn page_of(&self, place: Place) -> ColumnsRef {
        self.columns[place.page as usize]
    }

    /// The pages that hold its chunks' columns.
    pub(super) fn columns(&self) -> &[ColumnsRef] {
        &self.columns
    }

    /// Adds a series; the page becomes what [`SeriesPage::put`] writes.
    pub(super) fn push(
        &mut self,
        labels: &Labels,
        chunks: impl Iterator<Item = ChunkRef>,
        numbers: &mut HashMap<Box<str>, u32>,
    ) {
        for (name, value) in labels.iter() {
            let pair = (self.number(name, numbers), self.number(value, numbers));
            self.pairs.push(pair);
        }
        self.chunks.extend(chunks);
        self.ends.push((self.pairs.len() as u32, self.chunks.len() as u32));
    }

    fn number(&mut self, text: &str, numbers: &mut HashMap<Box<str>, u32>) -> u32 {
        if let Some(&number) = numbers.get(text) {
            return number;
        }
        let number = self.text_ends.len() as u32;
        self.texts.push_str(text);
        self.text_ends.push(self.texts.len() as u32);
        numbers.insert(text.into(), number);
        number
    }

    pub(super) fn put(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        varint::put(&mut raw, self.text_ends.len() as u64);
        for number in 0..self.text_ends.len() as u32 {
            varint::put_bytes(&mut raw, self.text(number).as_bytes());
        }
        self.put_columns(&mut raw);
        varint::put(&mut raw, self.len() as u64);
        for at in 0..self.len() {
            let (first_pair, first_chunk) = self.start(at);
            let (end_pair, end_chunk) = self.ends[at];
            varint::put(&mut raw, u64::from(end_pair - first_pair));
            varint::put(&mut raw, u64::from(end_chunk - first_chunk));
            for &(name, value) in &self.pairs[first_pair as usize..end_pair as usize] {
                varint::put(&mut raw, u64::from(name));
                varint::put(&mut raw, u64::from(value));
            }
        }
        let mut expected = Expected::new(&self.columns);
        for chunk in &self.chunks {
            expected.put_timeline(&mut raw, chunk.timeline);
            expected.put_place(&mut raw, chunk.values);
        }
        raw
    }

    fn put_columns(&self, raw: &mut Vec<u8>) {
        varint::put(raw, self.columns.len() as u64);
        let mut end = 0_u64;
        for columns in &self.columns {
            raw.push(columns.kind as u8);
            varint::put_signed(raw, columns.at.offset.wrapping_sub(end) as i64);
            varint::put(raw, u64::from(columns.at.len));
            end = columns.at.end();
        }
        varint::put(raw, self.timelines.len() as u64);
        let mut expected = Expected::new(&self.columns);
        let mut start_ms = 0_i64;
        for timeline in &self.timelines {
            let range = timeline.range;
            expected.put_place(raw, timeline.column);
            varint::put_signed(raw, range.start_ms.wrapping_sub(start_ms));
            varint::put_signed(raw, range.end_ms.wrapping_sub(range.start_ms));
            varint::put(raw, u64::from(timeline.len));
            start_ms = range.start_ms;
        }
    }

    pub(super) fn read(raw: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(raw);
        let mut page = Self::default();
        for _ in 0..reader.count()? {
            page.texts.push_str(reader.text()?);
            page.text_ends.push(page.texts.len() as u32);
        }
        page.read_columns(&mut reader)?;
        let texts = page.text_ends.len() as u32;
        let mut chunk_count = 0_u32;
        for _ in 0..reader.count()? {
            let pairs = reader.count()?;
            chunk_count = chunk_count.checked_add(reader.index()?).ok_or(Malformed)?;
            for _ in 0..pairs {
                let pair = (reader.index()?, reader.index()?);
                if pair.0 >= texts || pair.1 >= texts {
                    return Err(Malformed);
                }
                page.pairs.push(pair);
            }
            page.ends.push((page.pairs.len() as u32, chunk_count));
        }
        let mut expected = Expected::new(&page.columns);
        for _ in 0..chunk_count {
            let timeline = expected.read_timeline(&mut reader, page.timelines.len())?;
            let values = expected.read_place(&mut reader)?;
            page.chunks.push(ChunkRef { timeline, values });
        }
        page.known = (0..page.len()).map(|_| AtomicU64::new(0)).collect();
        if reader.is_empty() { Ok(page) } else { Err(Malformed) }
    }

    fn read_columns(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let mut end = 0_u64;
        for _ in 0..reader.count()? {
            let kind = match reader.byte()? {
                kind if kind == PageKind::Columns as u8 => PageKind::Columns,
                kind if kind == PageKind::PackedColumns as u8 => PageKind::PackedColumns,
                _ => return Err(Malformed),
            };
            let offset = end.wrapping_add(reader.signed()? as u64);
            let at = PageRef { offset, len: reader.index()? };
            self.columns.push(ColumnsRef { at, kind });
            end = at.end();
        }
        let mut expected = Expected::new(&self.columns);
        let mut start_ms = 0_i64;
        for _ in 0..reader.count()? {
            let column = expected.read_place(reader)?;
            start_ms = start_ms.wrapping_add(reader.signed()?);
            let end_ms = start_ms.wrapping_add(reader.signed()?);
            let len = reader.index()?;
            if len as usize > MAX_CHUNK_SAMPLES {
                return Err(Malformed);
            }
            self.timelines.push(Timeline { column, range: TimeRange::new(start_ms, end_ms), len });
        }
        Ok(())
    }
}

/// What most often comes next, so that what is written is mostly zeros: columns of a page follow one another, and so do timelines.
struct Expected {
    timeline: u32,
    page: u32,
    /// The slot after the last one of each page.
    slots: Vec<u32>,
}

impl Expected {
    fn new(columns: &[ColumnsRef]) -> Self {
        Self { timeline: 0, page: 0, slots: vec![0; columns.len()] }
    }

    fn put_timeline(&mut self, out: &mut Vec<u8>, timeline: u32) {
        varint::put_signed(out, i64::from(timeline) - i64::from(self.timeline));
        self.timeline = timeline.wrapping_add(1);
    }

    fn put_place(&mut self, out: &mut Vec<u8>, place: Place) {
        let slot = &mut self.slots[place.page as usize];
        varint::put_signed(out, i64::from(place.page) - i64::from(self.page));
        varint::put_signed(out, i64::from(place.slot) - i64::from(*slot));
        self.page = place.page;
        *slot = place.slot.wrapping_add(1);
    }

    fn read_timeline(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<u32, Malformed> {
        let timeline = moved(self.timeline, reader.signed()?)?;
        self.timeline = timeline.wrapping_add(1);
        if (timeline as usize) < count { Ok(timeline) } else { Err(Malformed) }
    }

    fn read_place(&mut self, reader: &mut Reader<'_>) -> Result<Place, Malformed> {
        let page = moved(self.page, reader.signed()?)?;
        let expected = self.slots.get_mut(page as usize).ok_or(Malformed)?;
        let slot = moved(*expected, reader.signed()?)?;
        self.page = page;
        *expected = slot.wrapping_add(1);
        Ok(Place { page, slot })
    }
}

fn moved(from: u32, by: i64) -> Result<u32, Malformed> {
    let to = i64::from(from).checked_add(by).ok_or(Malformed)?;
    u32::try_from(to).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn columns_page(offset: u64, kind: PageKind) -> ColumnsRef {
        ColumnsRef { at: PageRef { offset, len: 1000 }, kind }
    }

    fn page() -> SeriesPage {
        let columns =
            vec![columns_page(5000, PageKind::Columns), columns_page(0, PageKind::PackedColumns)];
        let timeline = |slot: u32| Timeline {
            column: Place { page: 0, slot },
            range: TimeRange::new(-7, i64::MAX - i64::from(slot)),
            len: slot * 100,
        };
        let mut page = SeriesPage::new(columns, (0..3).map(timeline).collect());
        let mut numbers = HashMap::new();
        for series in 0..5_u32 {
            let host = format!("web-{series}");
            let labels = Labels::from_pairs([("__name__", "up"), ("host", &host)]).unwrap();
            let chunk = |at: u32| ChunkRef {
                timeline: at % 3,
                values: Place { page: at % 2, slot: series * 7 + at },
            };
            page.push(&labels, (0..series).map(chunk), &mut numbers);
        }
        page
    }

    #[test]
    fn what_is_put_is_read() {
        let (page, read) = (page(), SeriesPage::read(&page().put()).unwrap());
        assert_eq!(read.len(), 5);
        for at in 0..5 {
            assert_eq!(read.labels(at), page.labels(at));
            assert_eq!(read.chunks(at), page.chunks(at));
            for chunk in read.chunks(at) {
                assert_eq!(read.timeline(chunk), page.timeline(chunk));
                assert_eq!(read.page_of(chunk.values), page.page_of(chunk.values));
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_read_without_panic(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
            noise: Vec<u8>,
        ) {
            let mut raw = page().put();
            for (at, byte) in changes {
                let at = at.index(raw.len());
                raw[at] = byte;
            }
            for raw in [raw, noise] {
                let Ok(page) = SeriesPage::read(&raw) else { continue };
                for at in 0..page.len() {
                    let _ = page.labels(at);
                    for chunk in page.chunks(at) {
                        let _ = (page.timeline(chunk), page.page_of(chunk.values));
                    }
                }
            }
        }
    }
}

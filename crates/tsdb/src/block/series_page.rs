//! A page of series: their labels, and where their chunks are (docs/format/index.md, "Series page").

use std::collections::HashMap;

use muster_series::{Labels, TimeRange};

use super::page::PageRef;
use crate::codec::varint::{self, Malformed, Reader};

/// Most series in a page.
pub(super) const SERIES_PER_PAGE: u32 = 256;

/// Some samples of one series, and the two columns that hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkRef {
    pub(super) range: TimeRange,
    /// How many samples.
    pub(super) len: u32,
    pub(super) times: ColumnRef,
    pub(super) values: ColumnRef,
}

/// One column of a page of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnRef {
    pub(super) page: PageRef,
    pub(super) slot: u32,
}

/// A page of series, ready for use: label texts are shared within the page.
#[derive(Debug, Default)]
pub(super) struct SeriesPage {
    texts: Vec<Box<str>>,
    pairs: Vec<(u32, u32)>,
    chunks: Vec<ChunkRef>,
    /// Where in `pairs` and in `chunks` each series ends.
    ends: Vec<(u32, u32)>,
}

impl SeriesPage {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn weight(&self) -> usize {
        let texts: usize = self.texts.iter().map(|text| text.len() + 16).sum();
        texts
            + self.pairs.len() * 8
            + self.chunks.len() * size_of::<ChunkRef>()
            + self.ends.len() * 8
    }

    fn start(&self, at: usize) -> (u32, u32) {
        if at == 0 { (0, 0) } else { self.ends[at - 1] }
    }

    /// The label set of the series at a place below [`SeriesPage::len`].
    pub(super) fn labels(&self, at: usize) -> Result<Labels, Malformed> {
        let pairs = &self.pairs[self.start(at).0 as usize..self.ends[at].0 as usize];
        let text = |number: u32| &*self.texts[number as usize];
        Labels::from_pairs(pairs.iter().map(|&(name, value)| (text(name), text(value))))
            .map_err(|_| Malformed)
    }

    /// The chunks of the series at a place below [`SeriesPage::len`], oldest first.
    pub(super) fn chunks(&self, at: usize) -> &[ChunkRef] {
        &self.chunks[self.start(at).1 as usize..self.ends[at].1 as usize]
    }

    /// The pages that hold its chunks' columns, some of them several times.
    pub(super) fn columns_pages(&self) -> impl Iterator<Item = PageRef> + '_ {
        self.chunks.iter().flat_map(|chunk| [chunk.times.page, chunk.values.page])
    }

    /// Adds a series; the page becomes what [`SeriesPage::put`] writes.
    pub(super) fn push(
        &mut self,
        labels: &Labels,
        chunks: &[ChunkRef],
        numbers: &mut HashMap<Box<str>, u32>,
    ) {
        for (name, value) in labels.iter() {
            let mut number = |text: &str| {
                *numbers.entry(text.into()).or_insert_with(|| {
                    self.texts.push(text.into());
                    self.texts.len() as u32 - 1
                })
            };
            let pair = (number(name), number(value));
            self.pairs.push(pair);
        }
        self.chunks.extend_from_slice(chunks);
        self.ends.push((self.pairs.len() as u32, self.chunks.len() as u32));
    }

    pub(super) fn put(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        varint::put(&mut raw, self.texts.len() as u64);
        for text in &self.texts {
            varint::put_bytes(&mut raw, text.as_bytes());
        }
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
        for chunk in &self.chunks {
            varint::put_signed(&mut raw, chunk.range.start_ms);
            varint::put_signed(&mut raw, chunk.range.end_ms.wrapping_sub(chunk.range.start_ms));
            varint::put(&mut raw, u64::from(chunk.len));
            for column in [chunk.times, chunk.values] {
                column.page.put(&mut raw);
                varint::put(&mut raw, u64::from(column.slot));
            }
        }
        raw
    }

    pub(super) fn read(raw: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(raw);
        let mut page = Self::default();
        for _ in 0..reader.count()? {
            page.texts.push(reader.text()?.into());
        }
        let texts = page.texts.len() as u32;
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
        for _ in 0..chunk_count {
            page.chunks.push(read_chunk(&mut reader)?);
        }
        if reader.is_empty() { Ok(page) } else { Err(Malformed) }
    }
}

fn read_chunk(reader: &mut Reader<'_>) -> Result<ChunkRef, Malformed> {
    let start_ms = reader.signed()?;
    let end_ms = start_ms.wrapping_add(reader.signed()?);
    let len = reader.index()?;
    let mut column = || Ok(ColumnRef { page: PageRef::read(reader)?, slot: reader.index()? });
    Ok(ChunkRef {
        range: TimeRange::new(start_ms, end_ms),
        len,
        times: column()?,
        values: column()?,
    })
}

//! The parts of a block that still grow while it is written.
//!
//! Where a page of columns is in the file is known when it is written. Until then columns are named by the number of their
//! page; a page of series, which is written after all that it refers to, turns the numbers into places.

use std::collections::HashMap;

use muster_series::{Labels, TimeRange};

use super::page::PageKind;
use super::series_page::{ChunkRef, ColumnsRef, Place, SeriesPage, Timeline};

/// A page of columns is ended when it has this many bytes: so much is read and unpacked for one column of it.
const BYTES_TO_COMPRESS: usize = 32 << 10;
const PACKED_BYTES: usize = 64 << 10;

/// A page of columns.
#[derive(Debug)]
pub(super) struct OpenPage {
    pub(super) number: u32,
    pub(super) kind: PageKind,
    pub(super) columns: Vec<Vec<u8>>,
    bytes: usize,
}

/// A column by the number of its page.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenColumn {
    page: u32,
    slot: u32,
}

/// A column of timestamps.
#[derive(Debug)]
pub(super) struct OpenTimeline {
    pub(super) column: OpenColumn,
    pub(super) range: TimeRange,
    pub(super) len: u32,
}

/// Some samples of a series.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenChunk {
    /// The number of its timeline in the block.
    pub(super) timeline: u32,
    pub(super) values: OpenColumn,
}

impl OpenPage {
    pub(super) fn new(number: u32, kind: PageKind) -> Self {
        Self { number, kind, columns: Vec::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, column: Vec<u8>) -> OpenColumn {
        self.bytes += column.len();
        self.columns.push(column);
        OpenColumn { page: self.number, slot: self.columns.len() as u32 - 1 }
    }

    pub(super) fn is_full(&self) -> bool {
        let most = match self.kind {
            PageKind::PackedColumns => PACKED_BYTES,
            _ => BYTES_TO_COMPRESS,
        };
        self.bytes >= most
    }
}

/// The page of these series. All pages of columns that they use are written.
pub(super) fn series_page(
    series: &[(Labels, Vec<OpenChunk>)],
    timelines: &[OpenTimeline],
    pages: &[Option<ColumnsRef>],
) -> SeriesPage {
    let chunks = || series.iter().flat_map(|(_, chunks)| chunks.iter());
    let mut used_timelines = Numbering::default();
    let mut used_pages = Numbering::default();
    for chunk in chunks() {
        used_timelines.add(chunk.timeline);
        used_pages.add(timelines[chunk.timeline as usize].column.page);
        used_pages.add(chunk.values.page);
    }
    // In the order of the file, so that the distances from page to page are short.
    used_pages.sort();
    let place =
        |column: OpenColumn| Place { page: used_pages.place(column.page), slot: column.slot };
    let columns = used_pages.numbers.iter().map(|&number| {
        pages[number as usize].expect("pages are written before the series that use them")
    });
    let timelines = used_timelines.numbers.iter().map(|&number| {
        let OpenTimeline { column, range, len } = timelines[number as usize];
        Timeline { column: place(column), range, len }
    });
    let mut page = SeriesPage::new(columns.collect(), timelines.collect());
    let mut texts = HashMap::new();
    for (labels, chunks) in series {
        let chunks = chunks.iter().map(|chunk| ChunkRef {
            timeline: used_timelines.place(chunk.timeline),
            values: place(chunk.values),
        });
        page.push(labels, chunks, &mut texts);
    }
    page
}

/// Numbers of a block and their places among those that one page uses, in the order of their first use.
#[derive(Default)]
struct Numbering {
    numbers: Vec<u32>,
    places: HashMap<u32, u32>,
}

impl Numbering {
    fn add(&mut self, number: u32) {
        let next = self.numbers.len() as u32;
        if *self.places.entry(number).or_insert(next) == next {
            self.numbers.push(number);
        }
    }

    fn sort(&mut self) {
        self.numbers.sort_unstable();
        self.places = self.numbers.iter().copied().zip(0..).collect();
    }

    fn place(&self, number: u32) -> u32 {
        self.places[&number]
    }
}

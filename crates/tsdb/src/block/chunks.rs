//! Reads the chunks of a series: as samples in a range, or as they are, for another block.

use std::sync::Arc;

use muster_series::TimeRange;

use super::Chunk;
use super::page::{CachedPage, ColumnsPage, PageCache};
use super::reader::{Block, SeriesAt};
use super::series_page::{ChunkRef, ColumnsRef};
use crate::TsdbError;
use crate::codec::column;
use crate::codec::varint::Malformed;

/// The samples of one series as columns of one length, and how many of its chunks could not be read.
#[derive(Debug, Default)]
pub(crate) struct ColumnsRead {
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) damaged_chunks: u64,
}

/// What is known of a chunk without reading it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkInfo {
    /// From its first sample to its last.
    pub(crate) range: TimeRange,
    pub(crate) len: u32,
}

/// The pages of the columns of a chunk.
struct ChunkPages {
    times: Arc<ColumnsPage>,
    values: Arc<ColumnsPage>,
    /// Where the page of the values is.
    offset: u64,
}

impl SeriesAt {
    /// Whether the series has a chunk whose range from its first to its last sample `is_wanted`.
    pub(crate) fn has_chunk(&self, is_wanted: impl Fn(TimeRange) -> bool) -> bool {
        self.chunks().any(|chunk| is_wanted(chunk.range))
    }

    /// The chunks of the series, oldest first.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = ChunkInfo> + '_ {
        self.page.chunks(self.at).iter().map(|chunk| {
            let timeline = self.page.timeline(chunk);
            ChunkInfo { range: timeline.range, len: timeline.len }
        })
    }
}

#[cfg(test)]
impl ColumnsRead {
    pub(crate) fn samples(&self) -> Vec<(i64, f64)> {
        self.times.iter().copied().zip(self.values.iter().copied()).collect()
    }
}

impl Block {
    /// The samples of a series in the range, in time order. A chunk that is damaged is left out and counted;
    /// an error is one of the system.
    pub(crate) fn columns(
        &self,
        series: &SeriesAt,
        range: TimeRange,
        cache: &PageCache,
    ) -> Result<ColumnsRead, TsdbError> {
        let mut read = ColumnsRead::default();
        for (at, chunk) in series.chunks().enumerate() {
            if !chunk.range.overlaps(&range) {
                continue;
            }
            let len = read.times.len();
            match self.read_chunk(series, at, range, cache, &mut read) {
                Ok(()) => {}
                Err(error @ TsdbError::Corrupt { .. }) => {
                    tracing::warn!(%error, "a chunk is left out of an answer");
                    read.times.truncate(len);
                    read.values.truncate(len);
                    read.damaged_chunks += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// Appends the samples of one chunk that are in the range. After an error `read` may have some of them.
    pub(crate) fn read_chunk(
        &self,
        series: &SeriesAt,
        at: usize,
        range: TimeRange,
        cache: &PageCache,
        read: &mut ColumnsRead,
    ) -> Result<(), TsdbError> {
        let chunk = &series.page.chunks(series.at)[at];
        let timeline = series.page.timeline(chunk);
        let len = timeline.len as usize;
        let pages = self.pages_of(series, chunk, cache)?;
        let before = read.values.len();
        let decoded = pages.times.column(timeline.column.slot).and_then(|times| {
            let places = column::read_times(times, len, range, &mut read.times)?;
            let values = pages.values.column(chunk.values.slot)?;
            column::read_values(values, len, places, &mut read.values)
        });
        match decoded {
            Ok(()) if read.times.len() == read.values.len() && read.times[before..].is_sorted() => {
                Ok(())
            }
            _ => Err(self.corrupt(pages.offset, "a column does not decode")),
        }
    }

    /// A chunk as it is, to be put into another block.
    pub(crate) fn copy_chunk(
        &self,
        series: &SeriesAt,
        at: usize,
        cache: &PageCache,
    ) -> Result<Chunk, TsdbError> {
        let chunk = &series.page.chunks(series.at)[at];
        let timeline = series.page.timeline(chunk);
        let pages = self.pages_of(series, chunk, cache)?;
        let columns = pages
            .times
            .column(timeline.column.slot)
            .and_then(|times| Ok((times, pages.values.column(chunk.values.slot)?)));
        let (times, values) =
            columns.map_err(|Malformed| self.corrupt(pages.offset, "a page lacks a column"))?;
        let (range, len) = (timeline.range, timeline.len);
        Ok(Chunk::Columns { range, len, times: times.into(), values: values.into() })
    }

    fn pages_of(
        &self,
        series: &SeriesAt,
        chunk: &ChunkRef,
        cache: &PageCache,
    ) -> Result<ChunkPages, TsdbError> {
        let timeline = series.page.timeline(chunk);
        let values = series.page.page_of(chunk.values);
        Ok(ChunkPages {
            times: self.columns_page(series.page.page_of(timeline.column), cache)?,
            values: self.columns_page(values, cache)?,
            offset: values.at.offset,
        })
    }

    fn columns_page(
        &self,
        columns: ColumnsRef,
        cache: &PageCache,
    ) -> Result<Arc<ColumnsPage>, TsdbError> {
        match self.cached(columns.at, columns.kind, cache)? {
            CachedPage::Columns(page) => Ok(page),
            _ => {
                Err(self.corrupt(columns.at.offset, "a page is not of the kind that it should be"))
            }
        }
    }
}

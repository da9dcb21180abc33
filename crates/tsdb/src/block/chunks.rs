//! Reads the chunks of a series: as samples in a range, or as they are, for another block.

use std::collections::HashMap;
use std::ops::Range;
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

/// The number of a block, the place of a page in it, and the slot of a column there.
type TimelineKey = (u64, u64, u32);

/// What is kept between series that are read one after another, all in the same range.
///
/// Series that are scraped together share a timeline, which so is decoded once; and neighbours stand on the same pages.
#[derive(Default)]
pub(crate) struct Recent {
    /// The places in the column that are in the range, and the timestamps.
    timelines: HashMap<TimelineKey, (Range<usize>, Vec<i64>)>,
    /// How many timestamps these have.
    instants: usize,
    values: Option<((u64, u64), Arc<ColumnsPage>)>,
}

impl Recent {
    /// Most timestamps kept: 2 MB.
    const MOST_INSTANTS: usize = 1 << 18;

    fn keep(&mut self, key: TimelineKey, places: Range<usize>, times: &[i64]) {
        if self.instants + times.len() > Self::MOST_INSTANTS {
            self.timelines.clear();
            self.instants = 0;
        }
        self.instants += times.len();
        self.timelines.insert(key, (places, times.to_vec()));
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
        recent: &mut Recent,
    ) -> Result<ColumnsRead, TsdbError> {
        let mut read = ColumnsRead::default();
        for (at, chunk) in series.chunks().enumerate() {
            if chunk.range.overlaps(&range) {
                self.read_or_count(series, at, range, cache, recent, &mut read)?;
            }
        }
        Ok(read)
    }

    /// The newest sample of a series in the range, as a column of one, or of none.
    pub(crate) fn newest(
        &self,
        series: &SeriesAt,
        range: TimeRange,
        cache: &PageCache,
        recent: &mut Recent,
    ) -> Result<ColumnsRead, TsdbError> {
        let mut newest = ColumnsRead::default();
        let mut since_ms = range.start_ms;
        for (at, chunk) in series.chunks().enumerate() {
            let wanted = TimeRange::new(since_ms, range.end_ms);
            if !chunk.range.overlaps(&wanted) {
                continue;
            }
            let mut read = ColumnsRead::default();
            self.read_or_count(series, at, range, cache, recent, &mut read)?;
            newest.damaged_chunks += read.damaged_chunks;
            if let (Some(time), Some(value)) = (read.times.pop(), read.values.pop())
                && time >= since_ms
            {
                (newest.times, newest.values) = (vec![time], vec![value]);
                since_ms = time;
            }
        }
        Ok(newest)
    }

    fn read_or_count(
        &self,
        series: &SeriesAt,
        at: usize,
        range: TimeRange,
        cache: &PageCache,
        recent: &mut Recent,
        read: &mut ColumnsRead,
    ) -> Result<(), TsdbError> {
        let len = read.times.len();
        match self.read_chunk(series, at, range, cache, recent, read) {
            Ok(()) => Ok(()),
            Err(error @ TsdbError::Corrupt { .. }) => {
                tracing::warn!(%error, "a chunk is left out of an answer");
                read.times.truncate(len);
                read.values.truncate(len);
                read.damaged_chunks += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Appends the samples of one chunk that are in the range. After an error `read` may have some of them.
    pub(crate) fn read_chunk(
        &self,
        series: &SeriesAt,
        at: usize,
        range: TimeRange,
        cache: &PageCache,
        recent: &mut Recent,
        read: &mut ColumnsRead,
    ) -> Result<(), TsdbError> {
        let chunk = &series.page.chunks(series.at)[at];
        let len = series.page.timeline(chunk).len as usize;
        let before = read.values.len();
        let places = self.read_times(series, chunk, range, cache, recent, &mut read.times)?;
        let at = series.page.page_of(chunk.values);
        let page = self.values_page(at, cache, recent)?;
        let decoded = page
            .column(chunk.values.slot)
            .and_then(|values| column::read_values(values, len, places, &mut read.values));
        match decoded {
            Ok(()) if read.times.len() == read.values.len() && read.times[before..].is_sorted() => {
                Ok(())
            }
            _ => Err(self.corrupt(at.at.offset, "a column does not decode")),
        }
    }

    /// Appends the timestamps of a chunk that are in the range, and tells their places.
    fn read_times(
        &self,
        series: &SeriesAt,
        chunk: &ChunkRef,
        range: TimeRange,
        cache: &PageCache,
        recent: &mut Recent,
        out: &mut Vec<i64>,
    ) -> Result<Range<usize>, TsdbError> {
        let timeline = series.page.timeline(chunk);
        let at = series.page.page_of(timeline.column);
        let key = (self.number, at.at.offset, timeline.column.slot);
        if let Some((places, times)) = recent.timelines.get(&key) {
            out.extend_from_slice(times);
            return Ok(places.clone());
        }
        let before = out.len();
        let page = self.columns_page(at, cache)?;
        let places = page
            .column(timeline.column.slot)
            .and_then(|times| column::read_times(times, timeline.len as usize, range, out))
            .map_err(|Malformed| self.corrupt(at.at.offset, "a column does not decode"))?;
        recent.keep(key, places.clone(), &out[before..]);
        Ok(places)
    }

    fn values_page(
        &self,
        at: ColumnsRef,
        cache: &PageCache,
        recent: &mut Recent,
    ) -> Result<Arc<ColumnsPage>, TsdbError> {
        let key = (self.number, at.at.offset);
        match &recent.values {
            Some((known, page)) if *known == key => Ok(Arc::clone(page)),
            _ => {
                let page = self.columns_page(at, cache)?;
                recent.values = Some((key, Arc::clone(&page)));
                Ok(page)
            }
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

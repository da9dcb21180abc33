//! The samples not yet in a block, packed in memory.
//!
//! Series stand in pages by number. A series holds no timestamps: the series of a page that are scraped together share a *lane* of instants,
//! and a sample is a place in it and a value, as a token of few bytes (`head/series.rs`).
//!
//! Only the writer's thread adds; readers look one page of series at a time, so neither waits long for the other.
//! When a head is cut it is not touched any more: it is read until its block takes its place.

mod cells;
mod lane;
mod page;
mod series;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use muster_series::TimeRange;
use parking_lot::RwLock;

use crate::SeriesSample;
use page::{PAGE_LEN, Page, Pushed};

/// Sorts by time and keeps, of the samples of one time, the one that stood last.
pub(crate) fn sort_last_wins(samples: &mut Vec<(i64, f64)>) {
    samples.sort_by_key(|sample| sample.0);
    samples.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            *kept = *later;
        }
        same
    });
}

type Pages = Vec<Option<Arc<RwLock<Page>>>>;

/// The samples not yet in a block, by series number.
#[derive(Debug)]
pub(crate) struct Head {
    pages: RwLock<Pages>,
    /// Monotonic time of its making, in milliseconds.
    created_ms: i64,
    bytes: AtomicUsize,
    series: AtomicUsize,
    samples: AtomicU64,
    min_timestamp: AtomicI64,
    max_timestamp: AtomicI64,
}

impl Head {
    pub(crate) fn new(created_ms: i64) -> Self {
        Self {
            pages: RwLock::default(),
            created_ms,
            bytes: AtomicUsize::new(0),
            series: AtomicUsize::new(0),
            samples: AtomicU64::new(0),
            min_timestamp: AtomicI64::new(i64::MAX),
            max_timestamp: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// Bytes that the samples take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many series have samples here.
    pub(crate) fn series_count(&self) -> usize {
        self.series.load(Ordering::Relaxed)
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples() == 0
    }

    /// From the oldest to the newest sample; empty if there is none.
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange::new(
            self.min_timestamp.load(Ordering::Relaxed),
            self.max_timestamp.load(Ordering::Relaxed),
        )
    }

    /// Adds samples and says how many were new. Only one thread at a time may.
    pub(crate) fn push(&self, samples: &[SeriesSample]) -> u64 {
        let mut pushed = Pushed::default();
        let (mut min, mut max) = (i64::MAX, i64::MIN);
        let page_number = |sample: &SeriesSample| sample.series.0 as usize / PAGE_LEN;
        for of_page in samples.chunk_by(|a, b| page_number(a) == page_number(b)) {
            let page = self.page_or_new(page_number(&of_page[0]));
            let of_page_pushed = page.write().push(of_page);
            pushed.samples += of_page_pushed.samples;
            pushed.series += of_page_pushed.series;
            pushed.bytes += of_page_pushed.bytes;
            for sample in of_page {
                min = min.min(sample.timestamp_ms);
                max = max.max(sample.timestamp_ms);
            }
        }
        // Wrapping addition, so that a page that shrank is told as well.
        self.bytes.fetch_add(pushed.bytes as usize, Ordering::Relaxed);
        self.series.fetch_add(pushed.series, Ordering::Relaxed);
        if pushed.samples > 0 {
            self.min_timestamp.fetch_min(min, Ordering::Relaxed);
            self.max_timestamp.fetch_max(max, Ordering::Relaxed);
            self.samples.fetch_add(pushed.samples, Ordering::Relaxed);
        }
        pushed.samples
    }

    fn page(&self, number: usize) -> Option<Arc<RwLock<Page>>> {
        self.pages.read().get(number)?.clone()
    }

    fn page_or_new(&self, number: usize) -> Arc<RwLock<Page>> {
        if let Some(page) = self.page(number) {
            return page;
        }
        let mut pages = self.pages.write();
        if pages.len() <= number {
            pages.resize(number + 1, None);
        }
        Arc::clone(pages[number].get_or_insert_default())
    }

    /// The samples of a series in the range, in time order; of several at a time the last written.
    pub(crate) fn select(&self, id: u32, range: TimeRange) -> Vec<(i64, f64)> {
        let (page, at) = (self.page(id as usize / PAGE_LEN), id as usize % PAGE_LEN);
        page.map_or_else(Vec::new, |page| page.read().select(at, range))
    }

    /// As [`Head::select`], appended to columns.
    pub(crate) fn read(
        &self,
        id: u32,
        range: TimeRange,
        times: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) {
        if let Some(page) = self.page(id as usize / PAGE_LEN) {
            page.read().read(id as usize % PAGE_LEN, range, times, values);
        }
    }

    /// The newest sample of a series in the range.
    pub(crate) fn newest(&self, id: u32, range: TimeRange) -> Option<(i64, f64)> {
        self.page(id as usize / PAGE_LEN)?.read().newest(id as usize % PAGE_LEN, range)
    }

    /// From the oldest to the newest sample of a series, if it has one here.
    pub(crate) fn series_range(&self, id: u32) -> Option<TimeRange> {
        let page = self.page(id as usize / PAGE_LEN)?;
        let page = page.read();
        page.range(id as usize % PAGE_LEN)
    }

    /// The numbers of all series that have samples here.
    pub(crate) fn series(&self) -> Vec<u32> {
        let pages = self.pages.read().clone();
        let mut ids = Vec::with_capacity(self.series_count());
        for (number, page) in pages.iter().enumerate() {
            let Some(page) = page else { continue };
            ids.extend(page.read().places().map(|at| (number * PAGE_LEN + at) as u32));
        }
        ids
    }
}

#[cfg(test)]
mod tests;

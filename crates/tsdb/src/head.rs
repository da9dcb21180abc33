//! The samples not yet in a block, packed in memory.
//!
//! Only the writer's thread adds; readers look one page of series at a time, so neither waits long for the other.
//! When a head is cut it is not touched any more: it is read until its block takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use muster_series::TimeRange;
use parking_lot::{RwLock, RwLockWriteGuard};

use crate::codec::stream::Stream;

const PAGE_BITS: u32 = 10;
const PAGE_LEN: usize = 1 << PAGE_BITS;

/// Late samples are merged into the stream when they are this many, or a quarter of it.
const LATE_LEAST: usize = 64;

/// Whether a sample was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    New,
    Duplicate,
}

/// One series in the head.
#[derive(Debug, Default)]
struct HeadSeries {
    stream: Stream,
    /// Samples not newer than the stream's last when they came, in the order of their coming.
    #[expect(clippy::box_collection, reason = "most series have none, and there are many series")]
    late: Option<Box<Vec<(i64, f64)>>>,
}

impl HeadSeries {
    fn push(&mut self, timestamp: i64, value: f64) -> Pushed {
        match self.stream.last() {
            Some((last, last_value)) if timestamp <= last => {
                let unchanged = timestamp == last && value.to_bits() == last_value.to_bits();
                let replaced = || self.late.iter().flat_map(|l| l.iter()).any(|l| l.0 == last);
                if unchanged && !replaced() {
                    return Pushed::Duplicate;
                }
                self.push_late(timestamp, value);
            }
            _ => self.stream.push(timestamp, value),
        }
        Pushed::New
    }

    fn push_late(&mut self, timestamp: i64, value: f64) {
        let late = self.late.get_or_insert_default();
        late.push((timestamp, value));
        if late.len() > LATE_LEAST.max(self.stream.len() / 4) {
            let mut merged = Stream::default();
            for (timestamp, value) in self.samples(TimeRange::ALL) {
                merged.push(timestamp, value);
            }
            *self = Self { stream: merged, late: None };
        }
    }

    /// The samples of the range in time order; of several at a time the last written.
    fn samples(&self, range: TimeRange) -> Vec<(i64, f64)> {
        let in_order = self.stream.iter_from(range.start_ms);
        let mut samples: Vec<(i64, f64)> =
            in_order.take_while(|sample| sample.0 <= range.end_ms).collect();
        if let Some(late) = &self.late {
            let before = samples.len();
            samples.extend(late.iter().filter(|sample| range.contains(sample.0)));
            if samples.len() > before {
                sort_last_wins(&mut samples);
            }
        }
        samples
    }

    fn range(&self) -> Option<TimeRange> {
        let (first, (last, _)) = (self.stream.first_timestamp()?, self.stream.last()?);
        let late = self.late.iter().flat_map(|late| late.iter().map(|sample| sample.0));
        Some(TimeRange::new(late.fold(first, i64::min), last))
    }

    fn allocated(&self) -> usize {
        self.stream.allocated() + self.late.as_ref().map_or(0, |late| late.capacity() * 16 + 24)
    }
}

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

type Page = RwLock<Vec<HeadSeries>>;

/// The samples not yet in a block, by series number.
#[derive(Debug)]
pub(crate) struct Head {
    pages: RwLock<Vec<Option<Arc<Page>>>>,
    /// Monotonic time of its making, in milliseconds.
    created_ms: i64,
    bytes: AtomicUsize,
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
            samples: AtomicU64::new(0),
            min_timestamp: AtomicI64::new(i64::MAX),
            max_timestamp: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// Bytes that the samples take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
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

    /// Adds the samples of one scrape and says how many were new.
    pub(crate) fn push_group(&self, timestamp: i64, samples: &[(u32, f64)]) -> u64 {
        let mut new = 0;
        let mut rest = samples;
        while let Some(&(id, _)) = rest.first() {
            let page_number = id >> PAGE_BITS;
            let here = rest.iter().take_while(|(id, _)| id >> PAGE_BITS == page_number).count();
            let (of_page, after) = rest.split_at(here);
            new += self.push_page(page_number, timestamp, of_page);
            rest = after;
        }
        if new > 0 {
            self.min_timestamp.fetch_min(timestamp, Ordering::Relaxed);
            self.max_timestamp.fetch_max(timestamp, Ordering::Relaxed);
            self.samples.fetch_add(new, Ordering::Relaxed);
        }
        new
    }

    fn push_page(&self, page_number: u32, timestamp: i64, samples: &[(u32, f64)]) -> u64 {
        let page = self.page_or_new(page_number);
        let mut series = page.write();
        let (mut new, mut grown) = (0, 0_isize);
        for &(id, value) in samples {
            let one = series_or_new(&mut series, id);
            let before = one.allocated();
            if one.push(timestamp, value) == Pushed::New {
                new += 1;
            }
            grown += one.allocated() as isize - before as isize;
        }
        self.bytes.fetch_add(grown as usize, Ordering::Relaxed);
        new
    }

    fn page(&self, page_number: u32) -> Option<Arc<Page>> {
        self.pages.read().get(page_number as usize)?.clone()
    }

    fn page_or_new(&self, page_number: u32) -> Arc<Page> {
        if let Some(page) = self.page(page_number) {
            return page;
        }
        let mut pages = self.pages.write();
        let at = page_number as usize;
        if pages.len() <= at {
            pages.resize(at + 1, None);
        }
        Arc::clone(pages[at].get_or_insert_default())
    }

    /// The samples of a series in the range, in time order.
    pub(crate) fn select(&self, id: u32, range: TimeRange) -> Vec<(i64, f64)> {
        let Some(page) = self.page(id >> PAGE_BITS) else {
            return Vec::new();
        };
        let page = page.read();
        let Some(series) = page.get(id as usize % PAGE_LEN) else {
            return Vec::new();
        };
        if !series.range().is_some_and(|own| own.overlaps(&range)) {
            return Vec::new();
        }
        series.samples(range)
    }

    /// From the oldest to the newest sample of a series, if it has one here.
    pub(crate) fn series_range(&self, id: u32) -> Option<TimeRange> {
        let page = self.page(id >> PAGE_BITS)?;
        let page = page.read();
        page.get(id as usize % PAGE_LEN)?.range()
    }

    /// The numbers of all series that have samples here.
    pub(crate) fn series(&self) -> Vec<u32> {
        let pages = self.pages.read().clone();
        let mut ids = Vec::new();
        for (number, page) in pages.iter().enumerate() {
            let Some(page) = page else { continue };
            let first = (number << PAGE_BITS) as u32;
            for (at, series) in page.read().iter().enumerate() {
                if !series.stream.is_empty() {
                    ids.push(first + at as u32);
                }
            }
        }
        ids
    }
}

fn series_or_new<'a>(
    page: &'a mut RwLockWriteGuard<'_, Vec<HeadSeries>>,
    id: u32,
) -> &'a mut HeadSeries {
    let at = id as usize % PAGE_LEN;
    if page.len() <= at {
        page.resize_with(at + 1, HeadSeries::default);
    }
    &mut page[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn any_order_of_writing_reads_in_time_order(
            written in proptest::collection::vec((0_i64..200, 0_u8..3), 0..500),
            from in 0_i64..200,
        ) {
            let head = Head::new(0);
            let mut model = BTreeMap::new();
            for (timestamp, value) in written {
                head.push_group(timestamp, &[(5000, f64::from(value))]);
                model.insert(timestamp, f64::from(value));
            }
            let expected: Vec<(i64, f64)> = model.range(from..).map(|(t, v)| (*t, *v)).collect();
            prop_assert_eq!(head.select(5000, TimeRange::new(from, i64::MAX)), expected);
        }
    }

    #[test]
    fn a_repeated_sample_is_no_new_one() {
        let head = Head::new(0);
        assert_eq!(head.push_group(1, &[(0, 1.0), (1, 2.0), (5000, 3.0)]), 3);
        assert_eq!(head.push_group(1, &[(0, 1.0)]), 0);
        assert_eq!(head.push_group(1, &[(0, 2.0)]), 1);
        // The first value again is a change: the last written wins.
        assert_eq!(head.push_group(1, &[(0, 1.0)]), 1);
        assert_eq!(head.select(0, TimeRange::ALL), [(1, 1.0)]);
        assert_eq!(head.series(), [0, 1, 5000]);
        assert_eq!(head.range(), TimeRange::new(1, 1));
        assert!(head.bytes() > 0);
    }
}

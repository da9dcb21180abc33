//! The labels of each series, by its number, in pages of neighbouring numbers.
//!
//! Numbers are never given again, so pages only come at the end; a page whose series are all gone is freed, and one that
//! loses some of them shrinks.

use std::sync::atomic::{AtomicU32, Ordering};

const PAGE_BITS: u32 = 10;
/// Series in a page.
pub(crate) const PAGE_LEN: usize = 1 << PAGE_BITS;
const WORDS: usize = PAGE_LEN / 64;

#[derive(Debug, Default)]
struct Page {
    /// The entries of the dictionary that are the labels of each series, one series after another.
    entries: Vec<u32>,
    /// Where in `entries` each series ends.
    ends: Vec<u32>,
    /// When each series was last registered or cut with a head, in seconds of the clock that never jumps.
    seen_s: Vec<AtomicU32>,
    /// A bit for each series that is not forgotten.
    known: [u64; WORDS],
    count: u32,
}

impl Page {
    fn knows(&self, place: usize) -> bool {
        self.known[place / 64] >> (place % 64) & 1 == 1
    }

    fn entries(&self, place: usize) -> &[u32] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.entries[start as usize..self.ends[place] as usize]
    }

    fn push(&mut self, entries: &[u32], now_s: u32) {
        let place = self.ends.len();
        self.entries.extend_from_slice(entries);
        self.ends.push(self.entries.len() as u32);
        self.seen_s.push(AtomicU32::new(now_s));
        self.known[place / 64] |= 1 << (place % 64);
        self.count += 1;
        if self.ends.len() == PAGE_LEN {
            self.entries.shrink_to_fit();
        }
    }

    /// Takes the labels of forgotten series out of memory.
    fn shrink(&mut self) {
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut start = 0;
        for place in 0..self.ends.len() {
            let end = self.ends[place] as usize;
            if self.knows(place) {
                entries.extend_from_slice(&self.entries[start..end]);
            }
            self.ends[place] = entries.len() as u32;
            start = end;
        }
        entries.shrink_to_fit();
        self.entries = entries;
    }
}

/// Where a series is.
fn place(id: u32) -> (usize, usize) {
    ((id >> PAGE_BITS) as usize, id as usize % PAGE_LEN)
}

/// Every series by its number.
#[derive(Debug, Default)]
pub(super) struct SeriesPages {
    pages: Vec<Option<Box<Page>>>,
    next: u32,
    count: usize,
}

impl SeriesPages {
    /// How many series are known.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The number that the next series gets, if numbers are left.
    pub(super) fn next(&self) -> Option<u32> {
        (self.next < u32::MAX).then_some(self.next)
    }

    fn page(&self, id: u32) -> Option<(&Page, usize)> {
        let (page, place) = place(id);
        let page = self.pages.get(page)?.as_deref()?;
        (place < page.ends.len() && page.knows(place)).then_some((page, place))
    }

    /// Whether a series has this number now.
    pub(super) fn is_known(&self, id: u32) -> bool {
        self.page(id).is_some()
    }

    /// The labels of a series, as entries of the dictionary.
    pub(super) fn entries(&self, id: u32) -> Option<&[u32]> {
        self.page(id).map(|(page, place)| page.entries(place))
    }

    /// Adds a series, under the number that [`SeriesPages::next`] said.
    pub(super) fn push(&mut self, entries: &[u32], now_s: u32) {
        let (page, _) = place(self.next);
        if self.pages.len() == page {
            self.pages.push(Some(Box::default()));
        }
        let page = self.pages[page].as_mut().expect("the last page is kept while it can grow");
        page.push(entries, now_s);
        self.next += 1;
        self.count += 1;
    }

    /// Notes that a series is in use now.
    pub(super) fn touch(&self, id: u32, now_s: u32) {
        if let Some((page, place)) = self.page(id) {
            page.seen_s[place].fetch_max(now_s, Ordering::Relaxed);
        }
    }

    /// How many pages there are and were.
    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// The series of a page, each with when it was last seen, in seconds.
    pub(super) fn seen_of_page(&self, number: usize) -> impl Iterator<Item = (u32, u32)> {
        let page = self.pages.get(number).and_then(Option::as_deref);
        page.into_iter().flat_map(move |page| {
            let known = page.seen_s.iter().enumerate().filter(|(place, _)| page.knows(*place));
            known.map(move |(place, seen)| {
                (((number << PAGE_BITS) + place) as u32, seen.load(Ordering::Relaxed))
            })
        })
    }

    /// Forgets series, all of one page.
    pub(super) fn remove(&mut self, ids: &[u32]) {
        let Some(&first) = ids.first() else { return };
        let (number, _) = place(first);
        let Some(Some(page)) = self.pages.get_mut(number) else { return };
        for &id in ids {
            let at = place(id).1;
            if at < page.ends.len() && page.knows(at) {
                page.known[at / 64] &= !(1 << (at % 64));
                page.count -= 1;
                self.count -= 1;
            }
        }
        if page.count == 0 && page.ends.len() == PAGE_LEN {
            self.pages[number] = None;
        } else {
            page.shrink();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_forgotten_and_their_numbers_stay_unused() {
        let mut pages = SeriesPages::default();
        let entries = |id: u32| [id, id + 1, id + 2];
        for id in 0..2500 {
            assert_eq!(pages.next(), Some(id));
            pages.push(&entries(id), id);
        }
        pages.remove(&(0..1024).collect::<Vec<_>>());
        pages.remove(&(1024..2048).filter(|id| id % 3 > 0).collect::<Vec<_>>());
        pages.remove(&(2048..2500).collect::<Vec<_>>());
        pages.remove(&[5, 1030, 2499]);
        let is_left = |id: u32| (1024..2048).contains(&id) && id.is_multiple_of(3);
        for id in 0..2600 {
            assert_eq!(pages.is_known(id), is_left(id), "{id}");
            assert_eq!(pages.entries(id), is_left(id).then_some(&entries(id)[..]));
        }
        assert!(pages.pages[0].is_none());
        assert_eq!(pages.pages[1].as_ref().unwrap().entries.capacity(), 3 * pages.len());
        pages.push(&[1], 0);
        assert_eq!(pages.entries(2500), Some(&[1][..]));
        assert_eq!(
            (pages.len(), pages.pages()),
            ((1024..2048).filter(|&id| is_left(id)).count() + 1, 3)
        );
    }

    #[test]
    fn a_series_is_seen_when_it_is_touched() {
        let mut pages = SeriesPages::default();
        pages.push(&[1], 5);
        pages.push(&[2], 6);
        pages.touch(0, 9);
        pages.touch(0, 7);
        pages.touch(3, 7);
        assert_eq!(pages.seen_of_page(0).collect::<Vec<_>>(), [(0, 9), (1, 6)]);
        pages.remove(&[0]);
        assert_eq!(pages.seen_of_page(0).collect::<Vec<_>>(), [(1, 6)]);
        assert_eq!(pages.seen_of_page(1).count(), 0);
    }
}

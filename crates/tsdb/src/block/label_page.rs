//! A page of a label: which series have each of its values (docs/format/index.md, "Label page").

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::codec::varint::{self, Malformed, Reader};
use crate::index::holders::Holders;

/// The series of each value of one label in one block; a label of many values has several such pages.
///
/// Bitmaps are made when they are asked for: a query wants few of the values on a page.
#[derive(Debug, Default)]
pub(super) struct LabelPage {
    raw: Vec<u8>,
    /// By value: where it is in `raw`, and where its series are.
    entries: Vec<(Range<u32>, Range<u32>)>,
}

/// Appends a value and its series.
pub(super) fn put_entry(out: &mut Vec<u8>, value: &str, series: &RoaringBitmap) {
    varint::put_bytes(out, value.as_bytes());
    let mut runs = Vec::new();
    let mut end = 0_u32;
    let mut numbers = series.iter().peekable();
    while let Some(first) = numbers.next() {
        let mut last = first;
        while numbers.next_if_eq(&(last + 1)).is_some() {
            last += 1;
        }
        varint::put(&mut runs, u64::from(first - end));
        varint::put(&mut runs, u64::from(last - first));
        end = last + 1;
    }
    varint::put_bytes(out, &runs);
}

impl LabelPage {
    /// Reads a page of a block of so many series, and checks all of it.
    pub(super) fn read(raw: Vec<u8>, series: u64) -> Result<Self, Malformed> {
        let mut entries: Vec<(Range<u32>, Range<u32>)> = Vec::new();
        let mut reader = Reader::new(&raw);
        let mut previous = "";
        for at in 0..reader.count()? {
            let value = reader.text()?;
            if at > 0 && value <= previous {
                return Err(Malformed);
            }
            previous = value;
            let value_end = (raw.len() - reader.len()) as u32;
            let runs = reader.bytes()?;
            each_run(runs, |run| if run.end <= series { Ok(()) } else { Err(Malformed) })?;
            let runs_end = (raw.len() - reader.len()) as u32;
            entries.push((
                value_end - value.len() as u32..value_end,
                runs_end - runs.len() as u32..runs_end,
            ));
        }
        if !reader.is_empty() {
            return Err(Malformed);
        }
        Ok(Self { raw, entries })
    }

    pub(super) fn weight(&self) -> usize {
        self.raw.len() + self.entries.len() * size_of::<(Range<u32>, Range<u32>)>()
    }

    /// Whether the value is on this page or a later one of its label.
    pub(super) fn starts_by(&self, value: &str) -> bool {
        !self.entries.is_empty() && self.value(0) <= value
    }

    /// The series of a value, if it is on this page.
    pub(super) fn get(&self, value: &str) -> Result<Option<RoaringBitmap>, Malformed> {
        let at = self.entries.partition_point(|(own, _)| self.text(own) < value);
        if at < self.entries.len() && self.value(at) == value {
            self.series(at).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Shows all values that begin with `prefix`, with their series.
    pub(super) fn each(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(&str, Holders<'_>),
    ) -> Result<(), Malformed> {
        let first = self.entries.partition_point(|(own, _)| self.text(own) < prefix);
        for at in first..self.entries.len() {
            let value = self.value(at);
            if !value.starts_with(prefix) {
                break;
            }
            visit(value, Holders::Many(&self.series(at)?));
        }
        Ok(())
    }

    fn value(&self, at: usize) -> &str {
        self.text(&self.entries[at].0)
    }

    fn text(&self, place: &Range<u32>) -> &str {
        let bytes = &self.raw[place.start as usize..place.end as usize];
        std::str::from_utf8(bytes).expect("texts were checked when the page was read")
    }

    fn series(&self, at: usize) -> Result<RoaringBitmap, Malformed> {
        let place = &self.entries[at].1;
        let mut series = RoaringBitmap::new();
        each_run(&self.raw[place.start as usize..place.end as usize], |run| {
            let (start, end) = (run.start as u32, run.end as u32);
            match end - start {
                1 => series.insert(start),
                _ => series.insert_range(start..end) > 0,
            };
            Ok(())
        })?;
        Ok(series)
    }
}

/// Shows the runs of series numbers, which rise; all but those that the visitor refuses are of 32 bits.
fn each_run(
    runs: &[u8],
    mut visit: impl FnMut(Range<u64>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(runs);
    let mut end = 0_u64;
    while !reader.is_empty() {
        let start = end + u64::from(reader.index()?);
        end = start + u64::from(reader.index()?) + 1;
        visit(start..end)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(entries: &[(&str, &RoaringBitmap)]) -> Vec<u8> {
        let mut raw = Vec::new();
        varint::put(&mut raw, entries.len() as u64);
        for (value, series) in entries {
            put_entry(&mut raw, value, series);
        }
        raw
    }

    proptest! {
        #[test]
        fn series_come_back(numbers: Vec<u16>, run in 0_u32..70_000, len in 0_u32..70_000) {
            let mut series: RoaringBitmap = numbers.into_iter().map(u32::from).collect();
            series.insert_range(run..run + len);
            let empty = RoaringBitmap::new();
            let raw = page(&[("", &empty), ("b", &series), ("c", &empty)]);
            let read = LabelPage::read(raw, 140_000).unwrap();
            prop_assert_eq!(read.get("b"), Ok(Some(series)));
            prop_assert_eq!((read.get(""), read.get("a")), (Ok(Some(empty)), Ok(None)));
            prop_assert!(read.starts_by("") && read.starts_by("z"));
        }

        #[test]
        fn any_bytes_are_read_without_panic(raw: Vec<u8>) {
            if let Ok(page) = LabelPage::read(raw, 1000) {
                let mut check = |_: &str, series: Holders<'_>| assert!(!series.any(|id| id >= 1000));
                prop_assert!(page.each("", &mut check).is_ok());
            }
        }
    }

    #[test]
    fn what_names_series_that_are_not_there_or_is_not_sorted_is_malformed() {
        let series = RoaringBitmap::from([3, 4, 5]);
        assert!(LabelPage::read(page(&[("a", &series), ("b", &series)]), 6).is_ok());
        assert!(LabelPage::read(page(&[("a", &series)]), 5).is_err());
        assert!(LabelPage::read(page(&[("b", &series), ("a", &series)]), 6).is_err());
        assert!(LabelPage::read(page(&[("a", &series), ("a", &series)]), 6).is_err());
    }
}

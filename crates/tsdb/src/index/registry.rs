//! The series known now: label sets by number, numbers by label set, and the bitmaps for matchers.
//!
//! Label strings are interned: a series costs eight bytes a label and its share of the bitmaps, not its text.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use muster_series::Labels;
use roaring::RoaringBitmap;

use crate::{SeriesId, TsdbError, index::resolve::LabelIndex};

/// Fingerprints are hashes already.
#[derive(Default)]
pub(crate) struct KeepHash(u64);

impl Hasher for KeepHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Strings by number.
#[derive(Debug, Default)]
struct Symbols {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Symbols {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let shared: Arc<str> = text.into();
        let number = self.texts.len() as u32;
        self.texts.push(Arc::clone(&shared));
        self.numbers.insert(shared, number);
        number
    }

    fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }
}

/// The series known now. Numbers are given in rising order and never taken back.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    symbols: Symbols,
    /// Name and value of every label of every series, one series after another.
    pairs: Vec<(u32, u32)>,
    /// Where in `pairs` each series ends.
    ends: Vec<usize>,
    by_fingerprint: HashMap<u64, u32, BuildHasherDefault<KeepHash>>,
    /// Series whose fingerprint another one had first.
    collisions: Vec<(u64, u32)>,
    postings: HashMap<u32, HashMap<u32, RoaringBitmap>>,
}

impl Registry {
    /// How many series.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of a label set, if it is known.
    pub(crate) fn get(&self, labels: &Labels) -> Option<SeriesId> {
        self.get_hashed(labels, labels.fingerprint())
    }

    fn get_hashed(&self, labels: &Labels, fingerprint: u64) -> Option<SeriesId> {
        let first = *self.by_fingerprint.get(&fingerprint)?;
        let others = self.collisions.iter().filter(|c| c.0 == fingerprint).map(|c| c.1);
        std::iter::once(first).chain(others).find(|&id| self.is(id, labels)).map(SeriesId)
    }

    fn is(&self, id: u32, labels: &Labels) -> bool {
        self.label_pairs(id).eq(labels.iter())
    }

    /// The number of a label set, which becomes known; an error if there are `limit` already.
    pub(crate) fn insert(&mut self, labels: &Labels, limit: usize) -> Result<SeriesId, TsdbError> {
        let fingerprint = labels.fingerprint();
        if let Some(id) = self.get_hashed(labels, fingerprint) {
            return Ok(id);
        }
        if self.len() >= limit.min(u32::MAX as usize) {
            return Err(TsdbError::SeriesLimit { limit });
        }
        let id = self.len() as u32;
        for (name, value) in labels.iter() {
            let pair = (self.symbols.intern(name), self.symbols.intern(value));
            self.pairs.push(pair);
            self.postings.entry(pair.0).or_default().entry(pair.1).or_default().insert(id);
        }
        self.ends.push(self.pairs.len());
        if *self.by_fingerprint.entry(fingerprint).or_insert(id) != id {
            self.collisions.push((fingerprint, id));
        }
        Ok(SeriesId(id))
    }

    /// The label set of a series that is known.
    pub(crate) fn labels(&self, id: u32) -> Labels {
        Labels::from_pairs(self.label_pairs(id)).expect("a registered label set is valid")
    }

    /// Names and values of a series that is known, by name.
    pub(crate) fn label_pairs(&self, id: u32) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let pairs = self.symbol_pairs(id).iter();
        pairs.map(|&(name, value)| (self.symbols.text(name), self.symbols.text(value)))
    }

    fn symbol_pairs(&self, id: u32) -> &[(u32, u32)] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.pairs[start..self.ends[id]]
    }

    /// What is needed to sort these series by their labels without holding a lock on the registry.
    pub(crate) fn order_keys(&self, ids: impl Iterator<Item = u32>) -> OrderKeys {
        let series = ids.map(|id| (id, self.symbol_pairs(id).into())).collect();
        OrderKeys { series, texts: self.symbols.texts.clone() }
    }

    /// Every label name, and for each the values.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(|&name| self.symbols.text(name))
    }

    /// Labels with most values: name and how many, the largest first.
    pub(crate) fn largest_labels(&self, count: usize) -> Vec<(String, usize)> {
        let mut sizes: Vec<(String, usize)> = self
            .postings
            .iter()
            .map(|(&name, values)| (self.symbols.text(name).into(), values.len()))
            .collect();
        sizes.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sizes.truncate(count);
        sizes
    }

    fn values(&self, name: &str) -> Option<&HashMap<u32, RoaringBitmap>> {
        self.postings.get(self.symbols.numbers.get(name)?)
    }
}

impl LabelIndex for Registry {
    fn all(&self) -> RoaringBitmap {
        (0..self.len() as u32).collect()
    }

    fn equal(&self, name: &str, value: &str) -> Result<RoaringBitmap, TsdbError> {
        let number = self.symbols.numbers.get(value);
        let found = self.values(name).zip(number).and_then(|(values, number)| values.get(number));
        Ok(found.cloned().unwrap_or_default())
    }

    fn each_value(
        &self,
        name: &str,
        visit: &mut dyn FnMut(&str, &RoaringBitmap),
    ) -> Result<(), TsdbError> {
        for (&value, series) in self.values(name).into_iter().flatten() {
            visit(self.symbols.text(value), series);
        }
        Ok(())
    }
}

/// A series' labels as symbols.
type SymbolPairs = Box<[(u32, u32)]>;

/// Series to be sorted by label set.
pub(crate) struct OrderKeys {
    series: Vec<(u32, SymbolPairs)>,
    texts: Vec<Arc<str>>,
}

impl OrderKeys {
    /// The series in the order of their label sets. Symbols are ranked once, so that comparing two label
    /// sets compares numbers.
    pub(crate) fn sorted(self) -> Vec<u32> {
        let mut by_text: Vec<u32> = (0..self.texts.len() as u32).collect();
        by_text.sort_unstable_by_key(|&number| &*self.texts[number as usize]);
        let mut rank = vec![0_u32; by_text.len()];
        for (at, number) in by_text.into_iter().enumerate() {
            rank[number as usize] = at as u32;
        }
        let mut series = self.series;
        for (_, pairs) in &mut series {
            for (name, value) in pairs.iter_mut() {
                (*name, *value) = (rank[*name as usize], rank[*value as usize]);
            }
        }
        series.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        series.into_iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::resolve::resolve;
    use muster_series::Matcher;

    fn labels(name: &str, host: &str) -> Labels {
        Labels::from_pairs([("__name__", name), ("host", host)]).unwrap()
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        for (name, host) in [("up", "b"), ("up", "a"), ("load", "a"), ("load", "")] {
            registry.insert(&labels(name, host), 10).unwrap();
        }
        registry
    }

    #[track_caller]
    fn check(matchers: &[(&str, &str, &str)], expected: &[u32]) {
        let matchers: Vec<Matcher> =
            matchers.iter().map(|(n, op, v)| Matcher::parse_pair(n, op, v).unwrap()).collect();
        let found = resolve(&registry(), &matchers).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn matchers_select() {
        check(&[], &[0, 1, 2, 3]);
        check(&[("__name__", "=", "up")], &[0, 1]);
        check(&[("__name__", "=", "up"), ("host", "=~", "a|c")], &[1]);
        check(&[("host", "=", "")], &[3]);
        check(&[("host", "!=", "a")], &[0, 3]);
        check(&[("host", "!=", "")], &[0, 1, 2]);
        check(&[("host", "=~", ".+")], &[0, 1, 2]);
        check(&[("host", "=~", "a|")], &[1, 2, 3]);
        check(&[("host", "!~", "a|")], &[0]);
        check(&[("absent", "=", "x")], &[]);
        check(&[("absent", "!=", "x"), ("__name__", "!~", "u.*")], &[2, 3]);
    }

    #[test]
    fn a_label_set_has_one_number_up_to_the_limit() {
        let mut registry = registry();
        assert_eq!(registry.insert(&labels("up", "a"), 4).unwrap(), SeriesId(1));
        assert_eq!(registry.get(&labels("up", "c")), None);
        let error = registry.insert(&labels("up", "c"), 4).unwrap_err();
        assert!(matches!(error, TsdbError::SeriesLimit { limit: 4 }));
        assert_eq!(registry.labels(3), labels("load", ""));
        assert_eq!(registry.largest_labels(1), [("__name__".into(), 2)]);
    }

    #[test]
    fn series_are_sorted_by_label_set() {
        let registry = registry();
        let sorted = registry.order_keys(0..4).sorted();
        let mut expected: Vec<u32> = (0..4).collect();
        expected.sort_by_key(|&id| registry.labels(id));
        assert_eq!(sorted, expected);
    }
}

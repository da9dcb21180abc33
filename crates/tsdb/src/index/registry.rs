//! The series known now: label sets by number, numbers by label set, and what selects among them.
//!
//! A label is an entry of the dictionary, a series a row of entries, so a series takes four bytes a label and its share of
//! the bitmaps. Numbers rise and are never given again while the store is open; a series that is forgotten leaves nothing.

use hashbrown::HashTable;
use muster_series::Labels;
use roaring::RoaringBitmap;

use super::dictionary::Dictionary;
use super::holders::Holders;
use super::order::OrderKeys;
use super::resolve::LabelIndex;
use super::series_pages::SeriesPages;
use crate::{SeriesId, TsdbError};

/// How much there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RegistryLimits {
    /// Series.
    pub(crate) series: usize,
    /// Bytes of label text.
    pub(crate) label_bytes: usize,
}

/// The series known now.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    labels: Dictionary,
    series: SeriesPages,
    by_entries: HashTable<u32>,
    all: RoaringBitmap,
}

impl Registry {
    /// How many series.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Bytes of label text.
    pub(crate) fn label_bytes(&self) -> usize {
        self.labels.text().live()
    }

    /// Whether a series has this number now.
    pub(crate) fn is_known(&self, id: u32) -> bool {
        self.series.is_known(id)
    }

    /// The number of a label set, given by name, if it is known; it counts as seen at `now_s`.
    pub(crate) fn get(&self, pairs: &[(&str, &str)], now_s: u32) -> Option<SeriesId> {
        let mut entries = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            entries.push(self.labels.find(name, value)?);
        }
        let id = self.find(&entries)?;
        self.series.touch(id, now_s);
        Some(SeriesId(id))
    }

    /// The number of a label set, given by name, if it is known.
    pub(crate) fn look_up<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<u32> {
        let entries: Option<Vec<u32>> =
            pairs.map(|(name, value)| self.labels.find(name, value)).collect();
        self.find(&entries?)
    }

    /// How many series there have ever been, those that are forgotten included.
    pub(crate) fn ever_known(&self) -> u32 {
        self.series.next().unwrap_or(u32::MAX)
    }

    fn find(&self, entries: &[u32]) -> Option<u32> {
        let is = |&id: &u32| self.series.entries(id) == Some(entries);
        self.by_entries.find(hash(entries), is).copied()
    }

    /// The number of a label set, which becomes known; an error if there are `limit` series already.
    pub(crate) fn insert(&mut self, labels: &Labels, limit: usize) -> Result<SeriesId, TsdbError> {
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        let limits = RegistryLimits { series: limit, label_bytes: usize::MAX };
        self.insert_pairs(&pairs, &limits, 0)
    }

    /// As [`Registry::insert`], for labels that are valid and stand by name; the series counts as seen at `now_s`.
    pub(crate) fn insert_pairs(
        &mut self,
        pairs: &[(&str, &str)],
        limits: &RegistryLimits,
        now_s: u32,
    ) -> Result<SeriesId, TsdbError> {
        let found: Vec<Option<u32>> =
            pairs.iter().map(|(name, value)| self.labels.find(name, value)).collect();
        if let Some(entries) = found.iter().copied().collect::<Option<Vec<u32>>>()
            && let Some(id) = self.find(&entries)
        {
            self.series.touch(id, now_s);
            return Ok(SeriesId(id));
        }
        let id = self.check_room(pairs, &found, limits)?;
        let entries: Vec<u32> = pairs
            .iter()
            .zip(found)
            .map(|(&(name, value), found)| match found {
                Some(entry) => {
                    self.labels.add_holder(entry, id);
                    entry
                }
                None => self.labels.add(name, value, id),
            })
            .collect();
        self.series.push(&entries, now_s);
        self.all.insert(id);
        let series = &self.series;
        let rehash = |&id: &u32| hash(series.entries(id).unwrap_or_default());
        self.by_entries.insert_unique(hash(&entries), id, rehash);
        Ok(SeriesId(id))
    }

    /// The number for a series whose labels were looked up before, if there is room for it.
    fn check_room(
        &self,
        pairs: &[(&str, &str)],
        found: &[Option<u32>],
        limits: &RegistryLimits,
    ) -> Result<u32, TsdbError> {
        if self.len() >= limits.series {
            return Err(TsdbError::SeriesLimit { limit: limits.series });
        }
        let new = pairs.iter().zip(found).filter(|(_, found)| found.is_none());
        let bytes: usize = new.map(|((name, value), _)| name.len() + value.len()).sum();
        if bytes > 0 {
            let held = self.label_bytes();
            if held.saturating_add(bytes) > limits.label_bytes {
                return Err(TsdbError::LabelMemory { limit: limits.label_bytes });
            }
            if !self.labels.text().has_room(2 * pairs.len()) {
                return Err(TsdbError::LabelMemory { limit: held });
            }
        }
        self.series.next().ok_or(TsdbError::SeriesLimit { limit: u32::MAX as usize })
    }

    /// Names and values of a series, by name; nothing if it is not known.
    pub(crate) fn label_pairs(
        &self,
        id: u32,
    ) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        let entries = self.series.entries(id).unwrap_or_default();
        entries.iter().map(|&entry| self.labels.texts_of(entry))
    }

    /// The label set of a series; the empty one if it is not known.
    pub(crate) fn labels(&self, id: u32) -> Labels {
        // Looked up once each, as they are gone through several times.
        let mut few = [("", ""); 16];
        let pairs = self.label_pairs(id);
        let count = pairs.len();
        let labels = if count <= few.len() {
            few.iter_mut().zip(pairs).for_each(|(place, pair)| *place = pair);
            Labels::from_sorted(few[..count].iter().copied())
        } else {
            Labels::from_sorted(pairs)
        };
        labels.expect("what is registered was checked")
    }

    /// The numbers of label names, of those that occur, for [`Registry::projected`].
    pub(crate) fn name_numbers(&self, names: &[String]) -> Vec<u32> {
        names.iter().filter_map(|name| self.labels.find_name(name)).collect()
    }

    /// Of the labels of a series those with one of these names, as numbers: equal for equal labels, until a series is forgotten.
    pub(crate) fn projected<'a>(
        &'a self,
        id: u32,
        names: &'a [u32],
    ) -> impl Iterator<Item = u32> + 'a {
        let entries = self.series.entries(id).unwrap_or_default();
        entries.iter().copied().filter(|&entry| names.contains(&self.labels.name_of(entry)))
    }

    /// The label set of what [`Registry::projected`] gave.
    pub(crate) fn labels_of(&self, entries: &[u32]) -> Labels {
        Labels::from_sorted(entries.iter().map(|&entry| self.labels.texts_of(entry)))
            .expect("what is registered was checked")
    }

    /// What is needed to sort these series by their labels without holding a lock on the registry.
    pub(crate) fn order_keys(&self, ids: impl Iterator<Item = u32>) -> OrderKeys {
        let rows = ids.map(|id| (id, self.series.entries(id).unwrap_or_default()));
        OrderKeys::new(rows, |entry| self.labels.texts_of(entry))
    }

    /// Every label name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.labels.names().map(|(name, _)| name)
    }

    /// Labels with most values: name and how many, the largest first.
    pub(crate) fn largest_labels(&self, count: usize) -> Vec<(String, usize)> {
        let mut sizes: Vec<(&str, usize)> = self.labels.names().collect();
        sizes.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        sizes.into_iter().take(count).map(|(name, values)| (name.into(), values)).collect()
    }

    /// Notes that series are in use.
    pub(crate) fn touch(&self, ids: impl Iterator<Item = u32>, now_s: u32) {
        ids.for_each(|id| self.series.touch(id, now_s));
    }

    /// How many pages of series there are; see [`Registry::seen_of_page`].
    pub(crate) fn pages(&self) -> usize {
        self.series.pages()
    }

    /// The series of a page, each with when it was last seen, in seconds of the clock that never jumps.
    pub(crate) fn seen_of_page(&self, page: usize) -> impl Iterator<Item = (u32, u32)> {
        self.series.seen_of_page(page)
    }

    /// Forgets series, all of one page; nothing of them is left.
    pub(crate) fn forget(&mut self, ids: &[u32]) {
        for &id in ids {
            let Some(entries) = self.series.entries(id) else { continue };
            if let Ok(found) = self.by_entries.find_entry(hash(entries), |&own| own == id) {
                found.remove();
            }
            for &entry in entries {
                self.labels.remove_holder(entry, id);
            }
            self.all.remove(id);
        }
        self.series.remove(ids);
    }

    /// After much was forgotten: begins to gather the texts that are left; says whether that is worth the work.
    pub(crate) fn begin_gathering(&mut self) -> bool {
        self.labels.choose_leaving_texts()
    }

    /// Gathers the texts of so many labels; returns where to go on, if there are more.
    pub(crate) fn gather(&mut self, from: usize, count: usize) -> Option<usize> {
        self.labels.settle_texts(from, count)
    }
}

fn hash(entries: &[u32]) -> u64 {
    let mixed = entries.iter().fold(entries.len() as u64, |hash, &entry| {
        let mixed = (hash ^ u64::from(entry)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 32
    });
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl LabelIndex for Registry {
    fn all(&self) -> RoaringBitmap {
        self.all.clone()
    }

    fn equal(&self, name: &str, value: &str) -> Result<RoaringBitmap, TsdbError> {
        Ok(self.labels.find(name, value).map(|entry| self.labels.bitmap(entry)).unwrap_or_default())
    }

    fn each_value(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, Holders<'_>),
    ) -> Result<(), TsdbError> {
        for (value, series) in self.labels.values(name) {
            if value.starts_with(prefix) {
                visit(value, series);
            }
        }
        Ok(())
    }

    fn source(&self, name: &str) -> (u64, u64) {
        (0, self.labels.version(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::resolve::resolve;
    use muster_series::Matcher;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const NO_LIMITS: RegistryLimits =
        RegistryLimits { series: usize::MAX, label_bytes: usize::MAX };

    fn insert(
        registry: &mut Registry,
        name: &str,
        host: &str,
        series: usize,
    ) -> Result<SeriesId, TsdbError> {
        let limits = RegistryLimits { series, label_bytes: 1000 };
        registry.insert_pairs(&[("__name__", name), ("host", host)], &limits, 0)
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        for (name, host) in [("up", "b"), ("up", "a"), ("load", "a")] {
            insert(&mut registry, name, host, 10).unwrap();
        }
        registry.insert_pairs(&[("__name__", "load")], &NO_LIMITS, 0).unwrap();
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
        check(&[("host", "=~", ".*")], &[0, 1, 2, 3]);
        check(&[("host", "!~", ".*")], &[]);
        check(&[("host", "!~", ".+")], &[3]);
        check(&[("host", "=~", "a|")], &[1, 2, 3]);
        check(&[("host", "!~", "a|")], &[0]);
        check(&[("host", "=~", "[^a]")], &[0]);
        check(&[("absent", "=", "x")], &[]);
        check(&[("absent", "=~", ".*")], &[0, 1, 2, 3]);
        check(&[("absent", "!=", "x"), ("__name__", "!~", "u.*")], &[2, 3]);
    }

    #[test]
    fn a_label_set_has_one_number_up_to_the_limits() {
        let mut registry = registry();
        assert_eq!(insert(&mut registry, "up", "a", 4).unwrap(), SeriesId(1));
        assert_eq!(registry.get(&[("__name__", "up"), ("host", "c")], 0), None);
        let error = insert(&mut registry, "up", "c", 4).unwrap_err();
        assert!(matches!(error, TsdbError::SeriesLimit { limit: 4 }));
        let error = insert(&mut registry, "up", &"x".repeat(1000), 5).unwrap_err();
        assert!(matches!(error, TsdbError::LabelMemory { .. }));
        assert_eq!(registry.len(), 4);
        assert_eq!(registry.labels(2).to_string(), r#"load{host="a"}"#);
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

    #[test]
    fn what_is_forgotten_leaves_nothing() {
        let mut registry = Registry::default();
        for round in 0..20_u32 {
            let ids: Vec<u32> = (0..3000)
                .map(|number| {
                    let pod = format!("pod-{round}-{number}");
                    let name = format!("label_{round}");
                    let pairs = [("__name__", "up"), (&*name, "x"), ("pod", &*pod)];
                    registry.insert_pairs(&pairs, &NO_LIMITS, round).unwrap().0
                })
                .collect();
            assert_eq!((registry.len(), registry.names().count()), (3000, 3));
            for of_page in ids.chunk_by(|a, b| a / 1024 == b / 1024) {
                registry.forget(of_page);
            }
        }
        assert_eq!((registry.len(), registry.label_bytes(), registry.names().count()), (0, 0, 0));
        assert!(registry.all().is_empty() && registry.by_entries.is_empty());
        assert!(!registry.is_known(100) && registry.labels(100).is_empty());
    }

    proptest! {
        #[test]
        fn the_registry_is_a_map(
            steps in proptest::collection::vec((0_u8..4, 0_u8..6, 0_u8..6), 1..200),
        ) {
            let mut registry = Registry::default();
            let mut model: BTreeMap<(u8, u8), u32> = BTreeMap::new();
            for (step, name, host) in steps {
                let (metric, host_name) = (format!("m{name}"), format!("web-{host}"));
                let pairs = [("__name__", &*metric), ("host", &*host_name)];
                let known = model.get(&(name, host)).copied();
                prop_assert_eq!(registry.get(&pairs, 0).map(|id| id.0), known);
                if step > 0 {
                    let id = registry.insert_pairs(&pairs, &NO_LIMITS, 0).unwrap().0;
                    prop_assert_eq!(id, known.unwrap_or(id));
                    model.insert((name, host), id);
                } else if let Some(id) = model.remove(&(name, host)) {
                    registry.forget(&[id]);
                }
                let selected = |name: &str, value: &str| -> Vec<u32> {
                    let found = resolve(&registry, &[Matcher::equal(name, value)]).unwrap();
                    found.iter().collect()
                };
                let of = |test: &dyn Fn(&(u8, u8)) -> bool| {
                    let mut ids: Vec<u32> =
                        model.iter().filter(|(key, _)| test(key)).map(|(_, &id)| id).collect();
                    ids.sort_unstable();
                    ids
                };
                prop_assert_eq!(selected("__name__", &metric), of(&|key| key.0 == name));
                prop_assert_eq!(selected("host", &host_name), of(&|key| key.1 == host));
                prop_assert_eq!(registry.all().iter().collect::<Vec<_>>(), of(&|_| true));
            }
        }
    }
}

//! Numbers the groups of series that agree in some of their labels, without making label sets for it.
//!
//! 1. The labels that count are hashed in place, once a series.
//! 2. Series of the same hash are compared label by label, so that a collision cannot join two groups.

use std::collections::HashMap;

use muster_series::{Labels, METRIC_NAME};
use xxhash_rust::xxh3::xxh3_64;

use crate::plan::Projection;

/// The groups met so far, numbered from 0 in the order of their first series.
pub(super) struct GroupIndex<'a> {
    projection: &'a Projection,
    /// A series of each group, and the number of the group, by hash.
    by_hash: HashMap<u64, Vec<(Labels, usize)>>,
    count: usize,
}

impl<'a> GroupIndex<'a> {
    pub(super) fn new(projection: &'a Projection) -> Self {
        Self { projection, by_hash: HashMap::new(), count: 0 }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The number of the group that a series belongs to; the next one if it is the first of its group.
    pub(super) fn number(&mut self, labels: &Labels) -> usize {
        let projection = self.projection;
        let known = self.by_hash.entry(projection.hash(labels)).or_default();
        if let Some((_, number)) = known.iter().find(|(other, _)| projection.agree(other, labels)) {
            return *number;
        }
        known.push((labels.clone(), self.count));
        self.count += 1;
        self.count - 1
    }

    /// The number of the group that a series would belong to, if there is that group.
    pub(super) fn find(&self, labels: &Labels) -> Option<usize> {
        let known = self.by_hash.get(&self.projection.hash(labels))?;
        let same = known.iter().find(|(other, _)| self.projection.agree(other, labels));
        same.map(|&(_, number)| number)
    }
}

impl Projection {
    fn named(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether a label is one of those that count.
    fn keeps(&self, name: &str) -> bool {
        if self.only { self.named(name) } else { name != METRIC_NAME && !self.named(name) }
    }

    /// The labels that count.
    pub(super) fn of(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| self.keeps(name))
    }

    fn hash(&self, labels: &Labels) -> u64 {
        let mut hash = 0;
        if self.only {
            for name in &self.names {
                hash = mix(hash, labels.get(name).unwrap_or(""));
            }
        } else {
            for (name, value) in labels.iter().filter(|(name, _)| self.keeps(name)) {
                hash = mix(mix(hash, name), value);
            }
        }
        hash
    }

    fn agree(&self, a: &Labels, b: &Labels) -> bool {
        if self.only {
            return self.names.iter().all(|name| a.get(name) == b.get(name));
        }
        let counts = |pair: &(&str, &str)| self.keeps(pair.0);
        a.iter().filter(counts).eq(b.iter().filter(counts))
    }
}

fn mix(hash: u64, text: &str) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    (hash.rotate_left(23) ^ xxh3_64(text.as_bytes())).wrapping_mul(ODD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(only: bool, names: &[&str], sets: &[&[(&str, &str)]], expected: &[usize]) {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let projection = Projection { only, names };
        let mut index = GroupIndex::new(&projection);
        let sets: Vec<Labels> =
            sets.iter().map(|set| Labels::from_pairs(set.iter().copied()).unwrap()).collect();
        let numbers: Vec<usize> = sets.iter().map(|labels| index.number(labels)).collect();
        assert_eq!(numbers, expected);
        let found: Vec<Option<usize>> = sets.iter().map(|labels| index.find(labels)).collect();
        assert_eq!(found, expected.iter().map(|&number| Some(number)).collect::<Vec<_>>());
        assert_eq!(index.find(&Labels::from_pairs([("new", "1"), ("a", "new")]).unwrap()), None);
    }

    #[test]
    fn series_that_agree_share_a_group() {
        let sets: &[&[(&str, &str)]] = &[
            &[("__name__", "m"), ("a", "1"), ("b", "1")],
            &[("__name__", "n"), ("a", "1"), ("b", "2")],
            &[("__name__", "m"), ("a", "2"), ("b", "1")],
            &[("__name__", "m"), ("b", "1")],
            &[("a", "1"), ("b", "1")],
        ];
        check(true, &["a"], sets, &[0, 0, 1, 2, 0]);
        check(true, &["a", "b"], sets, &[0, 1, 2, 3, 0]);
        check(true, &["__name__", "b"], sets, &[0, 1, 0, 0, 2]);
        check(false, &["b"], sets, &[0, 0, 1, 2, 0]);
        check(false, &[], sets, &[0, 1, 2, 3, 0]);
    }

    #[test]
    fn a_name_is_not_a_value() {
        check(false, &[], &[&[("a", "b"), ("c", "d")], &[("a", "bc"), ("d", "d")]], &[0, 1]);
    }
}

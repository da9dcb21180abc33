//! Which labels make the many series: a census of label sets, each counted once however often it is stored.

use std::collections::{HashMap, HashSet};

use muster_series::Labels;
use xxhash_rust::xxh3::xxh3_64;

/// How many labels and names are told.
const TOP: usize = 10;

/// Which series and labels there are; lists have the largest first, ten at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Different label sets.
    pub series: u64,
    /// Label names, and how many different values each has.
    pub values_by_label: Vec<(String, u64)>,
    /// Metric names, and how many series each has.
    pub series_by_metric: Vec<(String, u64)>,
    /// Label names, and how many bytes their names and values take in all series.
    pub bytes_by_label: Vec<(String, u64)>,
}

#[derive(Default)]
struct Label {
    /// Hashes of the values: eight bytes for each, however long it is.
    values: HashSet<u64>,
    bytes: u64,
}

/// Counts label sets.
#[derive(Default)]
pub(super) struct Census {
    series: HashSet<u64>,
    labels: HashMap<String, Label>,
    metrics: HashMap<String, u64>,
}

impl Census {
    /// Counts a label set, unless it was counted before.
    pub(super) fn count(&mut self, labels: &Labels) {
        if !self.series.insert(labels.fingerprint()) {
            return;
        }
        for (name, value) in labels.iter() {
            let label = match self.labels.get_mut(name) {
                Some(label) => label,
                None => self.labels.entry(name.to_owned()).or_default(),
            };
            label.values.insert(xxh3_64(value.as_bytes()));
            label.bytes += (name.len() + value.len()) as u64;
            if name == "__name__" {
                *self.metrics.entry(value.to_owned()).or_default() += 1;
            }
        }
    }

    pub(super) fn sum_up(&self) -> Cardinality {
        let values = self.labels.iter().map(|(name, label)| (name, label.values.len() as u64));
        let bytes = self.labels.iter().map(|(name, label)| (name, label.bytes));
        Cardinality {
            series: self.series.len() as u64,
            values_by_label: largest(values),
            series_by_metric: largest(self.metrics.iter().map(|(name, count)| (name, *count))),
            bytes_by_label: largest(bytes),
        }
    }
}

fn largest<'a>(counts: impl Iterator<Item = (&'a String, u64)>) -> Vec<(String, u64)> {
    let mut counts: Vec<(&String, u64)> = counts.collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    counts.into_iter().take(TOP).map(|(name, count)| (name.clone(), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_set_counts_once_and_the_largest_come_first() {
        let mut census = Census::default();
        for host in ["a", "b", "b", "c"] {
            let pairs = [("__name__", "up"), ("host", host)];
            census.count(&Labels::from_pairs(pairs).unwrap());
        }
        census.count(&Labels::from_pairs([("__name__", "load")]).unwrap());
        let counted = |name: &str, count| (name.to_owned(), count);
        let expected = Cardinality {
            series: 4,
            values_by_label: vec![counted("host", 3), counted("__name__", 2)],
            series_by_metric: vec![counted("up", 3), counted("load", 1)],
            bytes_by_label: vec![counted("__name__", 42), counted("host", 15)],
        };
        assert_eq!(census.sum_up(), expected);
    }
}

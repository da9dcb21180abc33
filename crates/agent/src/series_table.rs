//! The agent's own numbers for series, whatever they came from.
//!
//! Collectors number their series, a spool file numbers those in it; here each label set has one
//! number, so that the server is told its name once. Numbers are never used again.

use std::collections::{HashMap, HashSet};

use muster_series::Labels;

/// Label sets by number, and back.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    labels: HashMap<u32, Labels>,
    numbers: HashMap<Labels, u32>,
    next: u32,
}

impl SeriesTable {
    /// The number of a label set, a new one if it has none.
    pub(crate) fn number_of(&mut self, labels: Labels) -> u32 {
        if let Some(&number) = self.numbers.get(&labels) {
            return number;
        }
        let number = self.next;
        self.next += 1;
        self.labels.insert(number, labels.clone());
        self.numbers.insert(labels, number);
        number
    }

    /// The labels of a number.
    pub(crate) fn labels_of(&self, number: u32) -> Option<Labels> {
        self.labels.get(&number).cloned()
    }

    /// How many series are known.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Forgets all series but these.
    pub(crate) fn retain(&mut self, used: &HashSet<u32>) {
        self.labels.retain(|number, _| used.contains(number));
        self.numbers.retain(|_, number| used.contains(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_set_keeps_its_number_until_it_is_forgotten() {
        let labels = |name: &str| Labels::from_pairs([("__name__", name)]).unwrap();
        let mut table = SeriesTable::default();
        assert_eq!((table.number_of(labels("a")), table.number_of(labels("b"))), (0, 1));
        assert_eq!(table.number_of(labels("a")), 0);
        table.retain(&HashSet::from([1]));
        assert_eq!((table.labels_of(0), table.len()), (None, 1));
        assert_eq!(table.number_of(labels("a")), 2);
        assert_eq!(table.number_of(labels("b")), 1);
    }
}

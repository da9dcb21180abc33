//! Numbers for the names of metrics, so that a session can remember what each of its series is called at four bytes each.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// The most names that get a number; beyond, a metric nudges nobody.
const MAX_NAMES: usize = 200_000;

/// The number of a metric's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MetricNumber(u32);

/// All names that were ever numbered.
#[derive(Default)]
pub(crate) struct MetricNames {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    numbers: HashMap<Arc<str>, MetricNumber>,
    names: Vec<Arc<str>>,
}

impl MetricNames {
    /// The number of a name.
    pub(crate) fn number(&self, name: &str) -> MetricNumber {
        if let Some(number) = self.known.read().numbers.get(name) {
            return *number;
        }
        let mut known = self.known.write();
        if let Some(number) = known.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(known.names.len()).unwrap_or(u32::MAX);
        if known.names.len() >= MAX_NAMES {
            return MetricNumber(u32::MAX);
        }
        let name: Arc<str> = name.into();
        known.names.push(Arc::clone(&name));
        known.numbers.insert(name, MetricNumber(number));
        MetricNumber(number)
    }

    /// The names of numbers.
    pub(crate) fn names(&self, numbers: &[MetricNumber]) -> Vec<Arc<str>> {
        let known = self.known.read();
        numbers.iter().filter_map(|number| known.names.get(number.0 as usize).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let names = MetricNames::default();
        let (up, load) = (names.number("up"), names.number("node_load1"));
        assert_eq!(names.number("up"), up);
        let texts: Vec<String> = names.names(&[load, up]).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["node_load1", "up"]);
    }
}

//! The newest value of every series of a source, as families of the Prometheus text format: for people
//! (`muster agent --once`) and for an existing Prometheus ([`crate::serve_metrics`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use muster_collectors::metric_of;
use muster_environment::Clock;
use muster_exposition::{Family, Kind};
use muster_series::{Labels, is_stale_marker};

use crate::source::{Source, Tick};

/// Collects from a source on demand.
pub struct Scraper {
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    /// By the source's number.
    series: HashMap<u32, (Labels, f64)>,
}

impl Scraper {
    /// Collects from this source, which nobody else may use.
    pub fn new(source: Box<dyn Source>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, series: HashMap::new() }
    }

    /// Collects what is due now: families by name, their series by labels. What the source brings less often has its newest
    /// value. It may block.
    pub fn collect(&mut self) -> Vec<Family> {
        let collection = self.source.collect(Tick::Full, self.clock.now_ms());
        let named = collection.new_series.into_iter();
        let mut fresh: HashMap<u32, Labels> = named.collect();
        for (number, value) in collection.samples {
            if is_stale_marker(value) {
                self.series.remove(&number);
            } else if let Some((_, newest)) = self.series.get_mut(&number) {
                *newest = value;
            } else if let Some(labels) = fresh.remove(&number) {
                self.series.insert(number, (labels, value));
            }
        }
        let mut newest: BTreeMap<&str, BTreeMap<&Labels, f64>> = BTreeMap::new();
        for (labels, value) in self.series.values() {
            let name = labels.metric_name().unwrap_or_default();
            newest.entry(name).or_default().insert(labels, *value);
        }
        newest.into_iter().map(|(name, series)| family(name, series)).collect()
    }
}

impl std::fmt::Debug for Scraper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scraper").field("series", &self.series.len()).finish_non_exhaustive()
    }
}

fn family(name: &str, series: BTreeMap<&Labels, f64>) -> Family {
    use muster_collectors::Kind as Told;
    let metric = metric_of(name);
    let kind = match metric.map(|metric| metric.kind) {
        Some(Told::Counter) => Kind::Counter,
        Some(Told::Gauge | Told::Info) => Kind::Gauge,
        Some(Told::Untyped) | None => Kind::Untyped,
    };
    let mut family = Family::new(name, kind, metric.map_or("", |metric| metric.help));
    for (labels, value) in series {
        family.push_labels(labels.clone(), value);
    }
    family
}

#[cfg(test)]
mod tests {
    use muster_environment::ManualClock;
    use muster_series::stale_marker;

    use super::*;
    use crate::source::Collection;

    /// Brings one collection after the other.
    struct Scripted(Vec<Collection>);

    impl Source for Scripted {
        fn collect(&mut self, tick: Tick, _now_ms: i64) -> Collection {
            assert_eq!(tick, Tick::Full);
            self.0.remove(0)
        }
    }

    fn labels(name: &str, device: &str) -> Labels {
        Labels::from_pairs([("__name__", name), ("device", device)]).unwrap()
    }

    #[test]
    fn families_have_what_is_there_now() {
        let first = Collection {
            new_series: vec![
                (1, labels("node_network_up", "eth1")),
                (2, labels("node_network_up", "eth0")),
                (3, labels("a_metric", "x")),
            ],
            samples: vec![(1, 1.0), (2, 0.0), (3, 2.5)],
            ..Collection::default()
        };
        let second =
            Collection { samples: vec![(1, stale_marker()), (2, 1.0)], ..Collection::default() };
        let source = Box::new(Scripted(vec![first, second]));
        let mut scraper = Scraper::new(source, Arc::new(ManualClock::at(0)));
        let text = muster_exposition::write(&scraper.collect());
        let expected = "a_metric{device=\"x\"} 2.5\n\
                        # HELP node_network_up Value is 1 if operstate is 'up', 0 otherwise.\n\
                        # TYPE node_network_up gauge\n\
                        node_network_up{device=\"eth0\"} 0\n\
                        node_network_up{device=\"eth1\"} 1\n";
        assert_eq!(text, expected);
        let text = muster_exposition::write(&scraper.collect());
        assert!(text.ends_with("node_network_up{device=\"eth0\"} 1\n"), "{text}");
        assert_eq!(scraper.series.len(), 2);
    }
}

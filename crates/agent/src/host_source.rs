//! This host as a source of samples: its collectors.

use std::fmt;
use std::sync::Arc;

use muster_collectors::{Cadence, CollectorSettings, Registry, Roots, Watcher};
use muster_environment::Clock;

use crate::source::{Collection, Source, Tick};
use crate::textfile;

/// How often the collectors of medium cadence run, on the grid of the wall clock.
const MEDIUM_INTERVAL_MS: i64 = 10_000;

/// Runs the collectors of a host.
pub struct HostSource {
    registry: Registry,
    clock: Arc<dyn Clock>,
    /// The step of the wall clock in which the collectors of medium cadence ran last.
    medium_step: Option<i64>,
}

impl HostSource {
    /// All collectors, reading below `roots`.
    pub fn new(roots: &Roots, clock: Arc<dyn Clock>) -> Self {
        let roots = Roots { parse_text: Some(textfile::parser()), ..roots.clone() };
        Self { registry: Registry::new(&roots), clock, medium_step: None }
    }
}

impl Source for HostSource {
    fn collect(&mut self, tick: Tick, now_ms: i64) -> Collection {
        let mut all = self.registry.collect(Cadence::Fast, &*self.clock);
        let step = Some(now_ms.div_euclid(MEDIUM_INTERVAL_MS));
        let is_due =
            [(Cadence::Medium, self.medium_step != step), (Cadence::Slow, tick == Tick::Full)];
        self.medium_step = step;
        for (cadence, _) in is_due.into_iter().filter(|(_, due)| *due) {
            let more = self.registry.collect(cadence, &*self.clock);
            all.new_series.extend(more.new_series);
            all.samples.extend(more.samples);
        }
        Collection { new_series: all.new_series, samples: all.samples, ..Collection::default() }
    }

    fn watchers(&self) -> Vec<Box<dyn Watcher>> {
        self.registry.watchers()
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        self.registry.configure(settings);
    }
}

impl fmt::Debug for HostSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSource").field("registry", &self.registry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use muster_environment::ManualClock;

    use super::*;

    #[test]
    fn a_full_tick_brings_the_slow_collectors_too() {
        let mut source = HostSource::new(&Roots::default(), Arc::new(ManualClock::at(0)));
        let fast = source.collect(Tick::Fast, 0);
        assert!(fast.new_series.iter().any(|(_, l)| l.metric_name() == Some("node_load1")));
        let full = source.collect(Tick::Full, 0);
        assert!(!full.new_series.is_empty(), "the slow ones name their series now");
        assert!(full.samples.len() > fast.samples.len());
    }
}

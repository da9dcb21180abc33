//! A simulated host as what `muster-agent` collects from.

use muster_agent::{Collection, Source, Tick};

use crate::{HostModel, Pace};

/// Gives an agent the samples of a [`HostModel`], as collectors would give those of a real host.
#[derive(Debug)]
pub struct ModelSource {
    host: HostModel,
    named: bool,
}

impl ModelSource {
    /// The samples of this host.
    pub fn new(host: HostModel) -> Self {
        Self { host, named: false }
    }
}

impl Source for ModelSource {
    fn collect(&mut self, tick: Tick, now_ms: i64) -> Collection {
        let mut collection = Collection::default();
        let numbered = (0_u32..).zip(self.host.series());
        if !self.named {
            collection.new_series = numbered
                .clone()
                .map(|(number, series)| (number, series.labels().clone()))
                .collect();
            self.named = true;
        }
        collection.samples = numbered
            .filter(|(_, series)| tick == Tick::Full || series.pace() == Pace::Fast)
            .map(|(number, series)| (number, series.value(now_ms)))
            .collect();
        collection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_named_once_and_slow_ones_come_with_full_ticks() {
        let host = HostModel::new(1, 2);
        let mut source = ModelSource::new(host.clone());
        let first = source.collect(Tick::Full, 1_795_000_000_000);
        assert_eq!(first.new_series.len(), host.series().len());
        assert_eq!(first.samples.len(), host.series().len());
        let second = source.collect(Tick::Fast, 1_795_000_001_000);
        assert!(second.new_series.is_empty());
        let fast = host.series().iter().filter(|series| series.pace() == Pace::Fast).count();
        assert_eq!(second.samples.len(), fast);
        for (number, value) in second.samples {
            assert_eq!(value, host.series()[number as usize].value(1_795_000_001_000));
        }
    }
}

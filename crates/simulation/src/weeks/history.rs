//! The series of one host in memory, which rules are evaluated over.

use std::collections::HashMap;

use muster_promql::{SeriesSource, SourceError};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};

/// What a host told, in time order.
#[derive(Debug, Default)]
pub(super) struct History {
    series: Vec<SeriesColumns>,
    places: HashMap<(&'static str, &'static str), usize>,
    instance: String,
}

impl History {
    /// Nothing is told yet.
    pub(super) fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), ..Self::default() }
    }

    /// Adds a sample, later than all of the same series. `labels` are as in `device="sda",kind="io"`.
    pub(super) fn push(
        &mut self,
        name: &'static str,
        labels: &'static str,
        at_ms: i64,
        value: f64,
    ) {
        let Self { series, places, instance } = self;
        let place = *places.entry((name, labels)).or_insert_with(|| {
            series.push(SeriesColumns::new(labels_of(name, labels, instance)));
            series.len() - 1
        });
        let one = &mut series[place];
        if one.timestamps.last().is_none_or(|&last| last < at_ms) {
            one.timestamps.push(at_ms);
            one.values.push(value);
        }
    }

    /// The samples of a series.
    pub(super) fn of(&self, name: &'static str, labels: &'static str) -> Option<&SeriesColumns> {
        self.places.get(&(name, labels)).map(|&place| &self.series[place])
    }
}

fn labels_of(name: &str, labels: &str, instance: &str) -> Labels {
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    pairs.fold(
        Labels::empty().with("__name__", name).with("instance", instance),
        |labels, (name, value)| labels.with(name, value.trim_matches('"')),
    )
}

impl SeriesSource for History {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        let fits = |labels: &Labels| {
            matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or("")))
        };
        let cut = |series: &SeriesColumns| {
            let from = series.timestamps.partition_point(|&time| time < range.start_ms);
            let to = series.timestamps.partition_point(|&time| time <= range.end_ms).max(from);
            SeriesColumns {
                labels: series.labels.clone(),
                timestamps: series.timestamps[from..to].to_vec(),
                values: series.values[from..to].to_vec(),
            }
        };
        let found = self.series.iter().filter(|series| fits(&series.labels));
        Ok(found.map(cut).filter(|series| !series.is_empty()).collect())
    }
}

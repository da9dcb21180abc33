//! A source of series that is a vector.

use muster_promql::{SeriesSource, SourceError};
use muster_series::{Matcher, SeriesColumns, TimeRange};

/// Series in memory.
#[derive(Default)]
pub(crate) struct Memory(Vec<SeriesColumns>);

impl Memory {
    /// Adds samples; those of a known series and time replace the old ones.
    pub(crate) fn add(&mut self, added: &SeriesColumns) {
        let known = self.0.iter().position(|series| series.labels == added.labels);
        let at = known.unwrap_or_else(|| {
            self.0.push(SeriesColumns::new(added.labels.clone()));
            self.0.len() - 1
        });
        let series = &mut self.0[at];
        for sample in added.samples() {
            match series.timestamps.binary_search(&sample.timestamp_ms) {
                Ok(at) => series.values[at] = sample.value,
                Err(at) => {
                    series.timestamps.insert(at, sample.timestamp_ms);
                    series.values.insert(at, sample.value);
                }
            }
        }
    }
}

impl SeriesSource for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        let fits = |series: &&SeriesColumns| {
            matchers.iter().all(|m| m.matches(series.labels.get(m.name()).unwrap_or("")))
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
        Ok(self.0.iter().filter(fits).map(cut).collect())
    }
}

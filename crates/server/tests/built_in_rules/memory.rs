//! Series in memory, written as tests of Prometheus's rules write them.

use muster_alerting::parse_values;
use muster_promql::{SeriesSource, SourceError};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};

const MINUTE_MS: i64 = 60_000;

/// Series with a sample a minute from 1970 on.
pub(crate) struct Memory(Vec<SeriesColumns>);

impl Memory {
    /// One series a line: a selector of equal matchers, then values as tests of Prometheus's rules write them.
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Self(lines.map(read_series).collect())
    }

    pub(crate) fn end_ms(&self) -> i64 {
        self.0.iter().filter_map(|series| series.timestamps.last()).max().copied().unwrap_or(0)
    }
}

fn read_series(line: &str) -> SeriesColumns {
    let (selector, values) = line.split_once(' ').expect("a series and its values");
    let matchers = muster_promql::parse_selector(selector).expect("a series");
    let pairs = matchers.iter().map(|matcher| (matcher.name(), matcher.value()));
    let labels = Labels::from_pairs(pairs).expect("labels").with("job", "node");
    let mut series = SeriesColumns::new(labels);
    for (at, value) in (0..).zip(parse_values(values).expect("values")) {
        if let Some(value) = value {
            series.timestamps.push(at * MINUTE_MS);
            series.values.push(value);
        }
    }
    series
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
        let found = self.0.iter().filter(fits).map(cut);
        Ok(found.filter(|series| !series.is_empty()).collect())
    }
}

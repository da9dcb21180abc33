//! What Prometheus's API tells of the server itself: version, settings, how much is stored, and what it can do.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use muster_promql::Options;
use muster_series::{Labels, METRIC_NAME, MatchOp, Matcher, TimeRange, format_duration_ms};
use serde_json::{Value, json};

use super::authority::Reader;
use super::prometheus_params::{Params, QUERY_TIMEOUT};
use super::prometheus_reply::{PromFailure, data_answer, data_reply};
use super::prometheus_work::answer;
use crate::app::App;

/// The Prometheus whose API this is; clients decide by it what they may ask.
const PROMETHEUS_VERSION: &str = "3.8.0";
/// How far back a series may have its newest sample to be counted as one that is written to.
const RECENT_MS: i64 = 3_600_000;
/// The most series that are counted.
const MAX_COUNTED_SERIES: usize = 200_000;
/// How many rows a table of counts has, unless a client asks for another number.
const ROWS: usize = 10;
/// The most rows that a client may ask for, as in Prometheus.
const MAX_ROWS: usize = 10_000;

/// What Grafana asks to learn which Prometheus it talks to. There must be no `features` here: they would make it
/// look like Mimir.
pub(crate) async fn build_info(_: Reader) -> Response {
    data_reply(&json!({
        "version": PROMETHEUS_VERSION,
        "revision": concat!("muster-", env!("CARGO_PKG_VERSION")),
        "branch": "muster",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// What of Prometheus 3 there is.
pub(crate) async fn features(_: Reader) -> Response {
    data_reply(&json!({
        "api": {
            "admin": false,
            "exclude_alerts": true,
            "label_values_match": true,
            "lifecycle": false,
            "query_stats": true,
            "query_warnings": true,
            "time_range_labels": true,
            "time_range_series": true,
        },
        "promql": {
            "at_modifier": true,
            "bool": true,
            "by": true,
            "delayed_name_removal": true,
            "group_left": true,
            "group_right": true,
            "ignoring": true,
            "negative_offset": true,
            "offset": true,
            "on": true,
            "per_query_lookback_delta": true,
            "subqueries": true,
            "without": true,
        },
        "tsdb": { "exemplars": false, "native_histograms": false, "out_of_order": true },
    }))
}

/// The configuration in Prometheus's format: there is none, as agents push.
pub(crate) async fn config(_: Reader) -> Response {
    let yaml =
        "# Muster has no Prometheus configuration: agents push what they collect.\nglobal: {}\n";
    data_reply(&json!({ "yaml": yaml }))
}

/// The settings by the names of Prometheus's flags.
pub(crate) async fn flags(_: Reader, State(app): State<Arc<App>>) -> Response {
    let options = Options::default();
    data_reply(&json!({
        "query.lookback-delta": format_duration_ms(options.lookback_ms),
        "query.max-concurrency": crate::app::CONCURRENT_QUERIES.to_string(),
        "query.max-samples": crate::store::MAX_SAMPLES.to_string(),
        "query.timeout": format!("{}s", QUERY_TIMEOUT.as_secs()),
        "storage.tsdb.retention.time": format_duration_ms(app.config.retention_ms),
    }))
}

/// The process.
pub(crate) async fn runtime_info(_: Reader, State(app): State<Arc<App>>) -> Response {
    let stats = app.store.stats();
    let started = time_text(app.started_ms);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    data_reply(&json!({
        "startTime": started,
        "CWD": "",
        "hostname": std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim(),
        "serverTime": time_text(app.clock.now_ms()),
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": stats.quarantined + stats.damaged_chunks,
        "goroutineCount": 0,
        "GOMAXPROCS": cores,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": format_duration_ms(app.config.retention_ms),
    }))
}

/// How far the log has been read at the start: a server that answers has read it all.
pub(crate) async fn wal_replay(_: Reader) -> Response {
    data_reply(&json!({ "min": 0, "max": 0, "current": 0, "state": "done" }))
}

/// A moment as RFC 3339.
pub(super) fn time_text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}

/// Which labels make most of the series that were written to lately.
pub(crate) async fn tsdb(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let rows = params.number("limit")?.unwrap_or(ROWS);
    if rows == 0 || rows > MAX_ROWS {
        return Err(PromFailure::bad_data(&format!("limit must be from 1 to {MAX_ROWS}")));
    }
    let now_ms = app.clock.now_ms();
    answer(&app, &who, params.allowance()?, move |store, _| {
        let stats = store.stats();
        let named = Matcher::new(METRIC_NAME, MatchOp::NotEqual, "")
            .map_err(|_| PromFailure::internal())?;
        let range = TimeRange::new(now_ms - RECENT_MS, i64::MAX);
        let series = store.series_labels(&[vec![named]], range, MAX_COUNTED_SERIES)?;
        let counts = Cardinality::of(&series);
        let data = json!({
            "headStats": {
                "numSeries": stats.series,
                "numLabelPairs": counts.pairs.len(),
                "chunkCount": 0,
                "minTime": range.start_ms,
                "maxTime": now_ms,
            },
            "seriesCountByMetricName": top(rows, counts.by_name()),
            "labelValueCountByLabelName": top(rows, counts.values_by_label()),
            "memoryInBytesByLabelName": top(rows, counts.bytes_by_label()),
            "seriesCountByLabelValuePair": top(rows, counts.by_pair()),
        });
        Ok(data_answer(&data))
    })
    .await
}

/// How many series have each pair of label and value.
struct Cardinality<'a> {
    pairs: HashMap<(&'a str, &'a str), u64>,
}

impl<'a> Cardinality<'a> {
    fn of(series: &'a [Labels]) -> Self {
        let mut pairs = HashMap::new();
        for pair in series.iter().flat_map(Labels::iter) {
            *pairs.entry(pair).or_insert(0) += 1;
        }
        Self { pairs }
    }

    fn by_name(&self) -> HashMap<String, u64> {
        let names = self.pairs.iter().filter(|((label, _), _)| *label == METRIC_NAME);
        names.map(|((_, name), count)| ((*name).to_owned(), *count)).collect()
    }

    fn by_pair(&self) -> HashMap<String, u64> {
        self.pairs
            .iter()
            .map(|((label, value), count)| (format!("{label}={value}"), *count))
            .collect()
    }

    fn values_by_label(&self) -> HashMap<String, u64> {
        self.summed(|_| 1)
    }

    fn bytes_by_label(&self) -> HashMap<String, u64> {
        self.summed(|value| value.len() as u64)
    }

    fn summed(&self, weight: impl Fn(&str) -> u64) -> HashMap<String, u64> {
        let mut sums = HashMap::new();
        for (label, value) in self.pairs.keys() {
            *sums.entry((*label).to_owned()).or_insert(0) += weight(value);
        }
        sums
    }
}

/// The greatest counts, the greatest first; equal ones by name.
fn top(rows: usize, counts: HashMap<String, u64>) -> Vec<Value> {
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(rows);
    counts.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_greatest_first() {
        let labels = |pairs: [(&str, &str); 2]| Labels::from_pairs(pairs).unwrap();
        let series = [
            labels([("__name__", "up"), ("job", "a")]),
            labels([("__name__", "up"), ("job", "bcd")]),
            labels([("__name__", "x"), ("job", "a")]),
        ];
        let counts = Cardinality::of(&series);
        let row = |name: &str, value: u64| json!({ "name": name, "value": value });
        assert_eq!(top(9, counts.by_name()), [row("up", 2), row("x", 1)]);
        assert_eq!(top(9, counts.values_by_label()), [row("__name__", 2), row("job", 2)]);
        assert_eq!(top(9, counts.bytes_by_label()), [row("job", 4), row("__name__", 3)]);
        assert_eq!(top(2, counts.by_pair()), [row("__name__=up", 2), row("job=a", 2)]);
    }
}

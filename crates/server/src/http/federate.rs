//! `/federate`: the newest samples of chosen series, in Prometheus's text format, for another Prometheus to scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use muster_exposition::{CONTENT_TYPE, Family, Kind, Point, write};
use muster_series::{Labels, Matcher, Sample, SeriesColumns, TimeRange, is_stale_marker};

use super::authority::Reader;
use super::prometheus_params::Params;
use super::prometheus_reply::PromFailure;
use super::prometheus_work::answer_as;
use crate::app::App;
use crate::store::{MetricStore, QueryRun};

/// How old a sample may be: as old as PromQL looks back.
const LOOKBACK_MS: i64 = 300_000;

/// Writes the newest sample of each series that any `match[]` selects.
pub(crate) async fn federate(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let sets = params.required_selectors()?;
    let now_ms = app.clock.now_ms();
    answer_as(CONTENT_TYPE, &app, &who, params.allowance()?, move |store, run, out| {
        for family in families(store, &sets, now_ms, run)? {
            out.text().extend_from_slice(write(&[family]).as_bytes());
            out.turn()?;
        }
        Ok(())
    })
    .await
}

fn families(
    store: &dyn MetricStore,
    sets: &[Vec<Matcher>],
    now_ms: i64,
    run: &QueryRun,
) -> Result<Vec<Family>, PromFailure> {
    // A look-back leaves its beginning out.
    let range = TimeRange::new(now_ms - LOOKBACK_MS + 1, now_ms);
    let mut newest: BTreeMap<Labels, Sample> = BTreeMap::new();
    for matchers in sets {
        let found = store.select_last(matchers, range, run)?;
        newest.extend(
            found
                .into_iter()
                .filter_map(|series| Some((last(&series)?, series.labels)))
                .map(|(sample, labels)| (labels, sample)),
        );
    }
    Ok(by_name(newest))
}

/// The last sample of a series that has not ended.
fn last(series: &SeriesColumns) -> Option<Sample> {
    series.samples().next_back().filter(|sample| !is_stale_marker(sample.value))
}

fn by_name(newest: BTreeMap<Labels, Sample>) -> Vec<Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for (labels, Sample { timestamp_ms, value }) in newest {
        // What has no name cannot be written.
        let Some(name) = labels.metric_name().map(str::to_owned) else { continue };
        let family =
            families.entry(name).or_insert_with_key(|name| Family::new(name, Kind::Untyped, ""));
        family.points.push(Point { labels, value, timestamp_ms: Some(timestamp_ms) });
    }
    families.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_by_name_with_the_times_of_their_samples() {
        let labels =
            |name: &str, job: &str| Labels::from_pairs([("__name__", name), ("job", job)]).unwrap();
        let sample = |timestamp_ms, value| Sample { timestamp_ms, value };
        let newest = BTreeMap::from([
            (labels("up", "b"), sample(2, 0.0)),
            (labels("load", "a"), sample(1, 1.5)),
            (labels("up", "a"), sample(3, 1.0)),
            (Labels::from_pairs([("job", "x")]).unwrap(), sample(3, 1.0)),
        ]);
        assert_eq!(
            write(&by_name(newest)),
            "load{job=\"a\"} 1.5 1\nup{job=\"a\"} 1 3\nup{job=\"b\"} 0 2\n"
        );
    }

    #[test]
    fn a_series_that_ended_has_no_newest_sample() {
        let mut series = SeriesColumns::new(Labels::empty());
        series.timestamps = vec![1, 2];
        series.values = vec![1.0, muster_series::stale_marker()];
        assert_eq!(last(&series).map(|sample| sample.value), None);
        series.values[1] = 2.0;
        assert_eq!(last(&series).map(|sample| sample.value), Some(2.0));
    }
}

//! `/federate`: the newest samples of chosen series, in Prometheus's text format, for another Prometheus to scrape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec;

use axum::extract::State;
use axum::response::Response;
use muster_exposition::{CONTENT_TYPE, Family, Kind, Point, write};
use muster_series::{Labels, Matcher, Sample, SeriesColumns, TimeRange, is_stale_marker};

use super::answer::{Answer, AnswerError, PIECE, Rest};
use super::authority::Reader;
use super::prometheus_json::labels_held;
use super::prometheus_params::Params;
use super::prometheus_reply::PromFailure;
use super::prometheus_work::answer_as;
use crate::app::App;
use crate::store::{MetricStore, QueryRun};

/// How old a sample may be: as old as PromQL looks back.
const LOOKBACK_MS: i64 = 300_000;
/// How many points are written before the length of the piece is looked at.
const POINTS_AT_ONCE: usize = 100;

/// Writes the newest sample of each series that any `match[]` selects.
pub(crate) async fn federate(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let sets = params.required_selectors()?;
    let now_ms = app.clock.now_ms();
    answer_as(CONTENT_TYPE, &app, &who, params.allowance()?, move |store, run| {
        let families = families(store, &sets, now_ms, run)?.into_iter();
        Ok(Answer::new(Vec::new(), Families { left: families, open: None }, Vec::new()))
    })
    .await
}

/// Families that are not written yet.
struct Families {
    left: vec::IntoIter<Family>,
    open: Option<(Family, vec::IntoIter<Point>)>,
}

impl Rest for Families {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, AnswerError> {
        while out.len() < PIECE {
            if let Some((family, points)) = &mut self.open {
                // A family without help and type has no head, so that its parts are written as families.
                family.points.clear();
                family.points.extend(points.take(POINTS_AT_ONCE));
                out.extend_from_slice(write(std::slice::from_ref(family)).as_bytes());
                if points.len() == 0 {
                    self.open = None;
                }
            } else if let Some(mut family) = self.left.next() {
                let points = std::mem::take(&mut family.points);
                self.open = Some((family, points.into_iter()));
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn held(&self) -> usize {
        let open = self.open.iter().flat_map(|(_, points)| points.as_slice());
        let points = open.chain(self.left.as_slice().iter().flat_map(|family| &family.points));
        points.map(|point| size_of::<Point>() + labels_held(&point.labels)).sum()
    }
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
    fn a_large_family_is_written_in_pieces() {
        let points = (0..5_000).map(|n: i64| Point {
            labels: Labels::from_pairs([("__name__", "m"), ("n", &n.to_string())]).unwrap(),
            value: 1.0,
            timestamp_ms: Some(n),
        });
        let mut family = Family::new("m", Kind::Untyped, "");
        family.points.extend(points);
        let whole = write(&[family.clone()]);
        let mut rest = Families { left: vec![family].into_iter(), open: None };
        let mut pieces = Vec::new();
        loop {
            let mut piece = Vec::new();
            let more = rest.write(&mut piece).unwrap();
            pieces.push(piece);
            if !more {
                break;
            }
        }
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() < 2 * PIECE));
        assert_eq!((pieces.concat(), rest.held()), (whole.into_bytes(), 0));
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

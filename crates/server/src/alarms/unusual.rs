//! What else changed on a host when an alert began: of the host's series those whose level changed most.
//!
//! 1. The hour before the turn is compared with the minutes after it. The turn is five minutes before the alert held, as
//!    what an alert tells of begins earlier.
//! 2. What only ever rises is a counter, whatever its name: its rate is compared.
//! 3. A level has changed if `detect` is sure of it. The score is that surety times the relative size of the change: a
//!    step from 0.1 to 0.9 of a processor comes before one of 10 files in a million.

use std::time::Instant;

use muster_alerting::INSTANCE;
use muster_api::{UnusualList, UnusualSeries};
use muster_detect::{Difference, difference};
use muster_series::{METRIC_NAME, Matcher, SeriesColumns, TimeRange};
use muster_tsdb::TsdbError;

use crate::store::{MetricStore, QueryRun};

const MINUTE_MS: i64 = 60_000;
/// How long before the alert held the turn is.
const TURN_MS: i64 = 5 * MINUTE_MS;
/// What is compared before the turn.
const BEFORE_MS: i64 = 60 * MINUTE_MS;
/// And at most after it.
const AFTER_MS: i64 = 20 * MINUTE_MS;
/// Rates are of so long, in milliseconds; a change of one by less than so many of the counter's steps is none.
const RATE_MS: i64 = 60_000;
const LEAST_STEPS: f64 = 3.0;
/// How many series are told at most.
const MOST: usize = 20;
/// How many metrics of a host are looked at.
const MAX_METRICS: usize = 10_000;
/// What Muster says of other series, and the parts of histograms: they would only say the same once more.
const DERIVED: [&str; 6] = [
    "ALERTS",
    "ALERTS_FOR_STATE",
    "muster_baseline_",
    "muster_anomaly_",
    "muster_host_anomaly_",
    "scrape_",
];

/// The spans that are compared for an alert that holds since `active_at_ms`, without series.
pub(crate) fn spans(active_at_ms: i64, now_ms: i64) -> UnusualList {
    let turn_ms = active_at_ms - TURN_MS;
    UnusualList {
        from_ms: turn_ms - BEFORE_MS,
        turn_ms,
        to_ms: (turn_ms + AFTER_MS).min(now_ms).max(turn_ms),
        compared: 0,
        complete: true,
        series: Vec::new(),
    }
}

/// Fills in the series of a host; what is not looked at by `until` is left out, and `complete` says so.
pub(crate) fn unusual(
    spans: UnusualList,
    instance: &str,
    store: &dyn MetricStore,
    run: &QueryRun,
    until: Instant,
) -> Result<UnusualList, TsdbError> {
    let mut list = spans;
    let range = TimeRange::new(list.from_ms, list.to_ms);
    let host = Matcher::equal(INSTANCE, instance);
    let metrics = store.label_values(METRIC_NAME, &[vec![host.clone()]], range, MAX_METRICS)?;
    for metric in metrics.iter().filter(|metric| is_measured(metric)) {
        if run.is_stopped() || Instant::now() >= until {
            list.complete = false;
            break;
        }
        let matchers = [Matcher::equal(METRIC_NAME, metric), host.clone()];
        for series in store.select(&matchers, range, run)? {
            list.compared += 1;
            list.series.extend(changed(metric, &series, list.turn_ms));
        }
        keep_most(&mut list.series);
    }
    Ok(list)
}

fn is_measured(metric: &str) -> bool {
    !metric.ends_with("_bucket") && !DERIVED.iter().any(|prefix| metric.starts_with(prefix))
}

fn keep_most(series: &mut Vec<UnusualSeries>) {
    // Of equal ones the order does not depend on the store's.
    let names =
        |a: &UnusualSeries, b: &UnusualSeries| (&a.metric, &a.labels).cmp(&(&b.metric, &b.labels));
    series.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| names(a, b)));
    series.truncate(MOST);
}

/// What became of one series at the turn, if its level changed.
fn changed(metric: &str, series: &SeriesColumns, turn_ms: i64) -> Option<UnusualSeries> {
    let points = series.timestamps.iter().copied().zip(series.values.iter().copied());
    let points: Vec<(i64, f64)> = points.filter(|(_, value)| value.is_finite()).collect();
    let is_rate = is_counter(metric, &points);
    let least = if is_rate { least_rise(&points) } else { 0.0 };
    let points = if is_rate { rates(&points) } else { minutes(points) };
    let turn = points.partition_point(|(at_ms, _)| *at_ms < turn_ms);
    let values: Vec<f64> = points.into_iter().map(|(_, value)| value).collect();
    let found = difference(&values[..turn], &values[turn..]).filter(Difference::is_change)?;
    if (found.after - found.before).abs() < least {
        return None;
    }
    let selector = series.labels.to_string();
    Some(UnusualSeries {
        metric: metric.to_owned(),
        labels: series
            .labels
            .iter()
            .filter(|(name, _)| ![METRIC_NAME, INSTANCE].contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        is_rate,
        expression: if is_rate { format!("rate({selector}[5m])") } else { selector },
        before: found.before,
        after: found.after,
        score: score(&found),
    })
}

/// Surety, from 4.5 to some twenty, times the size of the change relative to the larger level.
fn score(found: &Difference) -> f64 {
    let largest = found.before.abs().max(found.after.abs());
    let relative = ((found.after - found.before).abs() / largest).min(1.0);
    found.surety.abs() * relative
}

fn is_counter(metric: &str, points: &[(i64, f64)]) -> bool {
    if ["_total", "_count", "_sum"].iter().any(|end| metric.ends_with(end)) {
        return true;
    }
    let steps = points.windows(2).map(|pair| pair[1].1 - pair[0].1);
    let (mut rises, mut falls) = (0, 0);
    for step in steps {
        rises += usize::from(step > 0.0);
        falls += usize::from(step < 0.0);
    }
    falls == 0 && rises * 2 > points.len()
}

/// A counter's rise a second over each minute; a restart from nothing is left out. Over less, a counter that moves in
/// coarse steps would have another rate wherever its samples lie closer.
fn rates(points: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut rates = Vec::new();
    let Some(&(mut then_ms, mut then)) = points.first() else { return rates };
    for &(at_ms, value) in points {
        if value < then {
            (then_ms, then) = (at_ms, value);
        } else if at_ms - then_ms >= RATE_MS {
            rates.push((at_ms, (value - then) / ((at_ms - then_ms) as f64 / 1_000.0)));
            (then_ms, then) = (at_ms, value);
        }
    }
    rates
}

/// A value of each minute, so that what is sampled more often is not surer than a rate.
fn minutes(points: Vec<(i64, f64)>) -> Vec<(i64, f64)> {
    let mut next_ms = i64::MIN;
    let is_next = |(at_ms, _): &(i64, f64)| {
        let is_next = *at_ms >= next_ms;
        if is_next {
            next_ms = at_ms + RATE_MS;
        }
        is_next
    };
    points.into_iter().filter(is_next).collect()
}

/// What changes by less a second is no more than a few of the steps in which the counter moves.
fn least_rise(points: &[(i64, f64)]) -> f64 {
    let steps = points.windows(2).map(|pair| pair[1].1 - pair[0].1).filter(|step| *step > 0.0);
    let step = steps.fold(f64::INFINITY, f64::min);
    if step.is_finite() { LEAST_STEPS * step / (RATE_MS as f64 / 1_000.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_series::Labels;

    #[test]
    fn coarse_steps_that_are_sampled_more_often_are_no_change() {
        let labels = Labels::from_pairs([(METRIC_NAME, "m_total"), (INSTANCE, "a")]).unwrap();
        let mut series = SeriesColumns::new(labels);
        // A hundredth of a second now and then; a sample every 15 s, and every second from the turn on.
        let mut at_s = 0;
        while at_s < 4_200 {
            series.timestamps.push(at_s * 1_000);
            series.values.push((at_s as f64 / 14.0).floor() / 100.0);
            at_s += if at_s < 3_600 { 15 } else { 1 };
        }
        assert_eq!(changed("m_total", &series, TURN), None);
    }

    const TURN: i64 = 3_600_000;

    /// A series of a sample every 15 s, an hour before the turn and ten minutes after.
    fn series(value: impl Fn(i64) -> f64) -> SeriesColumns {
        let labels = [(METRIC_NAME, "m"), (INSTANCE, "a\"b"), ("device", "sda")];
        let mut series = SeriesColumns::new(Labels::from_pairs(labels).unwrap());
        for at in 0..280 {
            series.timestamps.push(at * 15_000);
            series.values.push(value(at));
        }
        series
    }

    /// What is said of a series of this name: `before > after`, with `/s` behind for a rate.
    #[track_caller]
    fn check(metric: &str, value: impl Fn(i64) -> f64, expected: &str) {
        let found = changed(metric, &series(value), TURN);
        let told = found.as_ref().map_or(String::new(), |found| {
            let unit = if found.is_rate { "/s" } else { "" };
            format!("{:.2} > {:.2}{unit}", found.before, found.after)
        });
        assert_eq!(told, expected, "{found:?}");
    }

    fn noise(at: i64) -> f64 {
        ((at as f64 * 12.989_8).sin() * 43_758.547).fract()
    }

    #[test]
    fn levels_and_rates_that_changed_are_told() {
        let late = |at: i64| at >= 240;
        check("m", |_| 7.0, "");
        check("m", noise, "");
        check("m", |at| if late(at) { 3.0 } else { 1.0 }, "1.00 > 3.00");
        // A clock rises always; its rate is the same.
        check("m", |at| at as f64 * 15.0, "");
        check("m_total", |at| (at * 30).max(at * 300 - 240 * 270) as f64, "2.00 > 20.00/s");
        check("m_total", |at| if at == 100 { 0.0 } else { at as f64 * 15.0 }, "");
        check("m", |_| f64::NAN, "");
    }

    #[test]
    fn a_large_change_comes_first() {
        let mut all: Vec<UnusualSeries> = [(1e6, 1e6 - 10.0), (0.1, 0.9), (50.0, 80.0)]
            .into_iter()
            .filter_map(|(before, after)| {
                changed("m", &series(|at| if at < 240 { before } else { after }), TURN)
            })
            .collect();
        keep_most(&mut all);
        assert_eq!(all.iter().map(|one| one.after).collect::<Vec<_>>(), [0.9, 80.0, 999_990.0]);
        assert_eq!(all[0].expression, "m{device=\"sda\", instance=\"a\\\"b\"}");
        assert!(all.iter().all(|one| one.score.is_finite() && one.score > 0.0));
    }

    #[test]
    fn what_is_compared_ends_now() {
        let list = spans(10_000_000, 10_060_000);
        assert_eq!((list.from_ms, list.turn_ms, list.to_ms), (6_100_000, 9_700_000, 10_060_000));
        assert_eq!(spans(10_000_000, 99_000_000).to_ms, 10_900_000);
        assert_eq!(spans(10_000_000, 0).to_ms, 9_700_000);
    }
}

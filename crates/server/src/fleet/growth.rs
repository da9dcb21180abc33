//! How file systems fill, as the page is told it: from the forecasts of now, or from those that were stored.

use std::collections::HashMap;

use muster_api::{Confidence, Growth, GrowthKind};
use muster_detect::{Date, Forecast, NoDate};
use muster_series::Labels;

use crate::ask::vector;
use crate::insight::{EARLIEST, FULL, ForecastTable, GROWTH, LATEST};
use crate::store::MetricStore;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A range that is narrower than this share of the way to the date makes it as sure as can be.
const NARROW: f64 = 1.0 / 3.0;

/// How each file system fills, by its labels without the metric's name.
pub(super) type GrowthTable = HashMap<Labels, Growth>;

/// Nothing is known.
pub(super) const UNKNOWN: Growth = Growth {
    kind: GrowthKind::Unknown,
    bytes_per_day: None,
    full_ms: None,
    early_ms: None,
    late_ms: None,
    confidence: None,
};

/// The growth that forecasts tell.
pub(super) fn of(forecasts: &ForecastTable, now_ms: i64) -> GrowthTable {
    let told = forecasts.by_labels.iter();
    told.filter_map(|(labels, [bytes, _])| Some((labels.clone(), growth(&(*bytes)?, now_ms))))
        .collect()
}

/// The growth that was told at a moment of the past.
pub(super) fn at(store: &dyn MetricStore, at_ms: i64) -> GrowthTable {
    let told = |name: &str| -> HashMap<Labels, f64> {
        let values = vector(store, name, at_ms).into_iter();
        values.map(|(labels, value)| (labels.without_metric_name(), value)).collect()
    };
    let [full, earliest, latest] = [FULL, EARLIEST, LATEST].map(told);
    let moment = |seconds: f64| at_ms.saturating_add((seconds * 1_000.0) as i64);
    let paces = vector(store, GROWTH, at_ms).into_iter();
    let growths = paces.map(|(labels, a_second)| {
        let labels = labels.without_metric_name();
        let per_day = a_second * DAY_MS as f64 / 1_000.0;
        let forecast = match full.get(&labels) {
            Some(&seconds) => Forecast::Date(Date {
                at_ms: moment(seconds),
                earliest_ms: moment(earliest.get(&labels).copied().unwrap_or(0.0)),
                latest_ms: latest.get(&labels).map(|&seconds| moment(seconds)),
                per_day,
                window_ms: 0,
            }),
            None if per_day > 0.0 => Forecast::NoDate(NoDate::TooFar { per_day }),
            None => Forecast::NoDate(NoDate::Flat),
        };
        (labels, growth(&forecast, at_ms))
    });
    growths.collect()
}

fn growth(forecast: &Forecast, now_ms: i64) -> Growth {
    let steady = Growth { kind: GrowthKind::Steady, ..UNKNOWN };
    match forecast {
        Forecast::Date(date) => Growth {
            bytes_per_day: Some(date.per_day),
            full_ms: Some(calm(date.at_ms, now_ms)),
            early_ms: Some(calm(date.earliest_ms, now_ms)),
            late_ms: date.latest_ms.map(|latest_ms| calm(latest_ms, now_ms)),
            confidence: Some(confidence(date, now_ms)),
            ..steady
        },
        Forecast::Reached => Growth { full_ms: Some(calm(now_ms, now_ms)), ..steady },
        Forecast::NoDate(NoDate::TooFar { per_day }) => {
            Growth { bytes_per_day: Some(*per_day), ..steady }
        }
        Forecast::NoDate(_) => Growth { kind: GrowthKind::None, ..UNKNOWN },
        Forecast::Unknown(_) => UNKNOWN,
    }
}

fn confidence(date: &Date, now_ms: i64) -> Confidence {
    let Some(latest_ms) = date.latest_ms else { return Confidence::Low };
    let width = (latest_ms - date.earliest_ms) as f64;
    let way = (date.at_ms - now_ms).max(1) as f64;
    match width / way {
        share if share <= NARROW => Confidence::High,
        share if share <= 1.0 => Confidence::Medium,
        _ => Confidence::Low,
    }
}

/// A date as exact as its distance makes sense, so that it does not change at every look.
fn calm(full_ms: i64, now_ms: i64) -> i64 {
    let step_ms = match full_ms - now_ms {
        ..=DAY_MS => 10 * MINUTE_MS,
        ahead_ms if ahead_ms <= 14 * DAY_MS => HOUR_MS,
        _ => 12 * HOUR_MS,
    };
    full_ms - full_ms.rem_euclid(step_ms)
}

#[cfg(test)]
mod tests {
    use muster_detect::Unknown;

    use super::*;

    const NOW_MS: i64 = 20_000 * DAY_MS;

    fn date(earliest_h: i64, at_h: i64, latest_h: Option<i64>) -> Forecast {
        let at = |hours: i64| NOW_MS + hours * HOUR_MS;
        Forecast::Date(Date {
            at_ms: at(at_h),
            earliest_ms: at(earliest_h),
            latest_ms: latest_h.map(at),
            per_day: 1e9,
            window_ms: DAY_MS,
        })
    }

    #[track_caller]
    fn check(forecast: Forecast, kind: GrowthKind, full_h: Option<i64>, sure: Option<Confidence>) {
        let told = growth(&forecast, NOW_MS);
        let full_h = full_h.map(|hours| NOW_MS + hours * HOUR_MS);
        assert_eq!((told.kind, told.full_ms, told.confidence), (kind, full_h, sure));
    }

    #[test]
    fn each_forecast_is_told() {
        let steady = GrowthKind::Steady;
        check(date(95, 100, Some(110)), steady, Some(100), Some(Confidence::High));
        check(date(70, 100, Some(150)), steady, Some(100), Some(Confidence::Medium));
        check(date(50, 100, Some(151)), steady, Some(100), Some(Confidence::Low));
        check(date(99, 100, None), steady, Some(100), Some(Confidence::Low));
        check(Forecast::Reached, steady, Some(0), None);
        check(Forecast::NoDate(NoDate::TooFar { per_day: 1.0 }), steady, None, None);
        check(Forecast::NoDate(NoDate::Cycle), GrowthKind::None, None, None);
        check(Forecast::Unknown(Unknown::TooShort), GrowthKind::Unknown, None, None);
    }

    #[test]
    fn dates_do_not_change_at_every_look() {
        let later = |now_ms: i64| calm(NOW_MS + 40 * HOUR_MS + now_ms % 7_000, now_ms);
        assert_eq!(later(NOW_MS), later(NOW_MS + 60_000));
    }
}

//! How wrong the forecasts of one series were, which widens the range of the next.
//!
//! A date far ahead cannot be checked soon, but the pace behind it can: a forecast promises a level for a time not far
//! ahead, and when that comes, the growth that came is compared with the growth that was promised. The ratios of the
//! last sixteen promises are kept, 150 bytes a series.

use super::{Forecast, HOUR_MS, Side};
use crate::rank;

/// How many outcomes are kept.
const OUTCOMES: usize = 16;
/// Fewer say nothing about the next.
const LEAST_OUTCOMES: usize = 4;
/// A promise is for this share of the way to the date, within these bounds in hours.
const DUE_SHARE: f64 = 0.1;
const DUE_SOONEST: f64 = 0.5;
const DUE_LATEST: f64 = 24.0;
/// Beyond this factor a ratio says no more.
const MOST: f64 = 8.0;

/// The promises and outcomes of one series. A new one knows nothing and widens nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    promise: Option<Promise>,
    /// Growth that came over growth that was promised, the oldest first.
    outcomes: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Promise {
    made_ms: i64,
    due_ms: i64,
    level: f64,
    per_hour: f64,
}

impl Record {
    /// Notes a forecast made at `now_ms` while the newest value was `level`, and settles the promise that is due.
    ///
    /// To be called after each forecast of the series, always with the same `side`.
    pub fn note(&mut self, forecast: &Forecast, side: Side, level: f64, now_ms: i64) {
        let level = side.sign() * level;
        if !level.is_finite() {
            return;
        }
        if let Some(promise) = self.promise.take_if(|promise| now_ms >= promise.due_ms) {
            self.settle(&promise, level, now_ms);
        }
        if let (None, Forecast::Date(date)) = (self.promise, forecast) {
            let ahead = (date.at_ms - now_ms) as f64 / HOUR_MS;
            let due = (DUE_SHARE * ahead).clamp(DUE_SOONEST, DUE_LATEST);
            self.promise = Some(Promise {
                made_ms: now_ms,
                due_ms: now_ms.saturating_add((due * HOUR_MS) as i64),
                level,
                per_hour: date.per_day / 24.0,
            });
        }
    }

    fn settle(&mut self, promise: &Promise, level: f64, now_ms: i64) {
        let hours = (now_ms - promise.made_ms) as f64 / HOUR_MS;
        let promised = promise.per_hour * hours;
        if promised > 0.0 {
            let ratio = (level - promise.level) / promised;
            if self.outcomes.len() == OUTCOMES {
                self.outcomes.remove(0);
            }
            self.outcomes.push(ratio.clamp(1.0 / MOST, MOST));
        }
    }

    /// What the pace may be multiplied by at the least (up to 1) and at the most (from 1), by the past.
    pub(super) fn spread(&self) -> (f64, f64) {
        if self.outcomes.len() < LEAST_OUTCOMES {
            return (1.0, 1.0);
        }
        let of = |share| rank::quantile(&mut self.outcomes.clone(), share).unwrap_or(1.0);
        (of(0.1).min(1.0), of(0.9).max(1.0))
    }
}

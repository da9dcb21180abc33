//! When something will be full: a disk, its inodes, memory; or when what is left of a certificate's time will be none.
//!
//! 1. Five windows are read, each by itself: an hour, six hours, a day, a week, four weeks, as far as there is a history
//!    (`forecast/window.rs`). In each, the highest value of each of up to 288 equal parts counts, because it is the
//!    highest that fills.
//! 2. A window in which the series went up and down more than once is read by its peaks: what a rotation or the rhythm
//!    of a day takes back is no growth. One great fall starts the history anew.
//! 3. The pace is that of Theil and Sen, with Kendall's bounds (`trend.rs`). It counts if it is no chance, if most
//!    sevenths of the window grew at something like it (a burst is no pace), and if no pause as long as the present
//!    one came before (growth that stopped is no pace either, but nightly steps are).
//! 4. A window foretells no further than its length carries. Where a longer window shows rises that were always taken
//!    back, a shorter one is heard only if the present rise is unlike those.
//!    Before two days are known, no such rise can have been seen; what grows by fits and starts is told later then.
//! 5. Of the windows that stand, the shortest is asked first; the longest that agrees with it is told, for it has seen
//!    more. The range is made of the bounds of both, and grows with the errors of the past (`forecast/record.rs`).

mod record;
mod window;

pub use record::Record;

use crate::trend::Point;
use muster_series::Sample;
use window::{Pace, Reading, Verdict, WINDOWS};

const HOUR_MS: f64 = 3_600_000.0;
/// A newest value that is older than this many hours, and than [`STALE_STEPS`] of its usual steps, tells nothing.
const STALE_HOURS: f64 = 0.5;
const STALE_STEPS: f64 = 5.0;
/// A history shorter than this has not shown what is cleared away by day or by week; in it, growth that rests for longer
/// than this share of its time is told no further ahead than this share of the history, or so many hours.
const YOUNG_HOURS: f64 = 48.0;
const YOUNG_REST: f64 = 0.05;
const YOUNG_REACH: f64 = 0.5;
const YOUNG_LEAST: f64 = 2.0;
/// What grows by less of its size in a day does not grow.
pub(crate) const LEAST_A_DAY: f64 = 0.000_1;

/// From which side the values come to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is used grows up to the limit.
    Rising,
    /// What is left falls down to the limit.
    Falling,
}

impl Side {
    /// What makes values rise to the limit when they are multiplied by it.
    fn sign(self) -> f64 {
        match self {
            Side::Rising => 1.0,
            Side::Falling => -1.0,
        }
    }
}

/// What the values must not reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The limit, in the values' unit.
    pub limit: f64,
    /// From where the values come.
    pub side: Side,
    /// The size of the whole (a disk's bytes), in the values' unit, more than zero: what is small beside it is nothing.
    pub size: f64,
}

/// What the past says about the future.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Forecast {
    /// The limit is reached already.
    Reached,
    /// It will be reached.
    Date(Date),
    /// It will not, as far as can be seen.
    NoDate(NoDate),
    /// The history does not say.
    Unknown(Unknown),
}

/// When a limit will be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Date {
    /// The most likely time.
    pub at_ms: i64,
    /// It will hardly be before this.
    pub earliest_ms: i64,
    /// It will hardly be after this, if anything can be said about that.
    pub latest_ms: Option<i64>,
    /// The pace towards the limit, in the values' unit a day; more than zero.
    pub per_day: f64,
    /// The length of the history it rests on.
    pub window_ms: i64,
}

/// Why there is no date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoDate {
    /// Nothing grows.
    Flat,
    /// It moves away from the limit.
    Receding,
    /// It grew, and then no more.
    Stopped,
    /// It rises and falls, and its peaks do not grow.
    Cycle,
    /// It grows, but too slowly to tell a date from this history.
    TooFar {
        /// The pace towards the limit, in the values' unit a day.
        per_day: f64,
    },
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The history, since it was last cleared, is too short or has too few values.
    TooShort,
    /// The newest value is too old.
    Stale,
    /// The target is none: its size or limit is not finite or the size not above zero.
    NoTarget,
}

/// When `history` will reach the `target`, at `now_ms`, by what it has done so far.
///
/// The history is in time order, of any steps, with any gaps; four weeks of it are looked at, and a week is enough for
/// all but rhythms of a week and dates more than half a year away. Steps may be longer in the past than lately. Values
/// that are not finite, or later than `now_ms`, are left out. What is to be told of peaks should be given as the highest
/// value of each step. `record` widens the range by what earlier forecasts of the same series were wrong.
pub fn forecast(history: &[Sample], target: Target, now_ms: i64, record: &Record) -> Forecast {
    if !(target.limit.is_finite() && target.size.is_finite() && target.size > 0.0) {
        return Forecast::Unknown(Unknown::NoTarget);
    }
    let sign = target.side.sign();
    let points = points_of(history, sign, now_ms);
    let Some(newest) = points.last() else { return Forecast::Unknown(Unknown::TooShort) };
    if is_stale(&points, *newest) {
        return Forecast::Unknown(Unknown::Stale);
    }
    let limit = sign * target.limit;
    if newest.value >= limit {
        return Forecast::Reached;
    }
    let readings = window::read_all(&points, target.size);
    match told(&readings, limit, -points[0].at) {
        Some(told) => Forecast::Date(told.date(record, now_ms)),
        None => no_date(&readings),
    }
}

/// The values of the last weeks as rises towards the limit, times in hours before now.
fn points_of(history: &[Sample], sign: f64, now_ms: i64) -> Vec<Point> {
    let longest = -WINDOWS[WINDOWS.len() - 1].hours;
    let mut points: Vec<Point> = Vec::with_capacity(history.len());
    for sample in history {
        let at = sample.timestamp_ms.saturating_sub(now_ms) as f64 / HOUR_MS;
        let later = points.last().is_none_or(|last| at > last.at);
        if sample.value.is_finite() && (longest..=0.0).contains(&at) && later {
            points.push(Point { at, value: sign * sample.value });
        }
    }
    points
}

fn is_stale(points: &[Point], newest: Point) -> bool {
    let mut steps: Vec<f64> = points.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let step = crate::rank::median(&mut steps).unwrap_or(0.0);
    -newest.at > STALE_HOURS.max(STALE_STEPS * step)
}

/// The windows that speak.
struct Told {
    /// The pace that is told, and how far ahead it sees the limit, in hours from now.
    pace: Pace,
    ahead: f64,
    /// The bounds of all that agree.
    soonest: f64,
    latest: Option<f64>,
    low: f64,
    high: f64,
}

/// Which windows speak of a date, and what they say together; the series is known for so many hours.
fn told(readings: &[Reading], limit: f64, known: f64) -> Option<Told> {
    let mut told: Option<Told> = None;
    for (place, reading) in readings.iter().enumerate() {
        let Verdict::Grows(pace) = &reading.verdict else { continue };
        let ahead = pace.hours_to(limit, pace.slope);
        if ahead > reach(pace, known)
            || readings[place..].iter().any(|longer| longer.doubts(pace, ahead))
        {
            continue;
        }
        let (soonest, latest) = pace.bounds(limit);
        match &mut told {
            None => {
                let (low, high) = (pace.low, pace.high);
                told = Some(Told { pace: *pace, ahead, soonest, latest, low, high });
            }
            Some(told) if (told.low..=told.high).contains(&pace.slope) => {
                told.soonest = told.soonest.min(soonest);
                told.latest = told.latest.zip(latest).map(|(a, b)| a.max(b));
                (told.pace, told.ahead) = (*pace, ahead);
                (told.low, told.high) = (told.low.max(pace.low), told.high.min(pace.high));
            }
            // A longer window that is not as fast has not seen enough of the present pace; if it is slower, the growth
            // becomes faster, and goes on to.
            Some(told) => {
                let faster = (told.pace.slope / pace.slope).clamp(1.0, 4.0);
                told.soonest = told.soonest.min(told.ahead / faster);
                break;
            }
        }
    }
    told
}

/// How far ahead a pace sees in a history of so many hours.
fn reach(pace: &Pace, known: f64) -> f64 {
    if known < YOUNG_HOURS && pace.pause > YOUNG_REST * pace.span {
        return pace.reach.min((YOUNG_REACH * known).max(YOUNG_LEAST));
    }
    pace.reach
}

impl Told {
    fn date(&self, record: &Record, now_ms: i64) -> Date {
        let (slower, faster) = record.spread();
        let at = |hours: f64| now_ms.saturating_add((hours * HOUR_MS) as i64);
        Date {
            at_ms: at(self.ahead),
            earliest_ms: at(self.soonest.min(self.ahead) / faster),
            latest_ms: self.latest.map(|hours| at(hours.max(self.ahead) / slower)),
            per_day: self.pace.slope * 24.0,
            window_ms: (self.pace.span * HOUR_MS) as i64,
        }
    }
}

/// Why there is no date, told by the longest window that says anything.
fn no_date(readings: &[Reading]) -> Forecast {
    let grows = |reading: &Reading| match reading.verdict {
        Verdict::Grows(pace) if !readings.iter().any(|by| by.doubts(&pace, f64::INFINITY)) => {
            Some(NoDate::TooFar { per_day: pace.slope * 24.0 })
        }
        _ => None,
    };
    let otherwise = |reading: &Reading| match reading.verdict {
        Verdict::TooShort => None,
        Verdict::Stopped => Some(NoDate::Stopped),
        // A pace that is told by no window is doubted by the rhythm of a longer one.
        Verdict::Cycle | Verdict::Grows(_) => Some(NoDate::Cycle),
        Verdict::Flat => Some(NoDate::Flat),
        Verdict::Receding => Some(NoDate::Receding),
    };
    let why = readings.iter().rev().find_map(grows);
    match why.or_else(|| readings.iter().rev().find_map(otherwise)) {
        Some(why) => Forecast::NoDate(why),
        None => Forecast::Unknown(Unknown::TooShort),
    }
}

//! One span of history, read by itself: does it grow, and how fast.

use super::LEAST_A_DAY;
use crate::rank;
use crate::swings::{Swings, swings};
use crate::trend::{MOST_POINTS, Point, trend};

/// A span of history that is read by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) hours: f64,
    /// How far ahead it can see, as a multiple of its length.
    reach: f64,
}

/// The windows, the shortest first.
pub(crate) const WINDOWS: [Window; 5] = [
    Window { hours: 1.0, reach: 2.0 },
    Window { hours: 6.0, reach: 4.0 },
    Window { hours: 24.0, reach: 10.0 },
    Window { hours: 168.0, reach: 26.0 },
    Window { hours: 672.0, reach: 13.0 },
];

/// Fewer points tell nothing.
const LEAST_POINTS: usize = 8;
/// A window needs this share of its length, or so many times the length of the next shorter one.
const LEAST_SHARE: f64 = 0.6;
const LEAST_MORE: f64 = 1.2;
/// Kendall's S beyond this many deviations is no chance at 1 %.
const SURE: f64 = 2.58;
/// A pace whose lower bound is less than this share of it says nothing.
const LEAST_BOUND: f64 = 0.2;
/// A range is at least this share of the way, to each side.
const LEAST_RANGE: f64 = 0.05;
/// The level may be off by so many deviations of the noise.
const LEVEL_NOISE: f64 = 2.0;
/// Into how many parts a window is cut to see whether all of it grew.
const PARTS: usize = 7;
/// A part belongs to a pace if it grew at least at this share of it.
const PART_SHARE: f64 = 0.2;
/// A pace is steady if at least this share of the parts belong to it.
const STEADY_SHARE: f64 = 0.6;
/// Growth is seen in marks of this share of the whole, at least of so many deviations of the noise.
const MARK_SHARE: f64 = 0.02;
const MARK_NOISE: f64 = 4.0;
/// A pause longer than this many times the longest before it, and than this share of the window, is an end.
const PAUSE_MORE: f64 = 2.0;
const PAUSE_SHARE: f64 = 0.04;
/// A turn is a way back of at least this share of the range, of so many deviations of the noise, and of this share of
/// the size.
const TURN_SHARE: f64 = 0.1;
const TURN_NOISE: f64 = 8.0;
const TURN_SIZE: f64 = 0.002;
/// So many ended rises are a rhythm; one is a clearing.
const RHYTHM: usize = 2;
/// The present rise is unlike those before if it is so much higher than the highest of them, or so much faster.
const UNLIKE_HEIGHT: f64 = 1.25;
const UNLIKE_PACE: f64 = 2.0;
/// A rise that is only faster is believed for so many times the length of the longest before.
const UNLIKE_LENGTH: f64 = 1.5;

/// What one window says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) verdict: Verdict,
    /// The rises that were taken back, if there were several.
    rhythm: Option<Rhythm>,
}

/// What the values of one window do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    TooShort,
    Flat,
    Receding,
    Stopped,
    Grows(Pace),
    /// Rises that were taken back, with no growth of their peaks.
    Cycle,
}

/// A steady pace towards the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// The value from which it goes on, and when that was.
    from: Point,
    /// σ of the values around it.
    noise: f64,
    /// How long it rests at the longest, in hours: steps and teeth make a date no surer than that.
    pub(crate) pause: f64,
    /// In an hour, with bounds.
    pub(crate) slope: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The history it rests on, in hours, and how far ahead that sees.
    pub(crate) span: f64,
    pub(crate) reach: f64,
    /// Whether it is the pace of the peaks of rises that were taken back.
    peaks: bool,
}

/// What the rises of a window were, and the present one is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rhythm {
    /// The highest, the longest (hours) and the steepest (an hour) of those that ended.
    height: f64,
    length: f64,
    steepest: f64,
    /// Where the present one began, and how high it has become.
    since: Point,
    risen: f64,
}

impl Pace {
    /// How many hours from now the limit is reached at `slope`, never less than none.
    pub(crate) fn hours_to(&self, limit: f64, slope: f64) -> f64 {
        ((limit - self.from.value) / slope + self.from.at).max(0.0)
    }

    /// The bounds of [`Self::hours_to`]: those of the slope, a little noise, and that no line goes on for ever as it was.
    pub(crate) fn bounds(&self, limit: f64) -> (f64, Option<f64>) {
        let ahead = self.hours_to(limit, self.slope);
        let unsure = LEVEL_NOISE * self.noise / self.slope + self.pause;
        let soonest = self.hours_to(limit, self.high).min(ahead * (1.0 - LEAST_RANGE)) - unsure;
        let latest = (self.low > 0.0)
            .then(|| self.hours_to(limit, self.low).max(ahead * (1.0 + LEAST_RANGE)) + unsure);
        (soonest.max(0.0), latest)
    }
}

impl Reading {
    /// Whether what this window saw speaks against a `pace` that would reach the limit in `ahead` hours.
    pub(crate) fn doubts(&self, pace: &Pace, ahead: f64) -> bool {
        let Some(rhythm) = self.rhythm else { return false };
        let unlike = rhythm.risen > UNLIKE_HEIGHT * rhythm.height;
        let fast = pace.slope > UNLIKE_PACE * rhythm.steepest
            && ahead <= rhythm.since.at + UNLIKE_LENGTH * rhythm.length;
        !(pace.peaks || unlike || fast)
    }
}

/// What each of [`WINDOWS`] says about `points`, which are in time order and end about now (hour zero).
pub(crate) fn read_all(points: &[Point], size: f64) -> Vec<Reading> {
    let mut shorter = 0.0;
    let read_one = |window: &Window| {
        let least = (LEAST_SHARE * window.hours).min(if shorter > 0.0 {
            LEAST_MORE * shorter
        } else {
            f64::INFINITY
        });
        shorter = window.hours;
        let start = points.partition_point(|point| point.at < -window.hours);
        read(&thinned(&points[start..]), window, least, size)
    };
    WINDOWS.iter().map(read_one).collect()
}

/// The highest point of each of [`MOST_POINTS`] equal parts of the time.
fn thinned(points: &[Point]) -> Vec<Point> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let part = |point: &Point| {
        let share = (point.at - first.at) / (last.at - first.at);
        ((share * MOST_POINTS as f64) as usize).min(MOST_POINTS - 1)
    };
    let highest = |of: &[Point]| {
        of.iter().copied().max_by(|a, b| a.value.total_cmp(&b.value)).expect("a chunk is not empty")
    };
    points.chunk_by(|a, b| part(a) == part(b)).map(highest).collect()
}

fn read(points: &[Point], window: &Window, least: f64, size: f64) -> Reading {
    let noise = noise(points);
    let threshold = (TURN_SHARE * range(points)).max(TURN_NOISE * noise).max(TURN_SIZE * size);
    let swings = swings(points, threshold);
    let ended = swings.rises.iter().filter(|rise| rise.peak.value > rise.from.value + threshold);
    if ended.count() >= RHYTHM {
        let verdict = peaks_grow(&swings, window, size).unwrap_or(Verdict::Cycle);
        return Reading { verdict, rhythm: Some(rhythm(points, &swings)) };
    }
    let verdict = match straight(&points[swings.since..], noise, least, window, size) {
        // What only falls has its lowest point at the end.
        Verdict::TooShort if judged(points, size) == Err(Verdict::Receding) => Verdict::Receding,
        verdict => verdict,
    };
    Reading { verdict, rhythm: None }
}

/// What `points` without turns do, all of them or those since they began to grow.
fn straight(points: &[Point], noise: f64, least: f64, window: &Window, size: f64) -> Verdict {
    let enough = |points: &[Point]| match (points.first(), points.last()) {
        (Some(first), Some(last)) => points.len() >= LEAST_POINTS && last.at - first.at >= least,
        _ => false,
    };
    if !enough(points) {
        return Verdict::TooShort;
    }
    let whole = grows(points, noise, window, size);
    let began = since_floor(points, noise);
    if matches!(whole, Verdict::Grows(_)) || !enough(began) {
        return whole;
    }
    match grows(began, noise, window, size) {
        Verdict::Grows(pace) => Verdict::Grows(pace),
        _ => whole,
    }
}

/// What `points` do as one line.
fn grows(points: &[Point], noise: f64, window: &Window, size: f64) -> Verdict {
    let (slope, low, high) = match judged(points, size) {
        Ok(slopes) => slopes,
        Err(verdict) => return verdict,
    };
    let last = points[points.len() - 1];
    let span = last.at - points[0].at;
    let (pause, longest) = pauses(points, noise);
    if pause > (PAUSE_MORE * longest).max(PAUSE_SHARE * span) {
        return Verdict::Stopped;
    }
    let from = Point { at: last.at, value: level(points, slope) };
    let reach = window.reach * span;
    Verdict::Grows(Pace {
        from,
        noise,
        pause: longest,
        slope,
        low,
        high,
        span,
        reach,
        peaks: false,
    })
}

/// The points from the last that was as low as the lowest, but for noise: growth that began within the window.
fn since_floor(points: &[Point], noise: f64) -> &[Point] {
    let lowest = points.iter().map(|point| point.value).fold(f64::INFINITY, f64::min);
    let floor = lowest + (MARK_SHARE * range(points)).max(MARK_NOISE * noise);
    let began = points.iter().rposition(|point| point.value <= floor);
    &points[began.unwrap_or(0)..]
}

fn rhythm(points: &[Point], swings: &Swings) -> Rhythm {
    let (height, length) = swings.largest();
    let since = points[swings.since];
    let risen = points.last().map_or(0.0, |last| last.value - since.value);
    Rhythm { height, length, steepest: swings.steepest(), since, risen }
}

/// The pace of the peaks of a window that goes up and down, if they grow.
fn peaks_grow(swings: &Swings, window: &Window, size: f64) -> Option<Verdict> {
    let peaks: Vec<Point> = swings.rises.iter().map(|rise| rise.peak).collect();
    let (first, last) = (peaks.first()?, peaks.last()?);
    let (slope, low, high) = judged(&peaks, size).ok()?;
    let span = last.at - first.at;
    let from = Point { at: last.at, value: fitted(&peaks, slope) };
    let (noise, reach) = (left_over(&peaks, slope), window.reach * span);
    let pause = span / (peaks.len() - 1) as f64;
    Some(Verdict::Grows(Pace { from, noise, pause, slope, low, high, span, reach, peaks: true }))
}

/// The slope of `points` with its bounds, if they grow steadily, else what they do.
fn judged(points: &[Point], size: f64) -> Result<(f64, f64, f64), Verdict> {
    let Some(trend) = trend(points) else { return Err(Verdict::TooShort) };
    let least = LEAST_A_DAY * size / 24.0;
    if trend.surety < -SURE && trend.slope < -least {
        return Err(Verdict::Receding);
    }
    let sure = trend.surety > SURE && trend.low >= LEAST_BOUND * trend.slope;
    if sure && trend.slope > least {
        return if is_steady(points, trend.slope) {
            Ok((trend.slope, trend.low, trend.high))
        } else {
            Err(Verdict::Stopped)
        };
    }
    Err(Verdict::Flat)
}

/// Whether most parts of the time grew at something like `slope`.
fn is_steady(points: &[Point], slope: f64) -> bool {
    let (first, last) = (points[0].at, points[points.len() - 1].at);
    let part = |point: &Point| {
        ((point.at - first) / (last - first) * PARTS as f64).min(PARTS as f64 - 1.0) as usize
    };
    let middle = |of: &[Point]| Point {
        at: of.iter().map(|point| point.at).sum::<f64>() / of.len() as f64,
        value: rank::median(&mut of.iter().map(|point| point.value).collect::<Vec<_>>())
            .expect("a chunk is not empty"),
    };
    let parts: Vec<Point> = points.chunk_by(|a, b| part(a) == part(b)).map(middle).collect();
    let grew = |pair: &&[Point]| {
        pair[1].value - pair[0].value >= PART_SHARE * slope * (pair[1].at - pair[0].at)
    };
    let growing = parts.windows(2).filter(grew).count() as f64;
    parts.len() > PARTS / 2 && growing >= STEADY_SHARE * (parts.len() - 1) as f64
}

/// How long growth has rested now, and the longest that it rested before, in hours. If the present rest is by far the
/// longest, growth has ended.
fn pauses(points: &[Point], noise: f64) -> (f64, f64) {
    let (first, last) = (points[0], points[points.len() - 1]);
    let risen = last.value - first.value;
    let mark = (MARK_SHARE * risen).max(MARK_NOISE * noise);
    if mark > risen / 3.0 {
        return (0.0, 0.0);
    }
    let (mut top, mut marked, mut longest) = (first.value, first.at, 0.0_f64);
    for point in points {
        if point.value >= top + mark {
            longest = longest.max(point.at - marked);
            (top, marked) = (point.value, point.at);
        }
    }
    (last.at - marked, longest)
}

/// The level at the end: the median of the last few, which one wild value does not move.
fn level(points: &[Point], slope: f64) -> f64 {
    fitted(&points[points.len().saturating_sub(3)..], slope)
}

/// σ of what a line with `slope` leaves over.
fn left_over(points: &[Point], slope: f64) -> f64 {
    let level = fitted(points, slope);
    let end = points[points.len() - 1].at;
    rank::sigma(points.iter().map(|point| point.value + slope * (end - point.at) - level))
        .unwrap_or(0.0)
}

/// The level at the end of a line with `slope` through `points`.
fn fitted(points: &[Point], slope: f64) -> f64 {
    let end = points[points.len() - 1].at;
    let mut levels: Vec<f64> =
        points.iter().map(|point| point.value + slope * (end - point.at)).collect();
    rank::median(&mut levels).expect("a window that is read has points")
}

/// σ of what neighbours differ by without any trend.
fn noise(points: &[Point]) -> f64 {
    let mut steps: Vec<f64> = points.windows(2).map(|pair| pair[1].value - pair[0].value).collect();
    let Some(usual) = rank::median(&mut steps) else { return 0.0 };
    let differ = rank::sigma(steps.iter().map(|step| step - usual)).unwrap_or(0.0);
    differ / std::f64::consts::SQRT_2
}

fn range(points: &[Point]) -> f64 {
    let values = points.iter().map(|point| point.value);
    let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
    let low = values.fold(f64::INFINITY, f64::min);
    (high - low).max(0.0)
}

//! What is usual for a series at this hour: an expected value with a band, learned point by point, and a score of how
//! unusual the newest value is.
//!
//! A [`Baseline`] takes one value at a time, in constant time, and holds 2.2 KB. It knows the series by two
//! unlike views, and finds a value unusual only where both do:
//!
//! 1. **The season** (`baseline/season.rs`): what is usual at this time of the day and week, and a slow level that
//!    follows busier and quieter days. Its scale is the usual size of the residual at this hour of the day, with
//!    floors: that of all hours, a share of the expected value, the series' own smallest step.
//! 2. **What is recent**: the level of the last hour with the usual distance from it, and the mean and σ of a day; the
//!    farther of the two counts. A job that starts every night is far from these, but not from the season; a busy day
//!    is the other way round.
//! 3. **The last hour of the residual**, sharper than both where the rhythm is strong: what the season is doubtful of is
//!    unusual where the residual has leapt.
//!
//! Where the season foretells worse than the last hour, the series has none, and the two recent views must agree.
//!
//! What lasts counts more than what is far away: [`Outlook::lasting`] is the second largest of the last three scores, or
//! the mean residual of the last hour beside its own usual size, whichever is larger. Both filters, two views and two of
//! three, are the strongest of the simple ones on labelled public series.
//!
//! What rises high every day is not unusual for that: the scores count beside their own usual peaks (`baseline/peaks.rs`).
//!
//! Nothing is unusual in the first six hours; the season is asked after two days. Weekends are known after three or four
//! weeks, and until then the bands are wide.
//!
//! A value teaches no more than a few scales, so that a fault does not become the expectation. A residual that stays on
//! one side for [`SHIFT_HOURS`] is a new level: the baseline starts anew from there, but keeps its rhythm, and the way
//! back is not unusual for three days.

mod peaks;
mod season;

use peaks::Peaks;
use season::{Expected, LEAST_SIZE, Season};

const HOUR_MS: f64 = 3_600_000.0;
/// Beyond this sums could overflow.
const MOST_VALUE: f64 = 1e36;
/// No value for this long, and for so many usual steps, breaks the run of the last three.
const GAP_HOURS: f64 = 1.0;
const GAP_STEPS: f64 = 3.0;
/// σ of normal noise over its mean size.
const SIZE_TO_SIGMA: f64 = 1.253;
/// The last hour's level follows with this time constant, in hours, the day's with the next.
const RECENT_HOURS: f64 = 1.0;
const DAY_HOURS: f64 = 24.0;
/// No value moves them by more than so many of their scales.
const MOST_RECENT: f64 = 6.0;
const MOST_DAY: f64 = 4.0;
/// Usual distances are learned over so many hours, and no value teaches more than so many of them.
const SCALE_HOURS: f64 = 96.0;
const MOST_SCALES: f64 = 3.0;
/// The usual residual of all hours learns up to so many of it: it is to know of wild values, that of an hour is not.
const MOST_OF_ALL: f64 = 8.0;
/// How much the residual counts beside that of the last hour, and how much the season does there.
const LATELY_WEIGHT: f64 = 0.6;
const SEASON_WEIGHT: f64 = 4.0;
/// The last hour's residual foretells better than the last hour's value if its usual size is below this share.
const LEAPT_SHARE: f64 = 0.8;
/// The slow level follows busier days in so many hours, by no more than so many scales.
const SLOW_HOURS: f64 = 6.0;
const MOST_SLOW: f64 = 2.0;
/// The mean residual is of about so many hours; a single one counts for no more than so many scales in it.
const MEAN_HOURS: f64 = 1.0;
const MEAN_STEPS: f64 = 2.0;
const MOST_MEAN: f64 = 6.0;
/// A value that stands for hours is a mean itself, and counts for so many scales more an hour, up to one hour.
const MOST_MEAN_HOUR: f64 = 3.0;
/// Its usual size is at least so many scales, and its score counts so much.
const LEAST_MEAN: f64 = 0.3;
const MEAN_WEIGHT: f64 = 0.6;
/// A residual that stays on one side for so long, and for so many values, by so many scales in the mean, is a new level.
const SHIFT_HOURS: f64 = 2.0;
const SHIFT_STEPS: f64 = 6.0;
const SHIFT_SCALES: f64 = 6.0;
/// For so many hours the way back to the level before is not unusual.
const RETURN_HOURS: f64 = 72.0;
/// So many hours of history are needed before anything is unusual, and before the season is asked.
const LEAST_HOURS: f64 = 6.0;
const SEASON_HOURS: f64 = 48.0;
/// The scale of an hour is at least this share of that of all hours, and this share of the expected value.
const LEAST_HOUR: f64 = 0.6;
const LEAST_SHARE: f64 = 0.01;

/// Which way a value must leave the band to be unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Only what is too high.
    Up,
    /// Only what is too low.
    Down,
    /// Either.
    Both,
}

/// What the user says about a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// How many scales away is unusual: 3 is nervous, 5 the default, 8 calm.
    pub scales: f64,
    /// What is nearer than this to the expected value never is, in the series' unit; zero or more.
    pub least_deviation: f64,
    /// Which way.
    pub direction: Direction,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self { scales: 5.0, least_deviation: 0.0, direction: Direction::Both }
    }
}

/// What a baseline says of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// What was expected.
    pub expected: f64,
    /// The lower end of the band of what is usual.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// How far this value alone is from usual, in scales, zero or more: worth a mark on a chart.
    pub score: f64,
    /// How far it has been from usual lately, in scales, zero or more: worth a word where a rule asks.
    pub lasting: f64,
    /// Whether [`Self::lasting`] exceeds the sensitivity.
    pub unusual: bool,
    /// Whether this value made the baseline start anew at another level.
    pub shifted: bool,
}

/// What is learned of one series.
#[derive(Debug, Clone)]
pub struct Baseline {
    season: Season,
    peaks: Peaks,
    first_ms: i64,
    newest_ms: i64,
    newest: f64,
    /// The usual time from one value to the next.
    step_hours: f64,
    /// The smallest step that the values make.
    quantum: f64,
    /// The last hour's level, and the usual distance from it.
    recent: f64,
    recent_size: f64,
    /// The day's mean and variance.
    mean: f64,
    variance: f64,
    /// The usual size of the residual of the season.
    season_size: f64,
    /// The last hour's level of the residual, and the usual distance from it.
    lately: f64,
    lately_size: f64,
    /// The slow level of the residual.
    slow: f64,
    /// The mean residual of the last hour, in scales, and its usual size.
    residual: f64,
    residual_size: f64,
    /// What shifts have added, what that was before the last one, and when that was.
    offset: f64,
    offset_before: f64,
    shifted_ms: i64,
    /// For how long the residual has been on one side, and its sum over that time.
    beyond_hours: f64,
    beyond_sum: f64,
    /// The signed scores of the last two values, the newer first.
    last: [f64; 2],
}

/// How far one value is from what is known.
struct Scores {
    /// From both views, in scales, with sign.
    agreed: f64,
    /// What is expected, and the scale around it.
    expected: Expected,
    scale: f64,
    /// From the season alone.
    season: Option<Residual>,
}

/// A residual of the season, in scales with sign.
#[derive(Clone, Copy)]
struct Residual {
    /// From the middle.
    middle: f64,
    /// From the nearest of all that would be usual.
    outside: f64,
}

impl Baseline {
    /// Whether a value can be learned: a number whose size is no more than 10^36.
    pub fn usable(value: f64) -> bool {
        value.abs() <= MOST_VALUE
    }

    /// What is known after the first value, which is to be [usable](Self::usable).
    pub fn new(at_ms: i64, value: f64) -> Self {
        Self {
            season: Season::new(),
            peaks: Peaks::new(at_ms),
            first_ms: at_ms,
            newest_ms: at_ms,
            newest: value,
            step_hours: 0.0,
            quantum: f64::INFINITY,
            recent: value,
            recent_size: 0.0,
            mean: value,
            variance: 0.0,
            season_size: 0.0,
            lately: 0.0,
            lately_size: 0.0,
            slow: 0.0,
            residual: 0.0,
            residual_size: 0.5,
            offset: 0.0,
            offset_before: 0.0,
            shifted_ms: i64::MIN,
            beyond_hours: 0.0,
            beyond_sum: 0.0,
            last: [0.0; 2],
        }
    }

    /// Judges `value` at `at_ms` by what is known, then learns it. What is not [usable](Self::usable), or not newer,
    /// is left out.
    pub fn update(&mut self, at_ms: i64, value: f64, wanted: &Sensitivity) -> Option<Outlook> {
        if !Self::usable(value) || at_ms <= self.newest_ms {
            return None;
        }
        let hours = self.pass(at_ms);
        let scores = self.scores(at_ms, value);
        if let Some(season) = scores.season {
            self.follow_residual(season, hours.min(self.step_hours));
        }
        let near = (value - scores.expected.middle).abs() < wanted.least_deviation;
        let counts = |score: f64| match wanted.direction {
            _ if near => 0.0,
            Direction::Up => score.max(0.0),
            Direction::Down => score.min(0.0),
            Direction::Both => score,
        };
        let score = counts(scores.agreed);
        let size = (SIZE_TO_SIGMA * self.residual_size).max(LEAST_MEAN);
        let mean = counts(MEAN_WEIGHT * self.residual / size);
        let second = self.second_of_three(score) * score.signum();
        let peak = farther(second, mean);
        self.last = [score, self.last[0]];
        let wild = self.peaks.wildness();
        let lasting = peak.abs() / wild[usize::from(peak < 0.0)];
        self.peaks.learn(at_ms, peak);
        let [above, below] =
            wild.map(|wild| (wanted.scales * wild * scores.scale).max(wanted.least_deviation));
        let shifted = self.learn(at_ms, value, hours, &scores);
        Some(Outlook {
            expected: scores.expected.middle,
            lower: scores.expected.low - below,
            upper: scores.expected.high + above,
            score: score.abs(),
            lasting,
            unusual: lasting > wanted.scales,
            shifted,
        })
    }

    /// Notes the time since the last value, and how many hours the new one stands for.
    fn pass(&mut self, at_ms: i64) -> f64 {
        let passed = (at_ms - self.newest_ms) as f64 / HOUR_MS;
        if self.step_hours == 0.0 {
            self.step_hours = passed.min(GAP_HOURS);
        }
        let gap = GAP_HOURS.max(GAP_STEPS * self.step_hours);
        if passed > gap {
            self.last = [0.0; 2];
            (self.beyond_hours, self.beyond_sum, self.residual) = (0.0, 0.0, 0.0);
        }
        let hours = passed.min(gap);
        self.step_hours += (hours - self.step_hours) / 16.0;
        hours
    }

    /// The second largest of the last three scores of one side.
    fn second_of_three(&self, score: f64) -> f64 {
        let [before, earlier] = self.last.map(|last| last * score.signum());
        before.max(earlier).min(score.abs()).max(0.0)
    }

    /// Whether the level has changed lately, so that the way back is not unusual.
    fn has_shifted(&self, at_ms: i64) -> bool {
        (at_ms.saturating_sub(self.shifted_ms) as f64) < RETURN_HOURS * HOUR_MS
    }

    fn floor(&self, level: f64) -> f64 {
        let quantum = if self.quantum.is_finite() { self.quantum } else { 0.0 };
        (LEAST_SHARE * level.abs()).max(quantum).max(f64::MIN_POSITIVE)
    }

    fn scores(&self, at_ms: i64, value: f64) -> Scores {
        let hours = (at_ms - self.first_ms) as f64 / HOUR_MS;
        let from_recent =
            (value - self.recent) / (SIZE_TO_SIGMA * self.recent_size).max(self.floor(self.recent));
        let day_scale = self.variance.sqrt().max(self.floor(self.mean));
        let from_day = (value - self.mean) / day_scale;
        let season = self.season.expected(at_ms).zip(self.season.size(at_ms));
        let (Some((rhythm, size)), true) = (season, hours >= SEASON_HOURS) else {
            let agreed = if hours >= LEAST_HOURS { agreed(from_recent, from_day) } else { 0.0 };
            let expected = Expected { low: self.mean, middle: self.mean, high: self.mean };
            return Scores { agreed, expected, scale: day_scale, season: None };
        };
        let expected = rhythm.raised(self.offset + self.slow);
        let size = size.max(LEAST_HOUR * self.season_size);
        let scale = (SIZE_TO_SIGMA * size).max(self.floor(expected.middle));
        let outside = self.outside(at_ms, value, rhythm) / scale;
        let foretold = (expected.middle - self.recent) / (value - self.recent) > 0.5;
        let last_week = self.season.usual_last_week(at_ms, outside);
        let has_season = self.season_size <= self.recent_size;
        let agreed = if last_week || self.season.usual_again(at_ms, outside) {
            0.0
        } else {
            let both = if foretold || has_season {
                agreed(outside, farther(from_recent, from_day))
            } else {
                agreed(from_recent, from_day)
            };
            let sharper = has_season || self.lately_size <= LEAPT_SHARE * self.recent_size;
            let leapt = if sharper { self.leapt(at_ms, value, expected.middle) } else { 0.0 };
            farther(both, agreed(SEASON_WEIGHT * outside, LATELY_WEIGHT * leapt))
        };
        let middle = (value - expected.middle) / scale;
        // A job of every week is no residual.
        let outside = if last_week { outside.clamp(-1.0, 1.0) } else { outside };
        Scores { agreed, expected, scale, season: Some(Residual { middle, outside }) }
    }

    /// How far the residual is from that of the last hour; nothing where the level may go back.
    fn leapt(&self, at_ms: i64, value: f64, expected: f64) -> f64 {
        if self.has_shifted(at_ms) {
            return 0.0;
        }
        let scale = (SIZE_TO_SIGMA * self.lately_size).max(self.floor(expected));
        (value - expected - self.lately) / scale
    }

    /// How far `value` is from the nearest of all that would be usual: the rhythm as it is, moved by an hour, without
    /// the slow level, or at the level before the last shift.
    fn outside(&self, at_ms: i64, value: f64, rhythm: Expected) -> f64 {
        let base = self.offset + self.slow;
        let returned =
            self.has_shifted(at_ms).then(|| rhythm.outside(value - self.offset_before - self.slow));
        let moved = self.season.moved(at_ms).map(|rhythm| rhythm.outside(value - base));
        let as_it_is = rhythm.outside(value - base);
        let not_busy = rhythm.outside(value - self.offset);
        moved.chain(returned).chain([not_busy]).fold(as_it_is, |nearest, other| {
            if other.abs() < nearest.abs() { other } else { nearest }
        })
    }

    fn follow_residual(&mut self, season: Residual, hours: f64) {
        let most = MOST_MEAN + MOST_MEAN_HOUR * self.step_hours.min(1.0);
        let outside = season.outside.clamp(-most, most);
        self.residual +=
            (outside - self.residual) * share(hours, MEAN_HOURS.max(MEAN_STEPS * self.step_hours));
    }

    /// Learns a value, and tells whether it made a new level sure.
    fn learn(&mut self, at_ms: i64, value: f64, hours: f64, scores: &Scores) -> bool {
        let days = (at_ms - self.first_ms) as f64 / HOUR_MS / 24.0;
        self.learn_recent(value, hours, days);
        self.season.learn(at_ms, value - self.offset, self.slow, hours, days, scores.scale);
        (self.newest_ms, self.newest) = (at_ms, value);
        let Some(season) = scores.season else { return false };
        let residual = season.middle * scores.scale;
        let most = MOST_OF_ALL * self.season_size.max(LEAST_SIZE * scores.scale);
        let early = hours / (24.0 * days - SEASON_HOURS).max(hours);
        self.season_size +=
            (residual.abs().min(most) - self.season_size) * share(hours, SCALE_HOURS).max(early);
        let least = LEAST_SIZE * scores.scale;
        let from_lately = residual - self.lately;
        let most = MOST_RECENT * self.lately_size.max(least);
        let most_size = MOST_SCALES * SIZE_TO_SIGMA * self.lately_size.max(least);
        self.lately_size += (from_lately.abs().min(most_size) - self.lately_size)
            * share(hours, SCALE_HOURS).max(early);
        self.lately += from_lately.clamp(-most, most) * share(hours, RECENT_HOURS);
        let most = MOST_SCALES * self.residual_size;
        self.residual_size +=
            (self.residual.abs().min(most) - self.residual_size) * share(hours, SCALE_HOURS);
        let most = MOST_SLOW * scores.scale;
        self.slow += residual.clamp(-most, most) * share(hours, SLOW_HOURS);
        self.shift(at_ms, hours, season.middle, scores.scale)
    }

    /// Learns what does not ask for the time. In the first hours every value counts as much as it is.
    fn learn_recent(&mut self, value: f64, hours: f64, days: f64) {
        let step = (value - self.newest).abs();
        if step > 0.0 {
            self.quantum = self.quantum.min(step);
        }
        let most = |size: f64| {
            if 24.0 * days < LEAST_HOURS { f64::INFINITY } else { size.max(self.floor(0.0)) }
        };
        let early = hours / (24.0 * days).max(hours);
        let (most_size, most_step, most_day) = (
            most(MOST_SCALES * SIZE_TO_SIGMA * self.recent_size),
            most(MOST_RECENT * self.recent_size),
            most(MOST_DAY * self.variance.sqrt().max(self.recent_size)),
        );
        let from_recent = value - self.recent;
        self.recent_size += (from_recent.abs().min(most_size) - self.recent_size)
            * share(hours, SCALE_HOURS).max(early);
        self.recent += from_recent.clamp(-most_step, most_step) * share(hours, RECENT_HOURS);
        let from_mean = (value - self.mean).clamp(-most_day, most_day);
        let follows = share(hours, DAY_HOURS).max(early);
        self.mean += from_mean * follows;
        self.variance += (from_mean * from_mean * (1.0 - follows) - self.variance) * follows;
    }

    /// Starts anew at another level, if the residual has been on one side for long enough.
    fn shift(&mut self, at_ms: i64, hours: f64, residual: f64, scale: f64) -> bool {
        if residual * self.beyond_sum >= 0.0 && residual.abs() > 1.0 {
            self.beyond_hours += hours;
            self.beyond_sum += residual * scale * hours;
        } else {
            (self.beyond_hours, self.beyond_sum) = (0.0, 0.0);
        }
        let level = self.beyond_sum / self.beyond_hours.max(hours);
        if self.beyond_hours < SHIFT_HOURS.max(SHIFT_STEPS * self.step_hours)
            || level.abs() <= SHIFT_SCALES * scale
        {
            return false;
        }
        (self.offset_before, self.shifted_ms) = (self.offset, at_ms);
        self.offset += level;
        (self.beyond_hours, self.beyond_sum) = (0.0, 0.0);
        true
    }
}

/// How much a mean with a time constant follows a value that stands for so many hours.
fn share(hours: f64, time: f64) -> f64 {
    1.0 - (-hours / time).exp()
}

/// What two views agree on: the smaller of two scores of one sign.
fn agreed(a: f64, b: f64) -> f64 {
    if a * b <= 0.0 {
        0.0
    } else if a.abs() < b.abs() {
        a
    } else {
        b
    }
}

fn farther(a: f64, b: f64) -> f64 {
    if a.abs() > b.abs() { a } else { b }
}

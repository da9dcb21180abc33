//! The rhythm of a day and of a week: levels by the time, learned robustly, in UTC.
//!
//! 1. A level for each of the 288 five minutes of the day follows what is seen there: the mean of the first days, then
//!    a fifth of the difference each day, of which no more than three scales count.
//! 2. A correction for each three hours of the week follows what the day and the slow level leave over, so that weekends
//!    are known; between their middles it goes on a line.
//! 3. For each five minutes the last residual is kept in half scales. What was unusual there yesterday and is again
//!    today is no chance: the level follows at once.
//! 4. For each hour of the week the largest residual is kept too: a job of every week is usual in its second one.
//! 5. What people do follows their clocks. The errors of the rhythm an hour earlier and later are kept beside its own;
//!    when one of them is by far better for long enough, the day is turned by an hour.

const SLOTS: usize = 288;
const WEEK_SLOTS: usize = 56;
const WEEK_HOURS: usize = 168;
const SLOT_MS: i64 = 300_000;
const WEEK_SLOT_MS: i64 = 3 * 3_600_000;
const HOUR_SLOTS: i64 = 12;

/// The share of a difference that the day's level follows, at the least.
const DAY_SHARE: f64 = 0.2;
/// The share that the week's correction follows in its three hours.
const WEEK_SHARE: f64 = 0.4;
/// No value teaches the day more than so many scales, and the week more than the next.
const MOST_SCALES: f64 = 3.0;
const MOST_WEEK_SCALES: f64 = 20.0;
/// No value teaches a usual size more than so many of it: more, and the days of a weekend would drive it up. But from
/// nothing it can grow, by this share of the scale.
const MOST_SIZES: f64 = 2.5;
pub(super) const LEAST_SIZE: f64 = 0.125;
/// A residual was there yesterday, or last week, if it was at least this share as large; no more than so many scales can
/// be kept.
const AGAIN_SHARE: f64 = 0.7;
const LAST_WEEK_SHARE: f64 = 0.5;
const MOST_KEPT: f64 = 60.0;
/// So many scales of last week, at the least, make those of this week usual.
const LEAST_LAST_WEEK: f64 = 3.0;
/// The errors of the turned rhythms are means of so many hours.
const TURN_HOURS: f64 = 1.0;
/// A turned rhythm fits if its error is below this share of that of the rhythm as it is, or below so many scales.
const FITS_SHARE: f64 = 0.7;
const FITS_SCALES: f64 = 2.0;
/// Nothing has moved where the error of the rhythm as it is is below so many scales.
const LEAST_ERROR: f64 = 0.5;
/// The day is turned once the turned rhythm was better by so many scales' hours.
const TURN_EVIDENCE: f64 = 6.0;
const MOST_EVIDENCE_RATE: f64 = 4.0;

/// What is expected at a time, with the levels of the five minutes before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Expected {
    pub(super) low: f64,
    pub(super) middle: f64,
    pub(super) high: f64,
}

impl Expected {
    /// How far `value` is outside of what is expected.
    pub(super) fn outside(&self, value: f64) -> f64 {
        value - value.clamp(self.low, self.high)
    }

    pub(super) fn raised(self, by: f64) -> Self {
        Self { low: self.low + by, middle: self.middle + by, high: self.high + by }
    }
}

/// The levels and scales of a series by the time of day and week.
#[derive(Debug, Clone)]
pub(super) struct Season {
    day: [f32; SLOTS],
    yesterday: [i8; SLOTS],
    week: [f32; WEEK_SLOTS],
    /// The largest residual of each hour of the week, when it was last over, in half scales.
    last_week: [i8; WEEK_HOURS],
    /// The present hour of the week, and the largest residual in it.
    hour: (usize, i8),
    /// The usual size of the residual in each hour of the day.
    sizes: [f32; 24],
    /// What is seen in the present five minutes, to be learned when they are over.
    seen: Seen,
    turned: i32,
    /// The recent errors of the rhythm as it is, an hour earlier and an hour later, in scales.
    errors: [f32; 3],
    evidence: [f32; 2],
}

/// The values of five minutes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    at_ms: i64,
    sum: f64,
    count: f64,
    hours: f64,
}

impl Season {
    pub(super) fn new() -> Self {
        Self {
            day: [f32::NAN; SLOTS],
            yesterday: [0; SLOTS],
            week: [0.0; WEEK_SLOTS],
            last_week: [0; WEEK_HOURS],
            hour: (0, 0),
            sizes: [f32::NAN; 24],
            seen: Seen { at_ms: 0, sum: 0.0, count: 0.0, hours: 0.0 },
            turned: 0,
            errors: [0.0; 3],
            evidence: [0.0; 2],
        }
    }

    /// What is expected at `at_ms`, where that is known.
    pub(super) fn expected(&self, at_ms: i64) -> Option<Expected> {
        self.turned_by(at_ms, 0)
    }

    /// What is expected of a rhythm that has moved by an hour, if that has fitted as well lately.
    pub(super) fn moved(&self, at_ms: i64) -> impl Iterator<Item = Expected> {
        let here = f64::from(self.errors[0]);
        // Clocks change on Sundays, which few rhythms show before Monday; 1970 began on a Thursday.
        let clocks_change = matches!(at_ms.div_euclid(86_400_000).rem_euclid(7), 3 | 4);
        let fits = move |error: f32| {
            clocks_change && f64::from(error) <= FITS_SCALES
                || f64::from(error) <= FITS_SHARE * here && here > LEAST_ERROR
        };
        [(1, -HOUR_SLOTS), (2, HOUR_SLOTS)]
            .into_iter()
            .filter(move |(place, _)| fits(self.errors[*place]))
            .filter_map(move |(_, slots)| self.turned_by(at_ms, slots))
    }

    fn turned_by(&self, at_ms: i64, slots: i64) -> Option<Expected> {
        let slot = self.slot(at_ms, slots);
        let middle = self.day[slot];
        if !middle.is_finite() {
            return None;
        }
        let beside = [self.day[(slot + SLOTS - 1) % SLOTS], self.day[(slot + 1) % SLOTS]];
        // A minimum leaves out what is not known.
        let low = middle.min(beside[0]).min(beside[1]);
        let high = middle.max(beside[0]).max(beside[1]);
        let week = self.of_week(at_ms);
        let [low, middle, high] = [low, middle, high].map(|level| f64::from(level) + week);
        Some(Expected { low, middle, high })
    }

    /// The usual size of the residual at this hour of the day.
    pub(super) fn size(&self, at_ms: i64) -> Option<f64> {
        let size = self.sizes[self.slot(at_ms, 0) / HOUR_SLOTS as usize];
        size.is_finite().then(|| f64::from(size))
    }

    /// Learns `value` at `at_ms`, which stands for `hours`, after so many `days`. `slow` is the level that only the week
    /// is to learn, `scale` the present one.
    pub(super) fn learn(
        &mut self,
        at_ms: i64,
        value: f64,
        slow: f64,
        hours: f64,
        days: f64,
        scale: f64,
    ) {
        self.compare(at_ms, value - slow, hours, scale);
        let of = |at_ms: i64| at_ms.div_euclid(SLOT_MS);
        if self.seen.count > 0.0 && of(self.seen.at_ms) != of(at_ms) {
            self.settle(self.seen, slow, days, scale);
            self.seen = Seen { at_ms, sum: 0.0, count: 0.0, hours: 0.0 };
        }
        let Seen { sum, count, hours: total, .. } = self.seen;
        self.seen = Seen { at_ms, sum: sum + value, count: count + 1.0, hours: total + hours };
    }

    /// Learns the mean of five minutes that are over.
    fn settle(&mut self, seen: Seen, slow: f64, days: f64, scale: f64) {
        let (slot, week) = (self.slot(seen.at_ms, 0), self.of_week(seen.at_ms));
        let value = seen.sum / seen.count - slow;
        if !self.day[slot].is_finite() {
            self.day[slot] = (value - week) as f32;
            return;
        }
        let residual = value - week - f64::from(self.day[slot]);
        let most = MOST_SCALES * scale;
        let again = residual.abs() > most && self.usual_again(seen.at_ms, residual / scale);
        let step = if again {
            residual / 2.0
        } else {
            residual.clamp(-most, most) * DAY_SHARE.max(1.0 / (days + 1.0))
        };
        self.day[slot] += step as f32;
        let kept = (2.0 * residual / scale).clamp(-127.0, 127.0) as i8;
        self.yesterday[slot] = kept;
        let hour = hour_of_week(seen.at_ms);
        if self.hour.0 != hour {
            self.last_week[self.hour.0] = self.hour.1;
            self.hour = (hour, 0);
        }
        if kept.unsigned_abs() > self.hour.1.unsigned_abs() {
            self.hour.1 = kept;
        }
        let most_week = MOST_WEEK_SCALES * scale;
        let share = 1.0 - (1.0 - WEEK_SHARE).powf(seen.hours * 3_600_000.0 / WEEK_SLOT_MS as f64);
        for (week_slot, weight) in week_slots(seen.at_ms) {
            self.week[week_slot] +=
                ((residual + slow).clamp(-most_week, most_week) * share * weight) as f32;
        }
        let size = &mut self.sizes[slot / HOUR_SLOTS as usize];
        if size.is_finite() {
            let share = (seen.hours * DAY_SHARE.max(1.0 / (days + 0.5))).min(0.5);
            let most = MOST_SIZES * f64::from(*size).max(LEAST_SIZE * scale);
            *size += ((residual.abs().min(most) - f64::from(*size)) * share) as f32;
        } else {
            *size = residual.abs() as f32;
        }
    }

    /// Whether a residual of so many `scales` was there at this time of the last day too, or five minutes later.
    pub(super) fn usual_again(&self, at_ms: i64, scales: f64) -> bool {
        let slot = self.slot(at_ms, 0);
        let yesterday = [self.yesterday[slot], self.yesterday[(slot + 1) % SLOTS]];
        yesterday.into_iter().any(|before| alike(before, scales, AGAIN_SHARE))
    }

    /// Whether a residual of so many `scales` was there in this hour of the last week.
    pub(super) fn usual_last_week(&self, at_ms: i64, scales: f64) -> bool {
        let before = self.last_week[hour_of_week(at_ms)];
        f64::from(before.unsigned_abs()) >= 2.0 * LEAST_LAST_WEEK
            && alike(before, scales, LAST_WEEK_SHARE)
    }

    /// Compares the rhythm as it is with the turned ones, and turns it when one of those is by far better.
    fn compare(&mut self, at_ms: i64, value: f64, hours: f64, scale: f64) {
        let share = 1.0 - (-hours / TURN_HOURS).exp();
        for (place, slots) in [0, -HOUR_SLOTS, HOUR_SLOTS].into_iter().enumerate() {
            let Some(expected) = self.turned_by(at_ms, slots) else { return };
            let error = (expected.outside(value).abs() / scale).min(20.0);
            self.errors[place] += ((error - f64::from(self.errors[place])) * share) as f32;
        }
        for (place, slots) in [-HOUR_SLOTS, HOUR_SLOTS].into_iter().enumerate() {
            let better = f64::from(self.errors[0] - self.errors[place + 1]);
            let rate = better.clamp(-MOST_EVIDENCE_RATE, MOST_EVIDENCE_RATE);
            let fits = f64::from(self.errors[place + 1]) <= FITS_SCALES;
            let evidence =
                f64::from(self.evidence[place]) + if fits { rate * hours } else { -hours };
            self.evidence[place] = evidence.max(0.0) as f32;
            if evidence > TURN_EVIDENCE {
                self.turned += slots as i32;
                (self.errors, self.evidence) = ([0.0; 3], [0.0; 2]);
                return;
            }
        }
    }

    /// The week's correction, between the middles of its slots on a line.
    fn of_week(&self, at_ms: i64) -> f64 {
        week_slots(at_ms).iter().map(|(slot, weight)| f64::from(self.week[*slot]) * weight).sum()
    }

    fn slot(&self, at_ms: i64, slots: i64) -> usize {
        (at_ms.div_euclid(SLOT_MS) + i64::from(self.turned) + slots).rem_euclid(SLOTS as i64)
            as usize
    }
}

/// Whether a residual `before`, in half scales, is at least this share of one of so many `scales`.
fn alike(before: i8, scales: f64, share: f64) -> bool {
    let before = f64::from(before) / 2.0;
    before * scales > 0.0 && before.abs() >= share * scales.abs().min(MOST_KEPT)
}

fn hour_of_week(at_ms: i64) -> usize {
    at_ms.div_euclid(SLOT_MS * HOUR_SLOTS).rem_euclid(WEEK_HOURS as i64) as usize
}

/// The two slots of the week between whose middles a time lies, with their weights.
fn week_slots(at_ms: i64) -> [(usize, f64); 2] {
    let from_middle = at_ms - WEEK_SLOT_MS / 2;
    let before = from_middle.div_euclid(WEEK_SLOT_MS);
    let share = from_middle.rem_euclid(WEEK_SLOT_MS) as f64 / WEEK_SLOT_MS as f64;
    let slot = |slot: i64| slot.rem_euclid(WEEK_SLOTS as i64) as usize;
    [(slot(before), 1.0 - share), (slot(before + 1), share)]
}

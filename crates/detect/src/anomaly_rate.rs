//! How unusual a host is as a whole: the share of its series that are unusual now, beside what that usually is.
//!
//! One unusual series says little; that many of one host are at once is an incident, whatever each of them means. The
//! rate is compared with the median of the host's own hourly means of seven days.

use crate::rank;

const HOUR_MS: i64 = 3_600_000;
/// The hours of seven days.
const HOURS: usize = 168;
/// Of fewer series there is no rate.
pub const LEAST_SERIES: usize = 10;
/// An incident has at least this rate, and so many times the usual one.
const LEAST_RATE: f64 = 0.05;
const TIMES_USUAL: f64 = 10.0;

/// The rate of one host, and what it has been.
#[derive(Debug, Clone)]
pub struct AnomalyRate {
    /// The mean of each hour of the last seven days, by the hour's number; what is not known is no number.
    hours: [f32; HOURS],
    hour: i64,
    sum: f64,
    count: f64,
}

/// What the rate says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The share of series that are unusual now, 0 to 1.
    pub now: f64,
    /// The usual share, 0 to 1; 0 as long as no hour is known.
    pub usual: f64,
    /// Whether so much is unusual at once that somebody should look.
    pub incident: bool,
}

impl Default for AnomalyRate {
    fn default() -> Self {
        Self { hours: [f32::NAN; HOURS], hour: i64::MIN, sum: 0.0, count: 0.0 }
    }
}

impl AnomalyRate {
    /// Notes that `unusual` of `monitored` series are so at `now_ms` (each five minutes is a good measure), and says
    /// what that means. Of fewer than [`LEAST_SERIES`] it says, and learns, nothing.
    pub fn update(&mut self, now_ms: i64, unusual: usize, monitored: usize) -> Option<Rate> {
        if monitored < LEAST_SERIES {
            return None;
        }
        let now = unusual.min(monitored) as f64 / monitored as f64;
        self.pass(now_ms.div_euclid(HOUR_MS));
        let mut known: Vec<f64> = self.hours.iter().copied().map(f64::from).collect();
        known.retain(|rate| rate.is_finite());
        let usual = rank::median(&mut known).unwrap_or(0.0);
        (self.sum, self.count) = (self.sum + now, self.count + 1.0);
        Some(Rate { now, usual, incident: now > LEAST_RATE.max(TIMES_USUAL * usual) })
    }

    /// Closes the hour that is over; hours without a word are not known.
    fn pass(&mut self, hour: i64) {
        if hour <= self.hour {
            return;
        }
        let place = |hour: i64| hour.rem_euclid(HOURS as i64) as usize;
        if self.count > 0.0 {
            self.hours[place(self.hour)] = (self.sum / self.count) as f32;
            let silent = hour.saturating_sub(self.hour).min(HOURS as i64 + 1);
            (1..silent).for_each(|after| self.hours[place(self.hour + after)] = f32::NAN);
        }
        (self.hour, self.sum, self.count) = (hour, 0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_MS: i64 = 300_000;

    /// A rate that has seen `unusual` of 100 series for so many days.
    fn after(days: i64, unusual: usize) -> AnomalyRate {
        let mut rate = AnomalyRate::default();
        for step in 0..days * 288 {
            rate.update(step * STEP_MS, unusual, 100);
        }
        rate
    }

    #[track_caller]
    fn check(days: i64, usually: usize, now: usize, incident: bool) {
        let found = after(days, usually).update(days * 288 * STEP_MS, now, 100).unwrap();
        assert_eq!((found.now, found.incident), (now as f64 / 100.0, incident));
        let usual = if days == 0 { 0.0 } else { usually as f64 / 100.0 };
        assert!((found.usual - usual).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn much_at_once_is_an_incident() {
        check(0, 0, 6, true);
        check(3, 0, 6, true);
        check(3, 0, 5, false);
        check(9, 1, 9, false);
        check(9, 1, 11, true);
        check(9, 3, 29, false);
    }

    #[test]
    fn an_incident_does_not_become_usual_in_a_day() {
        let mut rate = after(7, 0);
        for step in 0..288 {
            let found = rate.update((7 * 288 + step) * STEP_MS, 40, 100).unwrap();
            assert!(found.incident, "{step}");
        }
    }

    #[test]
    fn a_silent_week_is_forgotten() {
        let mut rate = after(7, 20);
        let found = rate.update(30 * 288 * STEP_MS, 6, 100).unwrap();
        // The last hour before the silence is known still.
        assert!(rate.hours.iter().filter(|hour| hour.is_finite()).count() <= 1);
        assert!(found.usual <= 0.2);
    }

    #[test]
    fn few_series_have_no_rate() {
        let mut rate = AnomalyRate::default();
        assert_eq!(rate.update(0, 3, 9), None);
        assert_eq!(rate.update(0, 30, 10).map(|rate| rate.now), Some(1.0));
    }
}

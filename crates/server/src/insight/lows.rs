//! What was left of something over the last week, thinned with age: what a forecast reads.
//!
//! A point is the least that was left in its step, for it is the least that counts: of the newest six hours every five
//! minutes, of the newest day every half hour, of the week every two hours. That is some 200 points, 8 bytes each.

use muster_series::Sample;

const MINUTE_MS: i64 = 60_000;
/// How far back points are kept, in milliseconds.
pub(super) const KEPT_MS: i64 = 7 * 24 * 60 * MINUTE_MS;
/// Up to which age, and in which steps, in minutes.
const STEPS: [(u32, u32); 3] = [(6 * 60, FINEST), (24 * 60, 30), (7 * 24 * 60, 120)];
const FINEST: u32 = 5;
/// With more points they are thinned.
const MOST_POINTS: usize = 240;

/// A point: whole minutes since 1970, and the least that was left in its step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Low {
    minute: u32,
    /// Seven digits are enough: a pace is told from far larger differences.
    least: f32,
}

impl Low {
    fn join(&mut self, other: Self) {
        if other.least < self.least {
            *self = other;
        }
    }
}

/// The points of one series, in time order.
#[derive(Debug, Clone, Default)]
pub(super) struct Lows(Vec<Low>);

impl Lows {
    /// Adds what was left; what is not newer than the newest point's step joins that.
    pub(super) fn push(&mut self, at_ms: i64, left: f64) {
        let Ok(minute) = u32::try_from(at_ms.div_euclid(MINUTE_MS)) else { return };
        if !left.is_finite() {
            return;
        }
        let low = Low { minute, least: left as f32 };
        match self.0.last_mut() {
            Some(last) if minute / FINEST <= last.minute / FINEST => last.join(low),
            _ => self.0.push(low),
        }
        if self.0.len() > MOST_POINTS {
            self.thin();
        }
    }

    fn thin(&mut self) {
        let Some(newest) = self.0.last().map(|low| low.minute) else { return };
        let (oldest, _) = STEPS[STEPS.len() - 1];
        self.0.retain(|low| newest - low.minute <= oldest);
        self.0.dedup_by(|later, earlier| {
            let age = newest - earlier.minute;
            let step = STEPS.into_iter().find(|(until, _)| age <= *until);
            let same = step.is_some_and(|(_, step)| later.minute / step == earlier.minute / step);
            if same {
                earlier.join(*later);
            }
            same
        });
    }

    /// Whether no point is newer than this.
    pub(super) fn is_older(&self, than_ms: i64) -> bool {
        self.samples().next_back().is_none_or(|newest| newest.timestamp_ms < than_ms)
    }

    /// The points, as samples.
    pub(super) fn samples(&self) -> impl DoubleEndedIterator<Item = Sample> {
        self.0.iter().map(|low| Sample {
            timestamp_ms: i64::from(low.minute) * MINUTE_MS,
            value: f64::from(low.least),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000 - 1_790_000_000_000 % (120 * MINUTE_MS);

    #[test]
    fn a_week_is_thinned_and_its_lows_stay() {
        let mut lows = Lows::default();
        // Every half minute, with one dip two days ago that lasts a minute.
        let dip_ms = NOW_MS - 2 * 24 * 60 * MINUTE_MS - 17 * MINUTE_MS;
        for step in 0..=KEPT_MS / 30_000 {
            let at_ms = NOW_MS - KEPT_MS + step * 30_000;
            let dips = (dip_ms..dip_ms + MINUTE_MS).contains(&at_ms);
            lows.push(at_ms, if dips { 1.0 } else { 9.0 });
        }
        let samples: Vec<Sample> = lows.samples().collect();
        assert!((170..=MOST_POINTS).contains(&samples.len()), "{}", samples.len());
        assert!(samples.windows(2).all(|pair| pair[0].timestamp_ms < pair[1].timestamp_ms));
        let dips: Vec<&Sample> = samples.iter().filter(|sample| sample.value == 1.0).collect();
        assert_eq!(dips.len(), 1);
        assert_eq!(dips[0].timestamp_ms.div_euclid(MINUTE_MS), dip_ms.div_euclid(MINUTE_MS));
        assert_eq!(samples.last().unwrap().timestamp_ms, NOW_MS);
        assert!(samples[0].timestamp_ms <= NOW_MS - KEPT_MS + 120 * MINUTE_MS);
    }

    #[test]
    fn what_is_no_number_or_older_changes_nothing() {
        let mut lows = Lows::default();
        lows.push(NOW_MS, 5.0);
        lows.push(NOW_MS, f64::NAN);
        lows.push(NOW_MS - MINUTE_MS, 7.0);
        lows.push(-1, 7.0);
        let samples: Vec<Sample> = lows.samples().collect();
        assert_eq!(samples, [Sample { timestamp_ms: NOW_MS, value: 5.0 }]);
    }
}

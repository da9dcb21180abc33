//! What a host sends when: pure, so that it can be played in a test without a clock.

use std::mem::take;

use muster_series::Labels;
use muster_wire::Group;

use crate::{HostModel, Pace};

/// Slow series are sampled at multiples of this, in milliseconds.
const SLOW_MS: i64 = 30_000;
/// A batch of backfill or of what was missed has no more ticks than this.
const TICKS_PER_BATCH: usize = 50;
/// Ticks that were missed for longer than this, in milliseconds, are not made up for.
const CATCH_UP_MS: i64 = 600_000;

/// What is to be done now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Send these samples.
    Send(Vec<Group>),
    /// There is nothing to be sent before this moment.
    WaitUntil(i64),
    /// There will never be anything again.
    Done,
}

/// The samples of one host, in order.
#[derive(Debug)]
pub(crate) enum Script {
    /// What a [`HostModel`] says.
    Model {
        host: HostModel,
        /// The past that is to be filled first; it is empty once that is done.
        backfill: Ticks,
        /// The present; none if only the past is wanted.
        live: Option<Ticks>,
    },
    /// Series whose value is the number of the tick, from 1.
    Numbered { series: u32, live: Ticks, ticked: u64 },
}

impl Script {
    /// The labels of the series with this number.
    pub(crate) fn labels(&self, number: u32) -> Option<Labels> {
        match self {
            Self::Model { host, .. } => Some(host.series().get(number as usize)?.labels().clone()),
            Self::Numbered { series, .. } => (number < *series).then(|| numbered_labels(number)),
        }
    }

    /// What is due at `now_ms`. The present goes before the past.
    pub(crate) fn next(&mut self, now_ms: i64) -> Step {
        match self {
            Self::Model { host, backfill, live } => {
                let mut due = live.as_mut().map(|live| live.due(now_ms)).unwrap_or_default();
                if due.is_empty() {
                    due = backfill.due(now_ms);
                }
                if !due.is_empty() {
                    return Step::Send(due.into_iter().map(|tick| sample(host, tick)).collect());
                }
                live.as_ref().map_or(Step::Done, |live| Step::WaitUntil(live.next_ms))
            }
            Self::Numbered { series, live, ticked } => {
                let due = live.due(now_ms);
                if due.is_empty() {
                    return Step::WaitUntil(live.next_ms);
                }
                let groups = due.into_iter().map(|tick| {
                    *ticked += 1;
                    let samples = (0..*series).map(|number| (number, *ticked as f64)).collect();
                    Group { timestamp_ms: tick.at_ms, samples }
                });
                Step::Send(groups.collect())
            }
        }
    }

    /// Samples more often for a while, as a server asks when somebody looks at the host. A numbered
    /// host keeps its pace.
    pub(crate) fn boost(&mut self, interval_ms: i64, until_ms: i64) {
        if let Self::Model { live: Some(live), .. } = self {
            live.boost = Some((interval_ms.max(100), until_ms));
        }
    }

    /// How many ticks were passed over since this was last asked, because the host could not keep up.
    pub(crate) fn take_skipped(&mut self) -> u64 {
        match self {
            Self::Model { live, .. } => live.as_mut().map_or(0, |live| take(&mut live.skipped)),
            Self::Numbered { live, .. } => take(&mut live.skipped),
        }
    }
}

/// The labels of a numbered host's series.
fn numbered_labels(number: u32) -> Labels {
    let series = number.to_string();
    Labels::from_pairs([(muster_series::METRIC_NAME, NUMBERED_METRIC), ("series", &series)])
        .expect("both label names are valid")
}

/// The metric of a numbered host.
pub const NUMBERED_METRIC: &str = "muster_simulation_ticks_total";

/// One moment at which samples are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    at_ms: i64,
    slow: bool,
}

/// Moments at multiples of an interval.
#[derive(Debug, Clone)]
pub(crate) struct Ticks {
    next_ms: i64,
    /// Where they end, itself excluded.
    limit_ms: i64,
    interval_ms: i64,
    /// The moment after the last one at which slow series were sampled.
    slow_from_ms: i64,
    boost: Option<(i64, i64)>,
    skipped: u64,
}

impl Ticks {
    /// From the first multiple at or after `first_ms` up to `limit_ms`, itself excluded.
    pub(crate) fn between(first_ms: i64, limit_ms: i64, interval_ms: i64) -> Self {
        let next_ms = next_multiple(first_ms, interval_ms);
        Self { next_ms, limit_ms, interval_ms, slow_from_ms: i64::MIN, boost: None, skipped: 0 }
    }

    /// From the first multiple at or after `first_ms`, without end.
    pub(crate) fn from(first_ms: i64, interval_ms: i64) -> Self {
        Self::between(first_ms, i64::MAX, interval_ms)
    }

    /// What has come due, oldest first; as many as fit one batch.
    fn due(&mut self, now_ms: i64) -> Vec<Tick> {
        let endless = self.limit_ms == i64::MAX;
        if endless && self.next_ms < now_ms - CATCH_UP_MS {
            let resume_ms = next_multiple(now_ms - CATCH_UP_MS, self.interval_ms);
            self.skipped += ((resume_ms - self.next_ms) / self.interval_ms) as u64;
            self.next_ms = resume_ms;
        }
        let mut due = Vec::new();
        while self.next_ms <= now_ms && self.next_ms < self.limit_ms && due.len() < TICKS_PER_BATCH
        {
            let at_ms = self.next_ms;
            let slow = at_ms >= self.slow_from_ms;
            if slow {
                self.slow_from_ms = next_multiple(at_ms + 1, SLOW_MS);
            }
            due.push(Tick { at_ms, slow });
            self.next_ms = next_multiple(at_ms + 1, self.interval_at(at_ms));
        }
        due
    }

    fn interval_at(&self, at_ms: i64) -> i64 {
        match self.boost {
            Some((interval_ms, until_ms)) if at_ms < until_ms => interval_ms.min(self.interval_ms),
            _ => self.interval_ms,
        }
    }
}

/// The first multiple of `step_ms` that is not before `at_ms`.
fn next_multiple(at_ms: i64, step_ms: i64) -> i64 {
    at_ms + (-at_ms).rem_euclid(step_ms)
}

fn sample(host: &HostModel, tick: Tick) -> Group {
    let samples = (0_u32..)
        .zip(host.series())
        .filter(|(_, series)| tick.slow || series.pace() == Pace::Fast)
        .map(|(number, series)| (number, series.value(tick.at_ms)))
        .collect();
    Group { timestamp_ms: tick.at_ms, samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_000_000_000;

    fn at(ticks: &[Tick]) -> Vec<i64> {
        ticks.iter().map(|tick| tick.at_ms - NOW_MS).collect()
    }

    #[test]
    fn ticks_come_at_multiples_of_the_interval() {
        let mut ticks = Ticks::from(NOW_MS + 1, 5_000);
        assert_eq!(ticks.due(NOW_MS + 4_999), []);
        assert_eq!(at(&ticks.due(NOW_MS + 5_000)), [5_000]);
        assert_eq!(ticks.due(NOW_MS + 5_001), []);
        assert_eq!(at(&ticks.due(NOW_MS + 17_000)), [10_000, 15_000]);
    }

    #[test]
    fn slow_series_are_sampled_first_and_then_every_half_minute() {
        let mut ticks = Ticks::from(NOW_MS, 10_000);
        let slow: Vec<i64> = ticks
            .due(NOW_MS + 100_000)
            .iter()
            .filter(|tick| tick.slow)
            .map(|tick| tick.at_ms - NOW_MS)
            .collect();
        let phase = NOW_MS.rem_euclid(SLOW_MS);
        assert_eq!(phase, 10_000);
        assert_eq!(slow, [0, 20_000, 50_000, 80_000]);
    }

    #[test]
    fn a_boost_samples_more_often_until_its_end() {
        let mut ticks = Ticks::from(NOW_MS, 5_000);
        ticks.boost = Some((1_000, NOW_MS + 2_500));
        assert_eq!(at(&ticks.due(NOW_MS + 10_000)), [0, 1_000, 2_000, 3_000, 5_000, 10_000]);
    }

    #[test]
    fn what_was_missed_is_made_up_for_within_reason() {
        let mut ticks = Ticks::from(NOW_MS, 1_000);
        let mut count = 0;
        while !ticks.due(NOW_MS + 60_000).is_empty() {
            count += 1;
        }
        assert_eq!((count, ticks.next_ms, ticks.skipped), (2, NOW_MS + 61_000, 0));
        let late_ms = NOW_MS + 61_000 + 2 * CATCH_UP_MS;
        assert_eq!(ticks.due(late_ms)[0].at_ms, late_ms - CATCH_UP_MS);
        assert_eq!(ticks.skipped, 600);
    }

    #[test]
    fn a_model_sends_the_present_before_the_past_and_values_as_the_model_says() {
        let host = HostModel::new(1, 1);
        let mut script = Script::Model {
            host: host.clone(),
            backfill: Ticks::between(NOW_MS - 100_000, NOW_MS, 50_000),
            live: Some(Ticks::from(NOW_MS, 5_000)),
        };
        let Step::Send(live) = script.next(NOW_MS) else { panic!("the present is due") };
        assert_eq!((live.len(), live[0].timestamp_ms), (1, NOW_MS));
        assert_eq!(live[0].samples.len(), host.series().len());
        for &(number, value) in &live[0].samples {
            assert_eq!(value, host.series()[number as usize].value(NOW_MS));
            assert_eq!(
                script.labels(number).as_ref(),
                Some(host.series()[number as usize].labels())
            );
        }
        let Step::Send(past) = script.next(NOW_MS) else { panic!("the past is due") };
        let past: Vec<i64> = past.iter().map(|group| group.timestamp_ms - NOW_MS).collect();
        assert_eq!(past, [-100_000, -50_000]);
        assert_eq!(script.next(NOW_MS), Step::WaitUntil(NOW_MS + 5_000));
        assert_eq!(script.labels(u32::MAX), None);
    }

    #[test]
    fn the_past_alone_ends() {
        let backfill = Ticks::between(NOW_MS - 1, NOW_MS + 1, 1_000);
        let mut script = Script::Model { host: HostModel::new(1, 1), backfill, live: None };
        assert!(matches!(script.next(NOW_MS), Step::Send(_)));
        assert_eq!(script.next(NOW_MS), Step::Done);
    }

    #[test]
    fn numbers_go_up_by_one_each_tick() {
        let live = Ticks::from(NOW_MS, 100);
        let mut script = Script::Numbered { series: 2, live, ticked: 0 };
        let Step::Send(groups) = script.next(NOW_MS + 250) else { panic!("three ticks are due") };
        let expected = [(0, 1.0), (100, 2.0), (200, 3.0)].map(|(after_ms, value)| Group {
            timestamp_ms: NOW_MS + after_ms,
            samples: vec![(0, value), (1, value)],
        });
        assert_eq!(groups, expected);
        assert_eq!(script.labels(1).unwrap().get("series"), Some("1"));
        assert_eq!(script.labels(2), None);
    }
}

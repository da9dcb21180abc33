//! One host: who it is, when it is scraped, and the values of each scrape in turn.

use super::inventory;
use super::random::Random;
use super::shape::Shape;

/// Milliseconds from scrape to scrape.
pub(crate) const INTERVAL_MS: i64 = 15_000;
/// Series of each host.
pub(crate) const SERIES_PER_HOST: usize = 200;

/// A host and the state of its series; every scrape is made but once, so nothing needs to be kept.
pub(crate) struct Host {
    labels: Vec<Vec<(String, String)>>,
    shapes: Vec<Shape>,
    random: Random,
    /// How busy it is, from 0 to 1; wanders.
    activity: f64,
    /// When within the interval it is scraped.
    phase_ms: i64,
}

impl Host {
    /// Host `number` of the group `job` that grows from `seed`.
    pub(crate) fn new(seed: u64, job: &str, number: u64) -> Self {
        let mut random = Random::new(seed, number);
        let instance = format!("{job}-{number:05}.example.net:9100");
        let (rack, region) = (format!("r{:02}", number % 40), ["eu-central", "ap-east"]);
        let own = [
            ("env", "production".to_owned()),
            ("instance", instance),
            ("job", job.to_owned()),
            ("rack", rack),
            ("region", region[number as usize % 2].to_owned()),
        ];
        let mut labels = Vec::with_capacity(SERIES_PER_HOST);
        let mut shapes = Vec::with_capacity(SERIES_PER_HOST);
        for (name, extra, shape) in inventory::series(&mut random) {
            let extra = extra.into_iter().map(|(name, value)| (name.to_owned(), value));
            let mut pairs = vec![("__name__".to_owned(), name)];
            pairs.extend(extra);
            pairs.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            pairs.sort_unstable();
            labels.push(pairs);
            shapes.push(shape);
        }
        let activity = 0.1 + 0.6 * random.fraction();
        let phase_ms = random.below(INTERVAL_MS as u64) as i64;
        Self { labels, shapes, random, activity, phase_ms }
    }

    /// The labels of each series, sorted by name.
    pub(crate) fn labels(&self) -> &[Vec<(String, String)>] {
        &self.labels
    }

    /// Appends the values of the next scrape, one for each series in their order, and gives its time: that of
    /// `tick_ms`, later by the host's phase and by some milliseconds of delay.
    pub(crate) fn scrape(&mut self, tick_ms: i64, values: &mut Vec<f64>) -> i64 {
        self.activity = (self.activity + self.random.noise() * 0.02).clamp(0.03, 0.95);
        for shape in &mut self.shapes {
            values.push(shape.next(self.activity, &mut self.random));
        }
        let delay = self.random.below(6) as i64;
        let at = tick_ms + self.phase_ms + delay;
        // Never on a whole second: whether a range includes its edge differs between versions of PromQL.
        if at % 1_000 == 0 { at + 1 } else { at }
    }
}

/// The last tick that is at least one interval before `now_ms`, on the grid of whole minutes.
pub(crate) fn aligned(now_ms: i64) -> i64 {
    (now_ms - INTERVAL_MS) / 60_000 * 60_000
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_host_follows_from_seed_and_number() {
        let (mut one, mut again) = (Host::new(7, "node", 3), Host::new(7, "node", 3));
        let mut other = Host::new(8, "node", 3);
        let (mut a, mut b, mut c) = (vec![], vec![], vec![]);
        for tick in 0..20 {
            let at = one.scrape(tick * INTERVAL_MS, &mut a);
            assert_eq!(at, again.scrape(tick * INTERVAL_MS, &mut b));
            assert!((0..=INTERVAL_MS + 6).contains(&(at - tick * INTERVAL_MS)) && at % 1_000 != 0);
            other.scrape(tick * INTERVAL_MS, &mut c);
        }
        assert_eq!(a, b);
        assert_ne!(a, c);
    }

    #[test]
    fn series_are_told_apart_and_named_as_prometheus_wants_them() {
        let host = Host::new(1, "node", 0);
        assert_eq!(host.labels().len(), SERIES_PER_HOST);
        let distinct: BTreeSet<_> = host.labels().iter().collect();
        assert_eq!(distinct.len(), SERIES_PER_HOST);
        for labels in host.labels() {
            assert!(labels.is_sorted() && (6..=8).contains(&labels.len()), "{labels:?}");
            let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!((90..260).contains(&bytes), "{bytes} bytes: {labels:?}");
        }
    }

    #[test]
    fn as_many_series_stand_still_as_on_a_real_host() {
        let mut moving = 0;
        let mut total = 0;
        for number in 0..20 {
            let mut host = Host::new(1, "node", number);
            let mut scrapes = vec![];
            for tick in 0..240 {
                host.scrape(tick * INTERVAL_MS, &mut scrapes);
            }
            for series in 0..SERIES_PER_HOST {
                let values = scrapes.iter().skip(series).step_by(SERIES_PER_HOST);
                moving += usize::from(values.clone().any(|value| *value != scrapes[series]));
                total += 1;
            }
        }
        let still = 1.0 - moving as f64 / f64::from(total);
        assert!((0.40..0.46).contains(&still), "{still} of all series are constant over an hour");
    }

    #[test]
    fn counters_never_fall() {
        let mut host = Host::new(5, "node", 9);
        let mut last: Vec<f64> = vec![];
        for tick in 0..500 {
            let mut values = vec![];
            host.scrape(tick * INTERVAL_MS, &mut values);
            for (series, labels) in host.labels().iter().enumerate() {
                let name = &labels[0].1;
                if name.ends_with("_total") && !last.is_empty() {
                    assert!(values[series] >= last[series], "{name}");
                }
            }
            last = values;
        }
    }
}

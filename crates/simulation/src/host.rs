//! One simulated host: its name, its series, and the value of each at any moment.

use muster_series::Labels;

use crate::parts;
use crate::shape::{Boots, Filling, Shape};
use crate::wave::{ORIGIN_STEP_MS, Wave, fraction, mix};

pub(crate) const DAY_MS: i64 = 86_400_000;
/// 2025-01-01, a multiple of [`ORIGIN_STEP_MS`]; starts and clearings are counted from here.
pub(crate) const ORIGIN_MS: i64 = 1_735_689_600_000;

/// How often a series is sampled: as `muster-collectors` would read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At every tick.
    Fast,
    /// Every half minute.
    Slow,
}

/// One series of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedSeries {
    labels: Labels,
    pace: Pace,
    shape: Shape,
}

impl SimulatedSeries {
    /// Its name and labels, without `job` and `instance`, which the server adds.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// How often it is sampled.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Its value at a moment, in milliseconds since 1970. The same for ever: a test can ask again
    /// and compare bit for bit with what was stored.
    pub fn value(&self, at_ms: i64) -> f64 {
        self.shape.value(at_ms)
    }
}

/// A host that follows from a seed and a number: about 370 series, shaped as `node_exporter`'s.
///
/// ```
/// use muster_simulation::HostModel;
///
/// let host = HostModel::new(42, 7);
/// let again = HostModel::new(42, 7);
/// let now_ms = 1_760_000_000_000;
/// for (one, other) in host.series().iter().zip(again.series()) {
///     assert_eq!(one.labels(), other.labels());
///     assert_eq!(one.value(now_ms), other.value(now_ms));
/// }
/// ```
#[derive(Debug, Clone)]
pub struct HostModel {
    instance: String,
    release: String,
    series: Vec<SimulatedSeries>,
    fillings: Vec<(String, Filling)>,
}

impl HostModel {
    /// Host `number` of the fleet that grows from `seed`.
    pub fn new(seed: u64, number: u32) -> Self {
        parts::build(Builder::new(mix(seed, u64::from(number)), number))
    }

    /// The host's name, unique in its fleet, such as `web-0007`.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The release of its kernel.
    pub fn kernel(&self) -> &str {
        &self.release
    }

    /// Its series. The place of a series in this list is its number.
    pub fn series(&self) -> &[SimulatedSeries] {
        &self.series
    }

    /// When the file system mounted there would be full at the pace it has at `at_ms`, in
    /// milliseconds since 1970; none if the host has no such file system.
    pub fn full_at_ms(&self, mountpoint: &str, at_ms: i64) -> Option<i64> {
        let (_, filling) = self.fillings.iter().find(|(mounted, _)| mounted == mountpoint)?;
        Some(filling.full_at_ms(at_ms))
    }
}

/// Puts a host together. Every random choice is drawn from its own stream, in order.
pub(crate) struct Builder {
    seed: u64,
    drawn: u64,
    number: u32,
    pub(crate) boots: Boots,
    /// How the host's load compares with that of others: most idle, a few busy.
    pub(crate) busyness: f64,
    peak_s: f64,
    series: Vec<SimulatedSeries>,
    fillings: Vec<(String, Filling)>,
}

impl Builder {
    fn new(seed: u64, number: u32) -> Self {
        let mut builder = Self {
            seed,
            drawn: 0,
            number,
            boots: Boots { one_ms: ORIGIN_MS, every_ms: DAY_MS },
            busyness: 0.0,
            peak_s: 0.0,
            series: Vec::with_capacity(256),
            fillings: Vec::new(),
        };
        let steps_a_day = DAY_MS / ORIGIN_STEP_MS;
        let every_ms = ORIGIN_STEP_MS * builder.between(20 * steps_a_day, 200 * steps_a_day);
        let one_ms = ORIGIN_MS + ORIGIN_STEP_MS * builder.between(0, 200 * steps_a_day);
        builder.boots = Boots { one_ms, every_ms };
        builder.busyness = 0.15 + 0.85 * builder.share() * builder.share();
        // Most people of one fleet are awake together; hosts differ by at most two hours.
        builder.peak_s = 50_000.0 + 7_200.0 * (2.0 * builder.share() - 1.0);
        builder
    }

    /// The host's number in its fleet.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    /// A random fraction of one.
    pub(crate) fn share(&mut self) -> f64 {
        fraction(self.draw())
    }

    /// A random number from `first` to `limit`, the latter excluded.
    pub(crate) fn between(&mut self, first: i64, limit: i64) -> i64 {
        first + (self.draw() % (limit - first) as u64) as i64
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.draw() % choices.len() as u64) as usize]
    }

    /// A wave of its own stream, within a third of `level`.
    pub(crate) fn wave(&mut self, level: f64, daily: f64) -> Wave {
        let level = level * (0.67 + 0.66 * self.share());
        Wave { level, daily, peak_s: self.peak_s, noise: 1.0, stream: self.draw() }
    }

    /// A filling that is full, or would be, after 2 to 400 days.
    pub(crate) fn filling(&mut self, mountpoint: &str) -> Filling {
        let days = self.pick(&[2, 4, 7, 12, 30, 60, 120, 250, 400]);
        let every_ms = days * DAY_MS;
        let filling = Filling {
            one_ms: ORIGIN_MS + self.between(0, every_ms),
            every_ms,
            least: 0.1 + 0.4 * self.share(),
            most: self.pick(&[0.72, 0.88, 0.96, 1.0]),
        };
        self.fillings.push((mountpoint.to_owned(), filling));
        filling
    }

    /// Adds a series of this name and these labels.
    pub(crate) fn add(&mut self, pace: Pace, name: &str, labels: &[(&str, &str)], shape: Shape) {
        let all = labels.iter().copied().chain([(muster_series::METRIC_NAME, name)]);
        let labels = Labels::from_pairs(all).expect("the tables hold valid, distinct label names");
        self.series.push(SimulatedSeries { labels, pace, shape });
    }

    /// Adds a counter that counts since the host was started, in steps of `1 / per_unit`.
    pub(crate) fn counter(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        wave: Wave,
        per_unit: f64,
    ) {
        let boots = self.boots;
        self.add(Pace::Fast, name, labels, Shape::Counter { wave, boots, per_unit });
    }

    /// Adds a gauge.
    pub(crate) fn gauge(&mut self, name: &str, labels: &[(&str, &str)], wave: Wave, step: f64) {
        self.add(Pace::Fast, name, labels, Shape::Gauge { wave, step });
    }

    /// Adds a series that never changes.
    pub(crate) fn constant(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.add(Pace::Slow, name, labels, Shape::Constant(value));
    }

    /// The host, once all is added.
    pub(crate) fn finish(self, instance: String, release: &str) -> HostModel {
        HostModel {
            instance,
            release: release.to_owned(),
            series: self.series,
            fillings: self.fillings,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW_MS: i64 = 1_795_000_000_000;

    #[track_caller]
    fn named<'a>(host: &'a HostModel, name: &str) -> Vec<&'a SimulatedSeries> {
        let found: Vec<_> =
            host.series().iter().filter(|s| s.labels().metric_name() == Some(name)).collect();
        assert!(!found.is_empty(), "no series named {name}");
        found
    }

    #[track_caller]
    fn sum(host: &HostModel, name: &str, at_ms: i64) -> f64 {
        named(host, name).iter().map(|series| series.value(at_ms)).sum()
    }

    #[test]
    fn a_fleet_has_a_bounded_number_of_distinct_series_a_host() {
        let mut instances = HashSet::new();
        let mut total = 0;
        for number in 0..200 {
            let host = HostModel::new(1, number);
            assert!(instances.insert(host.instance().to_owned()), "{}", host.instance());
            let distinct: HashSet<_> = host.series().iter().map(SimulatedSeries::labels).collect();
            assert_eq!(distinct.len(), host.series().len(), "of host {number}");
            assert!((230..480).contains(&distinct.len()), "{} series", distinct.len());
            total += distinct.len();
        }
        assert!((300..380).contains(&(total / 200)), "{} series a host", total / 200);
    }

    #[test]
    fn hosts_and_seeds_differ_and_stay_the_same() {
        let load = |seed, number| sum(&HostModel::new(seed, number), "node_load1", NOW_MS);
        assert_eq!(load(1, 2), load(1, 2));
        assert_ne!(load(1, 2), load(1, 3));
        assert_ne!(load(1, 2), load(2, 2));
    }

    #[test]
    fn every_value_is_finite_and_counters_never_fall_between_starts() {
        for number in 0..20 {
            let host = HostModel::new(5, number);
            let moments: Vec<i64> = (0..200).map(|step| NOW_MS + step * 1_000).collect();
            let boots: Vec<f64> =
                moments.iter().map(|&ms| sum(&host, "node_boot_time_seconds", ms)).collect();
            for series in host.series() {
                let counter = matches!(series.shape, Shape::Counter { .. } | Shape::Idle { .. });
                let values: Vec<f64> = moments.iter().map(|&ms| series.value(ms)).collect();
                let good = values.iter().all(|value| value.is_finite() && *value >= 0.0);
                assert!(good, "{} has {values:?}", series.labels());
                for at in 1..values.len() {
                    let falls = boots[at - 1] == boots[at] && values[at] < values[at - 1];
                    assert!(!(counter && falls), "{} falls at {at}", series.labels());
                }
            }
        }
    }

    #[test]
    fn the_modes_of_all_cpus_add_up_to_the_time_since_the_start() {
        let host = HostModel::new(3, 11);
        let cpus = named(&host, "node_cpu_seconds_total")
            .iter()
            .filter(|series| series.labels().get("mode") == Some("idle"))
            .count() as f64;
        let up = NOW_MS as f64 / 1000.0 - sum(&host, "node_boot_time_seconds", NOW_MS);
        let all = sum(&host, "node_cpu_seconds_total", NOW_MS);
        assert!((all / cpus - up).abs() < 0.1, "{all} over {cpus} CPUs in {up} s");
    }

    #[test]
    fn memory_in_use_and_free_fits_the_machine() {
        for number in 0..50 {
            let host = HostModel::new(9, number);
            let part = |name: &str| sum(&host, &format!("node_memory_{name}_bytes"), NOW_MS);
            let parts = part("MemFree") + part("Buffers") + part("Cached") + part("AnonPages");
            assert!(parts <= part("MemTotal"), "of host {number}");
            assert!(part("MemAvailable") <= part("MemTotal"), "of host {number}");
            assert!(part("MemFree") > 0.0, "of host {number}");
        }
    }

    #[test]
    fn file_systems_fill_towards_the_day_that_the_model_names() {
        let host = HostModel::new(3, 4);
        let root = |name: &str, at_ms| {
            named(&host, name)
                .iter()
                .find(|series| series.labels().get("mountpoint") == Some("/"))
                .map(|series| series.value(at_ms))
                .unwrap()
        };
        let full_at_ms = host.full_at_ms("/", NOW_MS).unwrap();
        let hour_ms = 3_600_000;
        let now = root("node_filesystem_avail_bytes", NOW_MS);
        let pace = (now - root("node_filesystem_avail_bytes", NOW_MS + hour_ms)) / hour_ms as f64;
        assert!(pace > 0.0, "host 4 of seed 3 is not cleared away in this hour");
        let predicted_ms = NOW_MS as f64 + now / pace;
        let error = (predicted_ms - full_at_ms as f64).abs() / (full_at_ms - NOW_MS) as f64;
        assert!(error < 0.01, "off by {error}");
        assert_eq!(host.full_at_ms("/nowhere", NOW_MS), None);
    }
}

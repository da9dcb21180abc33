//! The collectors of a host, run one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use muster_environment::Clock;

use crate::error::CollectError;
use crate::metric::{Metric, Unit};
use crate::roots::Roots;
use crate::settings::CollectorSettings;
use crate::sink::{Collection, SeriesCache, Sink};
use crate::watch::Watcher;

/// How often a collector should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cadence {
    /// With every tick: what changes all the time and is cheap to read.
    Fast,
    /// Every ten seconds: what changes all the time, but costs too much for every tick.
    Medium,
    /// Every half minute: what changes seldom, or costs something to ask for.
    Slow,
}

impl Cadence {
    /// All of them, the most frequent first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Medium, Self::Slow];
}

/// Reads one kind of facts about the host.
pub trait Collector: Send {
    /// Its name, as `node_exporter` calls it.
    fn name(&self) -> &'static str;

    /// How often it should run.
    fn cadence(&self) -> Cadence;

    /// Every metric that it may push.
    fn metrics(&self) -> Vec<&'static Metric>;

    /// The half of it that tells changes at once, if it has one. It is asked for once.
    fn watcher(&self) -> Option<Box<dyn Watcher>> {
        None
    }

    /// Takes over settings; they hold from the next collection on.
    fn configure(&mut self, _settings: &CollectorSettings) {}

    /// Pushes what the host says now. What this machine lacks is left out, and is no error.
    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError>;
}

static SUCCESS: Metric = Metric::gauge(
    "node_scrape_collector_success",
    Unit::None,
    "Whether a collector succeeded.",
    &["collector"],
);
static DURATION: Metric = Metric::gauge(
    "node_scrape_collector_duration_seconds",
    Unit::Seconds,
    "How long a collector took, to the microsecond.",
    &["collector"],
);
/// What the registry says about its collectors.
pub(crate) static OWN_METRICS: [&Metric; 2] = [&SUCCESS, &DURATION];

/// All collectors of a host, with the numbers of their series.
///
/// ```
/// use muster_collectors::{Cadence, Registry, Roots};
/// use muster_environment::SystemClock;
///
/// let mut registry = Registry::new(&Roots::default());
/// let first = registry.collect(Cadence::Fast, &SystemClock::new());
/// assert!(first.new_series.iter().any(|(_, labels)| labels.metric_name() == Some("node_load1")));
/// ```
pub struct Registry {
    slots: Vec<Slot>,
    next_series: u32,
}

struct Slot {
    collector: Box<dyn Collector>,
    cache: SeriesCache,
    failed: bool,
    off: bool,
}

impl Registry {
    /// Every collector there is.
    pub fn new(roots: &Roots) -> Self {
        Self::with(crate::all(roots))
    }

    /// These collectors.
    pub fn with(collectors: Vec<Box<dyn Collector>>) -> Self {
        let slots = collectors
            .into_iter()
            .map(|collector| Slot {
                collector,
                cache: SeriesCache::default(),
                failed: false,
                off: false,
            })
            .collect();
        Self { slots, next_series: 0 }
    }

    /// What tells changes at once; whoever takes them runs them, once.
    pub fn watchers(&self) -> Vec<Box<dyn Watcher>> {
        self.slots.iter().filter_map(|slot| slot.collector.watcher()).collect()
    }

    /// Switches collectors off and on, and gives all of them their settings. The series of those that are off end with the
    /// next collection.
    pub fn configure(&mut self, settings: &CollectorSettings) {
        for slot in &mut self.slots {
            slot.off = settings.off.contains(slot.collector.name());
            slot.failed &= !slot.off;
            slot.collector.configure(settings);
        }
    }

    /// Runs the collectors of one cadence. One that fails, or panics, loses its own series only,
    /// until it succeeds again.
    pub fn collect(&mut self, cadence: Cadence, clock: &dyn Clock) -> Collection {
        let mut out = Collection::default();
        for slot in self.slots.iter_mut().filter(|slot| slot.collector.cadence() == cadence) {
            if slot.off {
                slot.cache.end_all(&mut out);
            } else {
                slot.run(&mut out, &mut self.next_series, clock);
            }
        }
        out
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.slots.iter().map(|slot| slot.collector.name())).finish()
    }
}

impl Slot {
    fn run(&mut self, out: &mut Collection, next_series: &mut u32, clock: &dyn Clock) {
        let name = self.collector.name();
        // The clock counts whole milliseconds, and most collectors take a few microseconds.
        let started = Instant::now();
        let mut sink = self.cache.begin(out, next_series, clock.now_ms(), clock.monotonic_ms());
        let result = catch_unwind(AssertUnwindSafe(|| self.collector.collect(&mut sink)));
        let failure = match result {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it panicked, which is a bug in Muster".to_owned()),
        };
        let micros = started.elapsed().as_micros() as f64;
        sink.push(&SUCCESS, &[name], if failure.is_none() { 1.0 } else { 0.0 });
        sink.push(&DURATION, &[name], micros / 1e6);
        self.cache.end(out);
        if let Some(reason) = &failure
            && !self.failed
        {
            tracing::warn!(collector = name, %reason, "a collector fails; its metrics are missing");
        }
        self.failed = failure.is_some();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use muster_environment::ManualClock;
    use muster_series::is_stale_marker;

    use super::*;
    use crate::error::Malformed;

    static METRIC: Metric = Metric::gauge("m", Unit::None, "", &[]);

    /// Succeeds, fails and panics as told.
    struct Moody(Vec<&'static str>);

    impl Collector for Moody {
        fn name(&self) -> &'static str {
            "moody"
        }

        fn cadence(&self) -> Cadence {
            Cadence::Slow
        }

        fn metrics(&self) -> Vec<&'static Metric> {
            vec![&METRIC]
        }

        fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
            match self.0.remove(0) {
                "works" => {
                    sink.push(&METRIC, &[], 1.0);
                    Ok(())
                }
                "fails" => Err(Malformed::at("x").in_file(Path::new("/proc/x"))),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_failure_or_panic_ends_only_its_own_series() {
        let moods = vec!["works", "fails", "works", "panics"];
        let mut registry = Registry::with(vec![Box::new(Moody(moods))]);
        let clock = ManualClock::at(0);
        assert!(registry.collect(Cadence::Fast, &clock).samples.is_empty());
        let mut check = |success: f64, new: usize, ended: usize| {
            let out = registry.collect(Cadence::Slow, &clock);
            assert_eq!(out.new_series.len(), new);
            let stale = out.samples.iter().filter(|(_, value)| is_stale_marker(*value)).count();
            assert_eq!(stale, ended);
            // Series 1 is the collector's success: the metric itself came first.
            assert!(out.samples.contains(&(1, success)), "{:?}", out.samples);
        };
        check(1.0, 3, 0);
        check(0.0, 0, 1);
        check(1.0, 1, 0);
        check(0.0, 0, 1);
    }
}

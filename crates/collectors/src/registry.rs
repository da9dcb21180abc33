//! The collectors of a host, run one after the other.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use muster_environment::Clock;
use muster_series::{is_stale_marker, stale_marker};

use crate::error::CollectError;
use crate::lane::{Job, Lane, Numbered};
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

/// How long a collector that may hang can take; one that takes longer is left behind.
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// All collectors of a host, with the numbers of their series.
///
/// The fast ones only read what the kernel has in memory, and run at once. The others may hang, and run in a [`Lane`].
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
    lane: Lane<Round>,
    next_series: u32,
    /// Handed to collectors that were away when they came.
    settings: Option<CollectorSettings>,
    /// What is said of collectors that hang, in their place.
    hanging: SeriesCache,
}

/// The place of a collector.
struct Slot {
    name: &'static str,
    cadence: Cadence,
    /// None while a thread that hangs has it.
    body: Option<Box<Body>>,
    /// Since when it hangs, by the monotonic clock; until it is run again.
    hangs_since_ms: Option<i64>,
    /// The registry's numbers of the series of a collector with numbers of its own.
    numbers: HashMap<u32, u32>,
    off: bool,
}

/// A collector and its series.
struct Body {
    collector: Box<dyn Collector>,
    cache: SeriesCache,
    /// The next of its own numbers; those that run at once use the registry's.
    next_series: u32,
    failed: bool,
}

/// A collector on its way through the lane.
struct Round {
    body: Box<Body>,
    out: Collection,
    now_ms: i64,
    monotonic_ms: i64,
}

impl Job for Round {
    fn run(&mut self) {
        let mut next_series = self.body.next_series;
        self.body.run(&mut self.out, &mut next_series, self.now_ms, self.monotonic_ms);
        self.body.next_series = next_series;
    }
}

impl Registry {
    /// Every collector there is.
    pub fn new(roots: &Roots) -> Self {
        Self::with(crate::all(roots))
    }

    /// These collectors.
    pub fn with(collectors: Vec<Box<dyn Collector>>) -> Self {
        Self {
            slots: collectors.into_iter().map(Slot::new).collect(),
            lane: Lane::new(TIME_LIMIT),
            next_series: 0,
            settings: None,
            hanging: SeriesCache::default(),
        }
    }

    /// What tells changes at once; whoever takes them runs them, once.
    pub fn watchers(&self) -> Vec<Box<dyn Watcher>> {
        self.slots.iter().filter_map(|slot| slot.body.as_ref()?.collector.watcher()).collect()
    }

    /// Switches collectors off and on, and gives all of them their settings. The series of those that are off end with the
    /// next collection.
    pub fn configure(&mut self, settings: &CollectorSettings) {
        for slot in &mut self.slots {
            slot.off = settings.off.contains(slot.name);
            if let Some(body) = &mut slot.body {
                body.failed &= !slot.off;
                body.collector.configure(settings);
            }
        }
        self.settings = Some(settings.clone());
    }

    /// Runs the collectors of one cadence. One that fails, panics or hangs loses its own series only, until it succeeds
    /// again.
    pub fn collect(&mut self, cadence: Cadence, clock: &dyn Clock) -> Collection {
        let mut out = Collection::default();
        let (now_ms, monotonic_ms) = (clock.now_ms(), clock.monotonic_ms());
        let mut rounds = Vec::new();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.cadence != cadence {
                continue;
            }
            let Some(mut body) = slot.body.take() else { continue };
            slot.hangs_since_ms = None;
            let mut own = Collection::default();
            if slot.off {
                body.cache.end_all(&mut own);
                slot.merge(own, &mut out, &mut self.next_series);
            } else if cadence == Cadence::Fast {
                body.run(&mut out, &mut self.next_series, now_ms, monotonic_ms);
            } else {
                let job = Round { body, out: own, now_ms, monotonic_ms };
                rounds.push(Numbered { number, job });
                continue;
            }
            slot.body = Some(body);
        }
        if cadence != Cadence::Fast {
            self.run_rounds(rounds, &mut out, monotonic_ms);
            self.tell_of_hanging(&mut out, (now_ms, monotonic_ms));
        }
        out
    }

    fn run_rounds(
        &mut self,
        rounds: Vec<Numbered<Round>>,
        out: &mut Collection,
        monotonic_ms: i64,
    ) {
        let (back, left_behind) = self.lane.run(rounds);
        for number in left_behind {
            let slot = &mut self.slots[number];
            tracing::warn!(
                collector = slot.name,
                "a collector hangs; its metrics are missing until it comes back"
            );
            slot.hangs_since_ms = Some(monotonic_ms);
            out.samples.extend(slot.numbers.drain().map(|(_, number)| (number, stale_marker())));
        }
        for Numbered { number, job: Round { mut body, out: own, .. } } in back {
            let slot = &mut self.slots[number];
            if slot.hangs_since_ms.is_some() {
                tracing::info!(collector = slot.name, "a collector that hung has come back");
                // What it brings is of another time, and its series have ended.
                body.cache = SeriesCache::default();
                if let Some(settings) = &self.settings {
                    body.collector.configure(settings);
                }
            } else {
                slot.merge(own, out, &mut self.next_series);
            }
            slot.body = Some(body);
        }
    }

    /// Says in the place of those that hang that they do not succeed.
    fn tell_of_hanging(&mut self, out: &mut Collection, (now_ms, monotonic_ms): (i64, i64)) {
        let mut own = Collection::default();
        let mut sink = self.hanging.begin(&mut own, &mut self.next_series, now_ms, monotonic_ms);
        for slot in &self.slots {
            if let Some(since_ms) = slot.hangs_since_ms.filter(|_| !slot.off) {
                sink.push(&SUCCESS, &[slot.name], 0.0);
                sink.push(&DURATION, &[slot.name], (monotonic_ms - since_ms) as f64 / 1e3);
            }
        }
        self.hanging.end(&mut own);
        out.new_series.append(&mut own.new_series);
        // Where a series passes from one speaker to the other, its end by the first must come before its value by the second.
        let (ended, told): (Vec<_>, Vec<_>) =
            own.samples.into_iter().partition(|(_, value)| is_stale_marker(*value));
        out.samples.splice(0..0, ended);
        out.samples.extend(told);
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.slots.iter().map(|slot| slot.name)).finish()
    }
}

impl Slot {
    fn new(collector: Box<dyn Collector>) -> Self {
        let (name, cadence) = (collector.name(), collector.cadence());
        let cache = SeriesCache::default();
        let body = Body { collector, cache, next_series: 0, failed: false };
        Self {
            name,
            cadence,
            body: Some(Box::new(body)),
            hangs_since_ms: None,
            numbers: HashMap::new(),
            off: false,
        }
    }

    /// Adds what a collector brought under its own numbers, under the registry's.
    fn merge(&mut self, own: Collection, out: &mut Collection, next_series: &mut u32) {
        if self.cadence == Cadence::Fast {
            out.extend(own);
            return;
        }
        for (number, labels) in own.new_series {
            self.numbers.insert(number, *next_series);
            out.new_series.push((*next_series, labels));
            *next_series = next_series.wrapping_add(1);
        }
        let numbers = &mut self.numbers;
        let mut known = |(number, value): (u32, f64)| {
            let ended = is_stale_marker(value);
            let known = if ended { numbers.remove(&number) } else { numbers.get(&number).copied() };
            Some((known?, value))
        };
        out.samples.extend(own.samples.into_iter().filter_map(&mut known));
        out.recorded.extend(own.recorded.into_iter().filter_map(&mut known));
    }
}

impl Body {
    fn run(&mut self, out: &mut Collection, next_series: &mut u32, now_ms: i64, monotonic_ms: i64) {
        let name = self.collector.name();
        // The clock counts whole milliseconds, and most collectors take a few microseconds.
        let started = Instant::now();
        let mut sink = self.cache.begin(out, next_series, now_ms, monotonic_ms);
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
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::mpsc;

    use muster_environment::ManualClock;

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

    /// Waits for words, of which the second is late.
    struct Hanging(mpsc::Receiver<()>);

    impl Collector for Hanging {
        fn name(&self) -> &'static str {
            "hanging"
        }

        fn cadence(&self) -> Cadence {
            Cadence::Slow
        }

        fn metrics(&self) -> Vec<&'static Metric> {
            vec![&METRIC]
        }

        fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
            let _ = self.0.recv();
            sink.push(&METRIC, &[], 1.0);
            Ok(())
        }
    }

    /// What the series say after these collections, as one who names them by their labels sees it.
    #[derive(Default)]
    struct Seen {
        names: HashMap<u32, String>,
        values: BTreeMap<String, f64>,
    }

    impl Seen {
        fn take(&mut self, out: Collection) {
            self.names.extend(out.new_series.into_iter().map(|(n, l)| (n, l.to_string())));
            for (number, value) in out.samples {
                let name = self.names[&number].clone();
                if is_stale_marker(value) {
                    self.values.remove(&name);
                } else if !name.contains("duration") {
                    self.values.insert(name, value);
                }
            }
        }

        #[track_caller]
        fn check(&self, expected: &[(&str, f64)]) {
            let told: Vec<_> = self.values.iter().map(|(n, v)| (n.as_str(), *v)).collect();
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn one_that_hangs_is_told_of_and_the_others_go_on() {
        const HANGING: &str = "node_scrape_collector_success{collector=\"hanging\"}";
        const MOODY: &str = "node_scrape_collector_success{collector=\"moody\"}";
        let (word, words) = mpsc::channel();
        let moody = Moody(vec!["works"; 50]);
        let mut registry = Registry::with(vec![Box::new(Hanging(words)), Box::new(moody)]);
        registry.lane = Lane::new(Duration::from_millis(300));
        let clock = ManualClock::at(0);
        let mut seen = Seen::default();
        word.send(()).unwrap();
        seen.take(registry.collect(Cadence::Slow, &clock));
        seen.check(&[("m", 1.0), (HANGING, 1.0), (MOODY, 1.0)]);
        for _ in 0..3 {
            clock.advance(30_000);
            seen.take(registry.collect(Cadence::Slow, &clock));
            assert_eq!(seen.values[HANGING], 0.0);
            assert_eq!(seen.values[MOODY], 1.0);
        }
        (0..50).for_each(|_| word.send(()).unwrap());
        while seen.values[HANGING] == 0.0 {
            std::thread::yield_now();
            clock.advance(30_000);
            registry.slots[1].body.as_mut().unwrap().collector = Box::new(Moody(vec!["works"]));
            seen.take(registry.collect(Cadence::Slow, &clock));
        }
        seen.check(&[("m", 1.0), (HANGING, 1.0), (MOODY, 1.0)]);
    }
}

//! Where collectors put their values: series get small numbers, and are named once.
//!
//! A collector pushes its series in nearly the same order every time. So the cache keeps them in
//! that order with a cursor: a series found at the cursor costs one comparison of its texts, and
//! nothing is allocated or hashed. Others are looked up by their key.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use muster_series::{Labels, METRIC_NAME, stale_marker};

use crate::file::number_attribute;
use crate::metric::Metric;

/// What one collection brought.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// Series never seen before, or seen again after they had ended: number and labels. The labels
    /// are the metric name and the metric's own; `job` and `instance` are the server's to add.
    pub new_series: Vec<(u32, Labels)>,
    /// Values by series number, each number at most once. A stale marker ends a series, and its
    /// number is not used again.
    pub samples: Vec<(u32, f64)>,
    /// Values, and ends, of series that are only to be kept on the host until somebody asks for them.
    pub recorded: Vec<(u32, f64)>,
}

impl Collection {
    fn list(&mut self, is_recorded: bool) -> &mut Vec<(u32, f64)> {
        if is_recorded { &mut self.recorded } else { &mut self.samples }
    }

    /// Adds what another collection with numbers of the same kind brought.
    pub fn extend(&mut self, more: Self) {
        self.new_series.extend(more.new_series);
        self.samples.extend(more.samples);
        self.recorded.extend(more.recorded);
    }
}

/// Stands for the metrics of series that another program has named.
static FOREIGN: Metric = Metric::untyped("*", "What another program told.");

/// The series of one collector.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    entries: Vec<Entry>,
    /// What follows the metrics' names in the entries' keys, one after the other: after a second of sleep all of it has
    /// to come from memory again, and what lies in a row comes at once.
    tails: String,
    by_key: HashMap<Arc<str>, usize>,
    cursor: usize,
    round: u64,
    key: String,
}

#[derive(Debug)]
struct Entry {
    metric: &'static Metric,
    /// Where its tail begins and ends: the part and the labels' values, a zero byte before each.
    tail: Range<usize>,
    series: u32,
    round: u64,
    is_recorded: bool,
}

impl SeriesCache {
    /// Begins a collection; `next_series` is the first number that no series has had.
    pub(crate) fn begin<'a>(
        &'a mut self,
        out: &'a mut Collection,
        next_series: &'a mut u32,
        now_ms: i64,
        monotonic_ms: i64,
    ) -> Sink<'a> {
        self.cursor = 0;
        self.round += 1;
        Sink { cache: self, out, next_series, now_ms, monotonic_ms }
    }

    /// Ends every series there is.
    pub(crate) fn end_all(&mut self, out: &mut Collection) {
        self.round += 1;
        self.end(out);
    }

    /// Ends a collection: what was not pushed since [`SeriesCache::begin`] has vanished.
    pub(crate) fn end(&mut self, out: &mut Collection) {
        let round = self.round;
        let before = self.entries.len();
        self.entries.retain(|entry| {
            let seen = entry.round == round;
            if !seen {
                out.list(entry.is_recorded).push((entry.series, stale_marker()));
            }
            seen
        });
        if self.entries.len() < before {
            self.index_anew();
        }
    }

    /// After entries have gone: the tails of the others, and where each is found.
    fn index_anew(&mut self) {
        let old = std::mem::take(&mut self.tails);
        self.by_key.clear();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let tail = &old[entry.tail.clone()];
            let start = self.tails.len();
            self.tails.push_str(tail);
            entry.tail = start..self.tails.len();
            self.by_key.insert(Arc::from([entry.metric.name, tail].concat()), at);
        }
    }

    /// Takes a series in whose key is in `self.key`.
    fn add(&mut self, metric: &'static Metric, series: u32, is_recorded: bool) {
        let start = self.tails.len();
        self.tails.push_str(&self.key[metric.name.len()..]);
        self.by_key.insert(Arc::from(self.key.as_str()), self.entries.len());
        let tail = start..self.tails.len();
        self.entries.push(Entry { metric, tail, series, round: self.round, is_recorded });
    }

    /// The place of a series, if it is known; else its key is in `self.key` afterwards.
    fn find(&mut self, metric: &'static Metric, part: &str, labels: &[&str]) -> Option<usize> {
        let at = match self.entries.get(self.cursor) {
            Some(entry) if self.is(entry, metric, part, labels) => self.cursor,
            _ => {
                self.key.clear();
                // The kernel's texts are C strings, so a zero byte parts them.
                for (at, text) in [metric.name, part].iter().chain(labels).enumerate() {
                    if at > 0 {
                        self.key.push('\0');
                    }
                    self.key.push_str(text);
                }
                *self.by_key.get(self.key.as_str())?
            }
        };
        self.cursor = at + 1;
        Some(at)
    }

    /// Whether an entry is that of this series. A metric is known by its place: of two that are equal but not the same
    /// the second is found by its key.
    fn is(&self, entry: &Entry, metric: &'static Metric, part: &str, labels: &[&str]) -> bool {
        if !std::ptr::eq(entry.metric, metric) {
            return false;
        }
        let mut rest = &self.tails.as_bytes()[entry.tail.clone()];
        for text in [part].iter().chain(labels) {
            let after =
                rest.strip_prefix(b"\0").and_then(|rest| rest.strip_prefix(text.as_bytes()));
            let Some(after) = after else { return false };
            rest = after;
        }
        rest.is_empty()
    }
}

/// Takes the values of one collector during one collection.
#[derive(Debug)]
pub struct Sink<'a> {
    cache: &'a mut SeriesCache,
    out: &'a mut Collection,
    next_series: &'a mut u32,
    now_ms: i64,
    monotonic_ms: i64,
}

impl Sink<'_> {
    /// The wall clock of this collection, in milliseconds since 1970-01-01 UTC.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The monotonic clock of this collection, in milliseconds.
    pub fn monotonic_ms(&self) -> i64 {
        self.monotonic_ms
    }

    /// A value of a metric; `labels` are the values of its labels, in the metric's order. A second
    /// value of one series in one collection is left out.
    pub fn push(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.push_part(metric, "", labels, value);
    }

    /// A value of a metric whose name has a `*`, which `part` replaces.
    pub fn push_part(&mut self, metric: &'static Metric, part: &str, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{} has other labels", metric.name);
        self.push_series(metric, part, labels, (value, false), || labels_of(metric, part, labels));
    }

    /// The numeric attributes of `/sys` that a folder has, of a table of files, what one of theirs is worth, and metrics.
    pub(crate) fn push_attributes(
        &mut self,
        table: &'static [(&str, f64, Metric)],
        folder: &Path,
        labels: &[&str],
    ) {
        for (file, scale, metric) in table {
            if let Some(value) = number_attribute(&folder.join(file)) {
                self.push(metric, labels, value * scale);
            }
        }
    }

    /// A value that is only to be recorded: of a series with so many or so short-lived labels that a server
    /// should get it for the minutes alone that somebody asks about.
    pub(crate) fn push_recorded(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.push_series(metric, "", labels, (value, true), || labels_of(metric, "", labels));
    }

    /// A value of a series that another program has named.
    pub(crate) fn push_labels(&mut self, labels: &Labels, value: f64) {
        self.push_series(&FOREIGN, &labels.to_string(), &[], (value, false), || labels.clone());
    }

    fn push_series(
        &mut self,
        metric: &'static Metric,
        part: &str,
        labels: &[&str],
        (value, is_recorded): (f64, bool),
        named: impl FnOnce() -> Labels,
    ) {
        if let Some(at) = self.cache.find(metric, part, labels) {
            let entry = &mut self.cache.entries[at];
            if entry.round != self.cache.round {
                entry.round = self.cache.round;
                self.out.list(is_recorded).push((entry.series, value));
            }
            return;
        }
        // Four thousand million series are more than a host has between two restarts of its agent.
        let series = *self.next_series;
        *self.next_series = series.wrapping_add(1);
        self.cache.add(metric, series, is_recorded);
        self.out.new_series.push((series, named()));
        self.out.list(is_recorded).push((series, value));
    }
}

fn labels_of(metric: &Metric, part: &str, values: &[&str]) -> Labels {
    let name = metric.full_name(part);
    let own = metric.labels.iter().copied().zip(values.iter().copied());
    Labels::from_pairs([(METRIC_NAME, &*name)].into_iter().chain(own))
        .expect("the labels of a metric have different names")
}

#[cfg(test)]
mod tests {
    use muster_series::is_stale_marker;

    use super::*;
    use crate::metric::Unit;

    static METRIC: Metric = Metric::gauge("m", Unit::None, "", &["device"]);

    struct Cache {
        cache: SeriesCache,
        next: u32,
    }

    impl Cache {
        fn round(&mut self, devices: &[&str]) -> Collection {
            let mut out = Collection::default();
            let mut sink = self.cache.begin(&mut out, &mut self.next, 0, 0);
            for (at, device) in devices.iter().enumerate() {
                sink.push(&METRIC, &[device], at as f64);
            }
            self.cache.end(&mut out);
            out
        }

        #[track_caller]
        fn check(&mut self, devices: &[&str], new: &[u32], kept: &[u32], gone: &[u32]) {
            let out = self.round(devices);
            let numbers: Vec<u32> = out.new_series.iter().map(|(series, _)| *series).collect();
            assert_eq!(numbers, new);
            let (ended, live): (Vec<_>, Vec<_>) =
                out.samples.iter().partition(|(_, value)| is_stale_marker(*value));
            assert_eq!(live.iter().map(|(series, _)| *series).collect::<Vec<_>>(), kept);
            assert_eq!(ended.iter().map(|(series, _)| *series).collect::<Vec<_>>(), gone);
        }
    }

    #[test]
    fn series_are_named_once_and_ended_once() {
        let mut cache = Cache { cache: SeriesCache::default(), next: 0 };
        cache.check(&["a", "b"], &[0, 1], &[0, 1], &[]);
        cache.check(&["a", "b"], &[], &[0, 1], &[]);
        cache.check(&["b", "new", "a"], &[2], &[1, 2, 0], &[]);
        cache.check(&["a"], &[], &[0], &[1, 2]);
        cache.check(&["a"], &[], &[0], &[]);
        cache.check(&["b", "a"], &[3], &[3, 0], &[]);
    }

    #[test]
    fn equal_metrics_and_texts_that_run_together_are_told_apart() {
        static OTHER: Metric = Metric::gauge("m", Unit::None, "", &["device"]);
        static PAIR: Metric = Metric::gauge("pair*", Unit::None, "", &["a", "b"]);
        let mut cache = SeriesCache::default();
        let mut next = 0;
        for round in 0..3 {
            let mut out = Collection::default();
            let mut sink = cache.begin(&mut out, &mut next, 0, 0);
            for metric in [&METRIC, &OTHER] {
                sink.push(metric, &["x"], 1.0);
            }
            for (part, labels) in [("", ["ab", "c"]), ("", ["a", "bc"]), ("a", ["b", "c"])] {
                sink.push_part(&PAIR, part, &labels, 1.0);
            }
            cache.end(&mut out);
            assert_eq!(out.new_series.len(), if round == 0 { 4 } else { 0 });
            assert_eq!(out.samples.len(), 4, "METRIC and OTHER name one series");
        }
    }

    #[test]
    fn it_agrees_with_a_map_whatever_comes_and_goes() {
        let mut cache = Cache { cache: SeriesCache::default(), next: 0 };
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut seed = 7_u64;
        for _ in 0..300 {
            let mut devices: Vec<String> = Vec::new();
            for device in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (seed >> 40) as usize % (devices.len() + 1);
                if seed >> 62 != 0 {
                    devices.insert(at, format!("d{}", device % 10));
                }
            }
            let texts: Vec<&str> = devices.iter().map(String::as_str).collect();
            let out = cache.round(&texts);
            for (series, labels) in &out.new_series {
                let device = labels.get("device").unwrap().to_owned();
                assert_eq!(known.insert(device, *series), None, "it was known");
            }
            let (ended, live): (Vec<_>, Vec<_>) =
                out.samples.iter().partition(|(_, value)| is_stale_marker(*value));
            for (series, value) in live {
                assert_eq!(known[&devices[value as usize]], series);
            }
            known.retain(|_, series| !ended.iter().any(|(gone, _)| gone == series));
            assert!(known.keys().all(|device| devices.contains(device)));
            let mut distinct = devices.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(known.len(), distinct.len());
        }
    }

    #[test]
    fn one_series_has_one_value_a_round() {
        let mut cache = Cache { cache: SeriesCache::default(), next: 0 };
        cache.check(&["a", "a", "b"], &[0, 1], &[0, 1], &[]);
        cache.check(&["a", "a", "b"], &[], &[0, 1], &[]);
    }

    #[test]
    fn labels_are_the_name_and_the_metrics_own() {
        let mut cache = Cache { cache: SeriesCache::default(), next: 7 };
        let out = cache.round(&["sda"]);
        assert_eq!(out.new_series[0].0, 7);
        assert_eq!(out.new_series[0].1.to_string(), r#"m{device="sda"}"#);
    }

    #[test]
    fn what_is_only_recorded_stays_apart_from_its_name_to_its_end() {
        let mut cache = Cache { cache: SeriesCache::default(), next: 0 };
        let mut round = |devices: &[&str]| {
            let mut out = Collection::default();
            let mut sink = cache.cache.begin(&mut out, &mut cache.next, 0, 0);
            sink.push(&METRIC, &["sent"], 1.0);
            for device in devices {
                sink.push_recorded(&METRIC, &[device], 2.0);
            }
            cache.cache.end(&mut out);
            out
        };
        let first = round(&["a", "b"]);
        assert_eq!((first.new_series.len(), first.samples), (3, vec![(0, 1.0)]));
        assert_eq!(first.recorded, [(1, 2.0), (2, 2.0)]);
        let second = round(&["b"]);
        assert_eq!((second.new_series.len(), second.samples), (0, vec![(0, 1.0)]));
        assert_eq!(second.recorded[0], (2, 2.0));
        assert!(second.recorded[1].0 == 1 && is_stale_marker(second.recorded[1].1));
    }
}

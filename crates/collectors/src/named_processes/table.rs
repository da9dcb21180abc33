//! Which processes match which patterns, and what has changed since it was last told: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_series::{Labels, stale_marker};

use crate::metric::Metric;
use crate::named_processes::{EXITS, RUNNING, START_TIME};
use crate::settings::NamedPattern;
use crate::watch::{Change, labels};

/// Most processes that are followed; what matches beyond them is left out.
const MAX_PROCESSES: usize = 1_000;

/// The table that the watcher fills and the collector reads.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedTable(Arc<Mutex<Table>>);

impl SharedTable {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing in the table is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Table {
    patterns: Vec<NamedPattern>,
    /// Counts up with every change of the patterns.
    revision: u64,
    processes: HashMap<u32, Process>,
    exits: BTreeMap<String, u64>,
    changed: BTreeSet<String>,
    /// Whether all processes were looked at since the patterns changed.
    complete: bool,
}

/// A process that matches.
#[derive(Debug, Clone, PartialEq)]
struct Process {
    /// What the kernel says about its start: with the number it tells one process from all others.
    start_ticks: u64,
    start_seconds: f64,
    names: BTreeSet<String>,
}

impl Table {
    /// Looks for these processes from now on.
    pub(super) fn set_patterns(&mut self, patterns: &[NamedPattern]) {
        self.patterns = patterns.to_vec();
        self.revision += 1;
        self.processes.clear();
        self.complete = false;
        let before = std::mem::take(&mut self.exits);
        for pattern in patterns {
            let exits = before.get(&pattern.name).copied().unwrap_or(0);
            self.exits.insert(pattern.name.clone(), exits);
        }
        self.changed = self.exits.keys().cloned().collect();
    }

    /// Which patterns hold, by a number; `None` if there are none.
    pub(super) fn revision(&self) -> Option<u64> {
        (!self.patterns.is_empty()).then_some(self.revision)
    }

    /// The names that a process with this program and command line matches.
    fn names_of(&self, program: &str, command: &str) -> BTreeSet<String> {
        let matching = |pattern: &&NamedPattern| {
            pattern.pattern.matches(program) || pattern.pattern.matches(command)
        };
        self.patterns.iter().filter(matching).map(|pattern| pattern.name.clone()).collect()
    }

    /// A process was looked at. Whether it matches.
    pub(super) fn seen(
        &mut self,
        pid: u32,
        (start_ticks, start_seconds): (u64, f64),
        program: &str,
        command: &str,
    ) -> bool {
        if self.processes.get(&pid).is_some_and(|known| known.start_ticks != start_ticks) {
            self.ended(pid);
        }
        let names = self.names_of(program, command);
        let known = self.processes.get(&pid).map(|known| &known.names);
        if known.unwrap_or(&BTreeSet::new()) == &names {
            return known.is_some();
        }
        // Another program in the same process is not an exit.
        self.changed.extend(known.into_iter().flatten().chain(&names).cloned());
        self.processes.remove(&pid);
        if names.is_empty() || self.processes.len() >= MAX_PROCESSES {
            return false;
        }
        self.processes.insert(pid, Process { start_ticks, start_seconds, names });
        true
    }

    /// A process has ended; one that did not match says nothing.
    pub(super) fn ended(&mut self, pid: u32) {
        for name in self.processes.remove(&pid).into_iter().flat_map(|process| process.names) {
            *self.exits.entry(name.clone()).or_default() += 1;
            self.changed.insert(name);
        }
    }

    /// All processes were looked at, and these are all there are.
    pub(super) fn looked_at_all(&mut self, present: impl Fn(u32) -> bool) {
        let gone: Vec<u32> = self.processes.keys().copied().filter(|pid| !present(*pid)).collect();
        for pid in gone {
            self.ended(pid);
        }
        self.complete = true;
    }

    /// What has changed since the last call.
    pub(super) fn take_changes(&mut self, now_ms: i64) -> Vec<Change> {
        if !self.complete || self.changed.is_empty() {
            return Vec::new();
        }
        let mut samples: Vec<(Labels, f64)> = Vec::new();
        for name in std::mem::take(&mut self.changed) {
            let mut started = false;
            self.push_name(&name, &mut |metric, values, value| {
                started |= std::ptr::eq(metric, &raw const START_TIME);
                samples.push((labels(metric, values), value));
            });
            if !started {
                samples.push((labels(&START_TIME, &[&name]), stale_marker()));
            }
        }
        vec![Change { timestamp_ms: now_ms, samples }]
    }

    /// Pushes all series, once all processes were looked at.
    pub(super) fn push(&self, push: &mut dyn FnMut(&'static Metric, &[&str], f64)) {
        for name in self.exits.keys().filter(|_| self.complete) {
            self.push_name(name, push);
        }
    }

    fn push_name(&self, name: &str, push: &mut dyn FnMut(&'static Metric, &[&str], f64)) {
        let running = || self.processes.values().filter(|process| process.names.contains(name));
        push(&RUNNING, &[name], running().count() as f64);
        if let Some(youngest) = running().map(|process| process.start_seconds).reduce(f64::max) {
            push(&START_TIME, &[name], youngest);
        }
        push(&EXITS, &[name], self.exits.get(name).copied().unwrap_or(0) as f64);
    }
}

#[cfg(test)]
mod tests {
    use muster_series::is_stale_marker;

    use super::*;
    use crate::settings::Pattern;

    fn table(patterns: &[(&str, &str)]) -> Table {
        let mut table = Table::default();
        table.set_patterns(&named(patterns));
        table
    }

    fn named(patterns: &[(&str, &str)]) -> Vec<NamedPattern> {
        let named = |(name, pattern): &(&str, &str)| NamedPattern {
            name: (*name).into(),
            pattern: Pattern::anywhere(pattern).unwrap(),
        };
        patterns.iter().map(named).collect()
    }

    /// What is told: name, running, start, exits; a series that ends is a start of -1.
    #[track_caller]
    fn check(table: &mut Table, expected: &[(&str, f64, f64, f64)]) {
        let changes = table.take_changes(5);
        let samples = changes.iter().flat_map(|change| &change.samples);
        let mut told: BTreeMap<String, [f64; 3]> = BTreeMap::new();
        for (labels, value) in samples {
            let at = match labels.metric_name().unwrap() {
                "muster_named_processes" => 0,
                "muster_named_process_start_time_seconds" => 1,
                _ => 2,
            };
            let value = if is_stale_marker(*value) { -1.0 } else { *value };
            told.entry(labels.get("name").unwrap().into()).or_default()[at] = value;
        }
        let told: Vec<_> =
            told.iter().map(|(name, [n, start, exits])| (&**name, *n, *start, *exits)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn starts_and_ends_are_counted_by_name() {
        let mut table = table(&[("web", "nginx|caddy"), ("db", "postgres")]);
        assert!(table.seen(7, (70, 700.0), "nginx", "nginx: master process"));
        assert!(!table.seen(8, (80, 800.0), "bash", "-bash"));
        check(&mut table, &[]);
        table.looked_at_all(|_| true);
        check(&mut table, &[("db", 0.0, -1.0, 0.0), ("web", 1.0, 700.0, 0.0)]);
        check(&mut table, &[]);
        assert!(table.seen(9, (90, 900.0), "python3", "python3 /opt/caddy-proxy.py"));
        check(&mut table, &[("web", 2.0, 900.0, 0.0)]);
        table.ended(9);
        table.ended(8);
        check(&mut table, &[("web", 1.0, 700.0, 1.0)]);
        table.looked_at_all(|pid| pid != 7);
        check(&mut table, &[("web", 0.0, -1.0, 2.0)]);
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let mut table = table(&[("web", "^nginx")]);
        table.seen(7, (70, 700.0), "nginx", "nginx");
        table.looked_at_all(|_| true);
        table.take_changes(0);
        table.seen(7, (71, 710.0), "nginx", "nginx");
        check(&mut table, &[("web", 1.0, 710.0, 1.0)]);
        // The process executes another program.
        table.seen(7, (71, 710.0), "sh", "sh");
        check(&mut table, &[("web", 0.0, -1.0, 1.0)]);
    }

    #[test]
    fn other_patterns_keep_the_counts_of_their_names() {
        let mut table = table(&[("web", "nginx"), ("db", "postgres")]);
        table.seen(7, (70, 700.0), "nginx", "nginx");
        table.ended(7);
        let revision = table.revision();
        table.set_patterns(&named(&[("web", "caddy")]));
        assert_ne!(table.revision(), revision);
        table.looked_at_all(|_| true);
        check(&mut table, &[("web", 0.0, -1.0, 1.0)]);
        table.set_patterns(&[]);
        assert_eq!(table.revision(), None);
    }
}

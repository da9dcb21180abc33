//! This host as a source of samples: its collectors.

use std::fmt;
use std::sync::Arc;

use muster_collectors::{Cadence, CollectorSettings, ProcessReader, Registry, Roots, Watcher};
use muster_environment::Clock;
use muster_wire::{ProcessRow, ProcessTable};

use crate::source::{Collection, MakeProcessSource, ProcessSource, Source, Tick};
use crate::textfile;

/// How often the collectors of medium cadence run, on the grid of the wall clock.
const MEDIUM_INTERVAL_MS: i64 = 10_000;

/// Runs the collectors of a host.
pub struct HostSource {
    roots: Roots,
    registry: Registry,
    clock: Arc<dyn Clock>,
    /// The step of the wall clock in which the collectors of medium cadence ran last.
    medium_step: Option<i64>,
}

impl HostSource {
    /// All collectors, reading below `roots`.
    pub fn new(roots: &Roots, clock: Arc<dyn Clock>) -> Self {
        let roots = Roots { parse_text: Some(textfile::parser()), ..roots.clone() };
        Self { registry: Registry::new(&roots), roots, clock, medium_step: None }
    }
}

impl Source for HostSource {
    fn collect(&mut self, tick: Tick, now_ms: i64) -> Collection {
        let mut all = self.registry.collect(Cadence::Fast, &*self.clock);
        let step = Some(now_ms.div_euclid(MEDIUM_INTERVAL_MS));
        let is_due =
            [(Cadence::Medium, self.medium_step != step), (Cadence::Slow, tick == Tick::Full)];
        self.medium_step = step;
        for (cadence, _) in is_due.into_iter().filter(|(_, due)| *due) {
            let more = self.registry.collect(cadence, &*self.clock);
            all.extend(more);
        }
        Collection { new_series: all.new_series, samples: all.samples, recorded: all.recorded }
    }

    fn watchers(&self) -> Vec<Box<dyn Watcher>> {
        self.registry.watchers()
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        self.registry.configure(settings);
    }

    fn processes(&self) -> Option<MakeProcessSource> {
        let roots = self.roots.clone();
        Some(Arc::new(move || Box::new(HostProcesses(ProcessReader::new(&roots)))))
    }
}

/// The processes of this host.
struct HostProcesses(ProcessReader);

impl ProcessSource for HostProcesses {
    fn read(&mut self, now_ms: i64, monotonic_ms: i64) -> ProcessTable {
        let table = self.0.read(now_ms, monotonic_ms);
        let row = |row: muster_collectors::ProcessRow| ProcessRow {
            pid: row.pid,
            parent: row.parent,
            user: row.user,
            program: row.program,
            command: row.command,
            state: row.state,
            threads: row.threads,
            started_ms: row.started_ms,
            cpu_ratio: row.cpu_ratio,
            memory_bytes: row.memory_bytes,
            read_bytes_per_second: row.read_bytes_per_second,
            written_bytes_per_second: row.written_bytes_per_second,
        };
        ProcessTable {
            timestamp_ms: table.timestamp_ms,
            rows: table.rows.into_iter().map(row).collect(),
            truncated: table.truncated as u64,
        }
    }
}

impl fmt::Debug for HostSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSource").field("registry", &self.registry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use muster_environment::ManualClock;

    use super::*;

    #[test]
    fn this_process_is_in_the_table_of_processes() {
        let clock = Arc::new(ManualClock::at(0));
        let source = HostSource::new(&Roots::default(), Arc::clone(&clock) as _);
        let make = source.processes().unwrap();
        let table = make().read(1_795_335_136_731, 0);
        assert!(table.rows.iter().any(|row| row.pid == std::process::id()), "{}", table.truncated);
    }

    #[test]
    fn a_full_tick_brings_the_slow_collectors_too() {
        let mut source = HostSource::new(&Roots::default(), Arc::new(ManualClock::at(0)));
        let fast = source.collect(Tick::Fast, 0);
        assert!(fast.new_series.iter().any(|(_, l)| l.metric_name() == Some("node_load1")));
        let full = source.collect(Tick::Full, 0);
        assert!(!full.new_series.is_empty(), "the slow ones name their series now");
        assert!(full.samples.len() > fast.samples.len());
    }
}

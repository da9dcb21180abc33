//! `/proc/stat`: what the CPUs do, interrupts, forks, boot time.
//!
//! One collector where `node_exporter` has two (`cpu`, `stat`): the kernel sums every interrupt
//! counter to write this file, which makes it the dearest of all, so it is read once.

use std::collections::HashMap;

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static CPU: Metric = Metric::counter(
    "node_cpu_seconds_total",
    Unit::Seconds,
    "Seconds the CPUs spent in each mode.",
    &["cpu", "mode"],
);
static GUEST: Metric = Metric::counter(
    "node_cpu_guest_seconds_total",
    Unit::Seconds,
    "Seconds the CPUs spent in guests (VMs) for each mode.",
    &["cpu", "mode"],
);
static INTERRUPTS: Metric =
    Metric::counter("node_intr_total", Unit::None, "Total number of interrupts serviced.", &[]);
static CONTEXT_SWITCHES: Metric = Metric::counter(
    "node_context_switches_total",
    Unit::None,
    "Total number of context switches.",
    &[],
);
static FORKS: Metric =
    Metric::counter("node_forks_total", Unit::None, "Total number of forks.", &[]);
static BOOT_TIME: Metric =
    Metric::gauge("node_boot_time_seconds", Unit::Seconds, "Node boot time, in unixtime.", &[]);
static RUNNING: Metric =
    Metric::gauge("node_procs_running", Unit::None, "Number of processes in runnable state.", &[]);
static BLOCKED: Metric = Metric::gauge(
    "node_procs_blocked",
    Unit::None,
    "Number of processes blocked waiting for I/O to complete.",
    &[],
);

/// The kernel counts in hundredths of a second here, whatever its own tick is (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// The modes in the file's order; the last two are time in guests.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const COLUMNS: usize = MODES.len() + GUEST_MODES.len();
const IDLE: usize = 3;
/// Idle time that falls by more than this, in ticks, means that the CPU was taken away and came back.
const REPLUGGED_TICKS: u64 = 300;

/// Ticks in each mode.
type Ticks = [u64; COLUMNS];

/// Collects `/proc/stat`.
#[derive(Debug)]
pub(crate) struct Stat {
    file: HotFile,
    highest: HashMap<String, Ticks>,
}

impl Stat {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("stat")), highest: HashMap::new() }
    }
}

impl Collector for Stat {
    fn name(&self) -> &'static str {
        "stat"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&CPU, &GUEST, &INTERRUPTS, &CONTEXT_SWITCHES, &FORKS, &BOOT_TIME, &RUNNING, &BLOCKED]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let highest = &mut self.highest;
        self.file.read(|text| {
            let parsed = parse(text)?;
            for (cpu, ticks) in &parsed.cpus {
                push_cpu(sink, cpu, &never_falling(highest, cpu, *ticks));
            }
            for (metric, value) in parsed.totals {
                sink.push(metric, &[], value);
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn push_cpu(sink: &mut Sink<'_>, cpu: &str, ticks: &Ticks) {
    let seconds = ticks.map(|ticks| ticks as f64 / TICKS_PER_SECOND);
    for (mode, value) in MODES.iter().zip(seconds) {
        sink.push(&CPU, &[cpu, mode], value);
    }
    for (mode, value) in GUEST_MODES.iter().zip(&seconds[MODES.len()..]) {
        sink.push(&GUEST, &[cpu, mode], *value);
    }
}

/// The kernel's idle and iowait counters sometimes step back a little, which a rate would take for a
/// restart. So the highest value seen stands, unless idle time fell so far that it was one.
fn never_falling(highest: &mut HashMap<String, Ticks>, cpu: &str, now: Ticks) -> Ticks {
    let Some(best) = highest.get_mut(cpu) else {
        highest.insert(cpu.to_owned(), now);
        return now;
    };
    if best[IDLE].saturating_sub(now[IDLE]) >= REPLUGGED_TICKS {
        *best = now;
    }
    for (best, now) in best.iter_mut().zip(now) {
        *best = (*best).max(now);
    }
    *best
}

struct Parsed<'a> {
    cpus: Vec<(&'a str, Ticks)>,
    totals: Vec<(&'static Metric, f64)>,
}

fn parse(text: &str) -> Result<Parsed<'_>, Malformed> {
    let mut parsed = Parsed { cpus: Vec::new(), totals: Vec::new() };
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(key) = words.next() else { continue };
        let metric = match key {
            "intr" => &INTERRUPTS,
            "ctxt" => &CONTEXT_SWITCHES,
            "processes" => &FORKS,
            "btime" => &BOOT_TIME,
            "procs_running" => &RUNNING,
            "procs_blocked" => &BLOCKED,
            _ => {
                if let Some(cpu) = key.strip_prefix("cpu").filter(|cpu| !cpu.is_empty()) {
                    let mut ticks = [0; COLUMNS];
                    // Old kernels have fewer columns; what they lack stays 0.
                    for (ticks, word) in ticks.iter_mut().zip(words) {
                        *ticks = word.parse().map_err(|_| Malformed::at(line))?;
                    }
                    parsed.cpus.push((cpu, ticks));
                }
                continue;
            }
        };
        let value = words.next().and_then(number).ok_or_else(|| Malformed::at(line))?;
        parsed.totals.push((metric, value));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_and_totals() {
        let text = "cpu  9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu12 1 2 3 4\nintr 77 1 2\nbtime 5\n";
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.cpus[0], ("0", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
        assert_eq!(parsed.cpus[1], ("12", [1, 2, 3, 4, 0, 0, 0, 0, 0, 0]));
        assert_eq!(parsed.totals, [(&INTERRUPTS, 77.0), (&BOOT_TIME, 5.0)]);
    }

    #[track_caller]
    fn check_malformed(text: &str, line: &str) {
        assert_eq!(parse(text).err(), Some(Malformed::at(line)));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        check_malformed("cpu0 1 x\n", "cpu0 1 x");
        check_malformed("btime 5\nctxt\n", "ctxt");
    }

    #[test]
    fn counters_do_not_fall_but_for_a_replugged_cpu() {
        let mut highest = HashMap::new();
        let mut check = |idle: u64, expected: u64| {
            let mut ticks = [0; COLUMNS];
            ticks[IDLE] = idle;
            assert_eq!(never_falling(&mut highest, "0", ticks)[IDLE], expected);
        };
        check(1000, 1000);
        check(998, 1000);
        check(1001, 1001);
        check(700, 700);
    }
}

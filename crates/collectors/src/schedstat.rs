//! `/proc/schedstat`: how long each CPU ran processes, and how long they waited for it.

use crate::error::{CollectError, Malformed};
use crate::file::HotFile;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static RUNNING: Metric = Metric::counter(
    "node_schedstat_running_seconds_total",
    Unit::Seconds,
    "Number of seconds CPU spent running a process.",
    &["cpu"],
);
static WAITING: Metric = Metric::counter(
    "node_schedstat_waiting_seconds_total",
    Unit::Seconds,
    "Number of seconds spent by processing waiting for this CPU.",
    &["cpu"],
);
static TIMESLICES: Metric = Metric::counter(
    "node_schedstat_timeslices_total",
    Unit::None,
    "Number of timeslices executed by CPU.",
    &["cpu"],
);

/// How many columns lie between the CPU's name and the three that count.
const SKIPPED_COLUMNS: usize = 6;

/// Collects `/proc/schedstat`.
#[derive(Debug)]
pub(crate) struct Schedstat {
    file: HotFile,
}

impl Schedstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        // The lines of a CPU's domains hold a mask of all CPUs each.
        Self { file: HotFile::with_long_records(roots.proc.join("schedstat")) }
    }
}

impl Collector for Schedstat {
    fn name(&self) -> &'static str {
        "schedstat"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&RUNNING, &WAITING, &TIMESLICES]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.file.read(|text| {
            for (cpu, [running, waiting, timeslices]) in parse(text)? {
                sink.push(&RUNNING, &[cpu], running as f64 / 1e9);
                sink.push(&WAITING, &[cpu], waiting as f64 / 1e9);
                sink.push(&TIMESLICES, &[cpu], timeslices as f64);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Of each CPU: nanoseconds running, nanoseconds waiting, time slices.
fn parse(text: &str) -> Result<Vec<(&str, [u64; 3])>, Malformed> {
    let mut cpus = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("cpu") else {
            continue;
        };
        let malformed = || Malformed::at(line);
        let mut words = rest.split(' ');
        let cpu = words.next().ok_or_else(malformed)?;
        let mut words = words.skip(SKIPPED_COLUMNS);
        let mut next = || words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed);
        cpus.push((cpu, [next()?, next()?, next()?]));
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_columns_count() {
        let text = "version 15\ntimestamp 1\ncpu1 0 0 0 0 0 0 7 8 9\ndomain0 3 0\n";
        assert_eq!(parse(text), Ok(vec![("1", [7, 8, 9])]));
        assert_eq!(parse("cpu1 0 0 0\n"), Err(Malformed::at("cpu1 0 0 0")));
    }
}

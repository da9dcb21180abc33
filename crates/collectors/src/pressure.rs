//! `/proc/pressure`: how long processes waited for CPU, memory and I/O (PSI).

use crate::error::{CollectError, Malformed};
use crate::file::HotFile;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static CPU_WAITING: Metric = Metric::counter(
    "node_pressure_cpu_waiting_seconds_total",
    Unit::Seconds,
    "Total time in seconds that processes have waited for CPU time",
    &[],
);
static IO_WAITING: Metric = Metric::counter(
    "node_pressure_io_waiting_seconds_total",
    Unit::Seconds,
    "Total time in seconds that processes have waited due to IO congestion",
    &[],
);
static IO_STALLED: Metric = Metric::counter(
    "node_pressure_io_stalled_seconds_total",
    Unit::Seconds,
    "Total time in seconds no process could make progress due to IO congestion",
    &[],
);
static MEMORY_WAITING: Metric = Metric::counter(
    "node_pressure_memory_waiting_seconds_total",
    Unit::Seconds,
    "Total time in seconds that processes have waited for memory",
    &[],
);
static MEMORY_STALLED: Metric = Metric::counter(
    "node_pressure_memory_stalled_seconds_total",
    Unit::Seconds,
    "Total time in seconds no process could make progress due to memory congestion",
    &[],
);
static IRQ_STALLED: Metric = Metric::counter(
    "node_pressure_irq_stalled_seconds_total",
    Unit::Seconds,
    "Total time in seconds no process could make progress due to IRQ congestion",
    &[],
);

/// A file, and the metrics of its `some` and `full` lines. What the CPUs' `full` line says is
/// defined for control groups only, and interrupts have no `some` line.
type Resource = (&'static str, Option<&'static Metric>, Option<&'static Metric>);

const RESOURCES: [Resource; 4] = [
    ("cpu", Some(&CPU_WAITING), None),
    ("io", Some(&IO_WAITING), Some(&IO_STALLED)),
    ("memory", Some(&MEMORY_WAITING), Some(&MEMORY_STALLED)),
    ("irq", None, Some(&IRQ_STALLED)),
];

/// Collects `/proc/pressure/*`.
#[derive(Debug)]
pub(crate) struct Pressure {
    files: Vec<(HotFile, Resource)>,
}

impl Pressure {
    pub(crate) fn new(roots: &Roots) -> Self {
        let folder = roots.proc.join("pressure");
        let files = RESOURCES
            .into_iter()
            .map(|resource| (HotFile::new(folder.join(resource.0)), resource))
            .collect();
        Self { files }
    }
}

impl Collector for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        RESOURCES.iter().flat_map(|(_, some, full)| [*some, *full]).flatten().collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for (file, (_, some, full)) in &mut self.files {
            file.read(|text| {
                let parsed = parse(text)?;
                for (metric, seconds) in [(*some, parsed.some), (*full, parsed.full)] {
                    if let (Some(metric), Some(seconds)) = (metric, seconds) {
                        sink.push(metric, &[], seconds);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Total seconds of each line there is.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    some: Option<f64>,
    full: Option<f64>,
}

fn parse(text: &str) -> Result<Parsed, Malformed> {
    let mut parsed = Parsed::default();
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ').ok_or_else(|| Malformed::at(line))?;
        let micros = rest.rsplit_once("total=").and_then(|(_, total)| total.parse::<u64>().ok());
        let seconds = micros.ok_or_else(|| Malformed::at(line))? as f64 / 1e6;
        match kind {
            "some" => parsed.some = Some(seconds),
            "full" => parsed.full = Some(seconds),
            _ => {}
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_in_seconds() {
        let text = "some avg10=0.54 avg60=0.22 avg300=1.49 total=23220311\n\
            full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(parse(text), Ok(Parsed { some: Some(23.220_311), full: Some(0.0) }));
        assert_eq!(parse("full avg10=0 total=1\n"), Ok(Parsed { some: None, full: Some(1e-6) }));
        assert_eq!(parse("some avg10=0.54\n"), Err(Malformed::at("some avg10=0.54")));
    }
}

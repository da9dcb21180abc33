//! `/proc/net/softnet_stat`: packets that each CPU took from the network, dropped, or had no time for.

use crate::error::{CollectError, Malformed};
use crate::file::HotFile;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static COLUMNS: [Metric; 3] = [
    column("node_softnet_processed_total", "Number of processed packets"),
    column("node_softnet_dropped_total", "Number of dropped packets"),
    column(
        "node_softnet_times_squeezed_total",
        "Number of times processing packets ran out of quota",
    ),
];

const fn column(name: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::None, help, &["cpu"])
}

/// The column, from 0, in which newer kernels say which CPU a line is of.
const CPU_COLUMN: usize = 12;

/// Collects `/proc/net/softnet_stat`.
#[derive(Debug)]
pub(crate) struct Softnet {
    file: HotFile,
}

impl Softnet {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("net/softnet_stat")) }
    }
}

impl Collector for Softnet {
    fn name(&self) -> &'static str {
        "softnet"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        COLUMNS.iter().collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.file.read(|text| {
            for (cpu, counts) in parse(text)? {
                let cpu = cpu.to_string();
                for (metric, count) in COLUMNS.iter().zip(counts) {
                    sink.push(metric, &[&cpu], count);
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn parse(text: &str) -> Result<Vec<(u64, [f64; 3])>, Malformed> {
    let mut cpus = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let hex = |word: &str| u64::from_str_radix(word, 16).ok();
        let mut words = line.split_ascii_whitespace();
        let mut counts = [0.0; 3];
        for count in &mut counts {
            *count = words.next().and_then(hex).ok_or_else(|| Malformed::at(line))? as f64;
        }
        // A CPU that is offline has no line, so the line's number is only the second choice.
        let cpu = words.nth(CPU_COLUMN - counts.len()).and_then(hex).unwrap_or(at as u64);
        cpus.push((cpu, counts));
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_lines() {
        let new = "00000025 00000001 00000000 0 0 0 0 0 0 0 0 0 0000000a 0 0\n";
        assert_eq!(parse(new), Ok(vec![(10, [37.0, 1.0, 0.0])]));
        let old = "1 2 3 4\nff 0 0 0\n";
        assert_eq!(parse(old), Ok(vec![(0, [1.0, 2.0, 3.0]), (1, [255.0, 0.0, 0.0])]));
        assert_eq!(parse("1 2\n"), Err(Malformed::at("1 2")));
    }
}

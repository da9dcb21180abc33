//! `/proc/loadavg`: the three load averages.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static LOADS: [Metric; 3] = [
    Metric::gauge("node_load1", Unit::None, "1m load average.", &[]),
    Metric::gauge("node_load5", Unit::None, "5m load average.", &[]),
    Metric::gauge("node_load15", Unit::None, "15m load average.", &[]),
];

/// Collects `/proc/loadavg`.
#[derive(Debug)]
pub(crate) struct Loadavg {
    file: HotFile,
}

impl Loadavg {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("loadavg")) }
    }
}

impl Collector for Loadavg {
    fn name(&self) -> &'static str {
        "loadavg"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        LOADS.iter().collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.file.read(|text| {
            for (metric, load) in LOADS.iter().zip(parse(text)?) {
                sink.push(metric, &[], load);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The averages over 1, 5 and 15 minutes.
fn parse(text: &str) -> Result<[f64; 3], Malformed> {
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next().and_then(number).ok_or_else(|| Malformed::at(text));
    Ok([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_or_nothing() {
        assert_eq!(parse("0.03 0.64 12.53 1/98 16784\n"), Ok([0.03, 0.64, 12.53]));
        assert_eq!(parse("0.03 0.64"), Err(Malformed::at("0.03 0.64")));
    }
}

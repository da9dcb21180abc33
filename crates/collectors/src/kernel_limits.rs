//! Files of one or few numbers under `/proc/sys`: open files, and the entropy pool.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static ALLOCATED: Metric = Metric::gauge(
    "node_filefd_allocated",
    Unit::None,
    "File descriptor statistics: allocated.",
    &[],
);
static MAXIMUM: Metric =
    Metric::gauge("node_filefd_maximum", Unit::None, "File descriptor statistics: maximum.", &[]);
static ENTROPY_AVAILABLE: Metric =
    Metric::gauge("node_entropy_available_bits", Unit::Bits, "Bits of available entropy.", &[]);
static ENTROPY_POOL: Metric =
    Metric::gauge("node_entropy_pool_size_bits", Unit::Bits, "Bits of entropy pool.", &[]);

/// Collects `/proc/sys/fs/file-nr`.
#[derive(Debug)]
pub(crate) struct Filefd {
    file: HotFile,
}

impl Filefd {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("sys/fs/file-nr")) }
    }
}

impl Collector for Filefd {
    fn name(&self) -> &'static str {
        "filefd"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&ALLOCATED, &MAXIMUM]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.file.read(|text| {
            let [allocated, maximum] = parse_file_nr(text)?;
            sink.push(&ALLOCATED, &[], allocated);
            sink.push(&MAXIMUM, &[], maximum);
            Ok(())
        })?;
        Ok(())
    }
}

/// Allocated and maximum; what stands between them is always 0.
fn parse_file_nr(text: &str) -> Result<[f64; 2], Malformed> {
    let mut words = text.split_ascii_whitespace().map(number);
    match (words.next(), words.next(), words.next()) {
        (Some(Some(allocated)), Some(_), Some(Some(maximum))) => Ok([allocated, maximum]),
        _ => Err(Malformed::at(text)),
    }
}

/// Collects `/proc/sys/kernel/random`.
#[derive(Debug)]
pub(crate) struct Entropy {
    files: [(HotFile, &'static Metric); 2],
}

impl Entropy {
    pub(crate) fn new(roots: &Roots) -> Self {
        let hot = |name: &str| HotFile::new(roots.proc.join("sys/kernel/random").join(name));
        Self {
            files: [(hot("entropy_avail"), &ENTROPY_AVAILABLE), (hot("poolsize"), &ENTROPY_POOL)],
        }
    }
}

impl Collector for Entropy {
    fn name(&self) -> &'static str {
        "entropy"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&ENTROPY_AVAILABLE, &ENTROPY_POOL]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for (file, metric) in &mut self.files {
            file.read(|text| {
                let bits = number(text.trim()).ok_or_else(|| Malformed::at(text))?;
                sink.push(metric, &[], bits);
                Ok(())
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_nr_has_three_numbers() {
        assert_eq!(parse_file_nr("585\t0\t2466170\n"), Ok([585.0, 2_466_170.0]));
        assert_eq!(parse_file_nr("585 0"), Err(Malformed::at("585 0")));
    }
}

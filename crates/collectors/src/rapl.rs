//! `/sys/class/powercap`: the energy that CPU packages, cores and memory have used (Intel RAPL).

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{attribute, is_digits, names_in, number_attribute};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static JOULES: Metric = Metric::counter(
    "node_rapl_*_joules_total",
    Unit::Joules,
    "Energy used by the zone in the name, as the processor counts it.",
    &["index", "path"],
);

/// Collects `/sys/class/powercap`. Most kernels let only root read the counters.
#[derive(Debug)]
pub(crate) struct Rapl {
    folder: PathBuf,
}

impl Rapl {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/powercap") }
    }
}

impl Collector for Rapl {
    fn name(&self) -> &'static str {
        "rapl"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&JOULES]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for name in names_in(&self.folder).iter().filter(|name| name.starts_with("intel-rapl:")) {
            let folder = self.folder.join(name);
            let zone = attribute(&folder.join("name")).unwrap_or_default();
            let Some(energy) = number_attribute(&folder.join("energy_uj")) else {
                continue;
            };
            let (kind, index) = kind_and_index(&zone, name);
            sink.push_part(&JOULES, &kind, &[index, &folder.to_string_lossy()], energy / 1e6);
        }
        Ok(())
    }
}

/// What a zone such as `package-0` measures, and the number of it: its own, or that of the package
/// in its folder's name (`intel-rapl:0:1`).
fn kind_and_index<'a>(zone: &'a str, folder: &'a str) -> (String, &'a str) {
    let own = zone.rsplit_once('-').filter(|(_, number)| is_digits(number));
    let (kind, index) = own.unwrap_or((zone, folder.split(':').nth(1).unwrap_or("0")));
    (kind.replace(|c: char| !c.is_ascii_alphanumeric(), "_"), index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(zone: &str, folder: &str, kind: &str, index: &str) {
        assert_eq!(kind_and_index(zone, folder), (kind.to_owned(), index));
    }

    #[test]
    fn zones_have_kinds_and_numbers() {
        check("package-1", "intel-rapl:1", "package", "1");
        check("core", "intel-rapl:0:0", "core", "0");
        check("dram", "intel-rapl:1:2", "dram", "1");
        check("package-0-die-1", "intel-rapl:0", "package_0_die", "1");
        check("psys", "intel-rapl", "psys", "0");
    }
}

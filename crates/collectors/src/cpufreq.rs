//! `/sys/devices/system/cpu`: the clocks of the CPUs, and how often heat slowed them down.

use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::{attribute, is_digits, names_in, number_attribute};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

/// Files and metrics; the kernel counts in kHz.
static FREQUENCIES: [(&str, Metric); 6] = [
    ("cpuinfo_cur_freq", hertz("node_cpu_frequency_hertz", "Current CPU thread frequency.")),
    ("cpuinfo_min_freq", hertz("node_cpu_frequency_min_hertz", "Minimum CPU thread frequency.")),
    ("cpuinfo_max_freq", hertz("node_cpu_frequency_max_hertz", "Maximum CPU thread frequency.")),
    (
        "scaling_cur_freq",
        hertz("node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency."),
    ),
    (
        "scaling_min_freq",
        hertz("node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency."),
    ),
    (
        "scaling_max_freq",
        hertz("node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency."),
    ),
];
static GOVERNOR: Metric = Metric::gauge(
    "node_cpu_scaling_governor",
    Unit::None,
    "Current enabled CPU frequency governor: 1 for the one that governs.",
    &["cpu", "governor"],
);

static CORE_THROTTLES: Metric = Metric::counter(
    "node_cpu_core_throttles_total",
    Unit::None,
    "Number of times this CPU core has been throttled.",
    &["package", "core"],
);
static PACKAGE_THROTTLES: Metric = Metric::counter(
    "node_cpu_package_throttles_total",
    Unit::None,
    "Number of times this CPU package has been throttled.",
    &["package"],
);

const fn hertz(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Hertz, help, &["cpu"])
}

/// Collects the CPUs' clocks.
#[derive(Debug)]
pub(crate) struct Cpufreq {
    folder: PathBuf,
}

impl Cpufreq {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("devices/system/cpu") }
    }
}

impl Collector for Cpufreq {
    fn name(&self) -> &'static str {
        "cpufreq"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        FREQUENCIES
            .iter()
            .map(|(_, metric)| metric)
            .chain([&GOVERNOR, &CORE_THROTTLES, &PACKAGE_THROTTLES])
            .collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for name in names_in(&self.folder) {
            let Some(cpu) = name.strip_prefix("cpu").filter(|cpu| is_digits(cpu)) else {
                continue;
            };
            push_throttles(sink, &self.folder.join(&name));
            let folder = self.folder.join(&name).join("cpufreq");
            for (file, metric) in &FREQUENCIES {
                if let Some(kilohertz) = number_attribute(&folder.join(file)) {
                    sink.push(metric, &[cpu], kilohertz * 1000.0);
                }
            }
            let text = |file| attribute(&folder.join(file)).unwrap_or_default();
            let current = text("scaling_governor");
            for governor in text("scaling_available_governors").split_ascii_whitespace() {
                let governs = if governor == current { 1.0 } else { 0.0 };
                sink.push(&GOVERNOR, &[cpu, governor], governs);
            }
        }
        Ok(())
    }
}

/// Threads of one core say the same, and so do cores of one package; the sink takes the first.
fn push_throttles(sink: &mut Sink<'_>, folder: &Path) {
    let text = |file| attribute(&folder.join(file)).unwrap_or_default();
    let package = text("topology/physical_package_id");
    if let Some(count) = number_attribute(&folder.join("thermal_throttle/core_throttle_count")) {
        sink.push(&CORE_THROTTLES, &[&package, &text("topology/core_id")], count);
    }
    if let Some(count) = number_attribute(&folder.join("thermal_throttle/package_throttle_count")) {
        sink.push(&PACKAGE_THROTTLES, &[&package], count);
    }
}

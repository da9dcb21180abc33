//! `/sys/class/thermal`: the temperatures of zones, and what cools them.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{attribute, names_in, number_attribute};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static ZONE: Metric = Metric::gauge(
    "node_thermal_zone_temp",
    Unit::Celsius,
    "Zone temperature in Celsius",
    &["zone", "type"],
);
static COOLING: Metric = Metric::gauge(
    "node_cooling_device_cur_state",
    Unit::None,
    "Current throttle state of the cooling device",
    &["name", "type"],
);
static COOLING_MAX: Metric = Metric::gauge(
    "node_cooling_device_max_state",
    Unit::None,
    "Maximum throttle state of the cooling device",
    &["name", "type"],
);

/// Collects `/sys/class/thermal`.
#[derive(Debug)]
pub(crate) struct Thermal {
    folder: PathBuf,
}

impl Thermal {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/thermal") }
    }
}

impl Collector for Thermal {
    fn name(&self) -> &'static str {
        "thermal_zone"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&ZONE, &COOLING, &COOLING_MAX]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for name in names_in(&self.folder) {
            let path = self.folder.join(&name);
            let kind = || attribute(&path.join("type")).unwrap_or_default();
            let push = |sink: &mut Sink<'_>, metric, number: &str, file: &str, divisor: f64| {
                if let Some(value) = number_attribute(&path.join(file)) {
                    sink.push(metric, &[number, &kind()], value / divisor);
                }
            };
            if let Some(zone) = name.strip_prefix("thermal_zone") {
                push(sink, &ZONE, zone, "temp", 1000.0);
            } else if let Some(device) = name.strip_prefix("cooling_device") {
                push(sink, &COOLING, device, "cur_state", 1.0);
                push(sink, &COOLING_MAX, device, "max_state", 1.0);
            }
        }
        Ok(())
    }
}

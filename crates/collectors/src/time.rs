//! The host's clock, and what drives it.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{attribute, names_in};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static SECONDS: Metric = Metric::gauge(
    "node_time_seconds",
    Unit::Seconds,
    "System time in seconds since epoch (1970).",
    &[],
);
static AVAILABLE: Metric = Metric::info(
    "node_time_clocksource_available_info",
    "Available clocksources read from '/sys/devices/system/clocksource'.",
    &["device", "clocksource"],
);
static CURRENT: Metric = Metric::info(
    "node_time_clocksource_current_info",
    "Current clocksource read from '/sys/devices/system/clocksource'.",
    &["device", "clocksource"],
);

/// Collects the time.
#[derive(Debug)]
pub(crate) struct Time;

impl Collector for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&SECONDS]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let now = sink.now_ms() as f64 / 1000.0;
        sink.push(&SECONDS, &[], now);
        Ok(())
    }
}

/// Collects what drives the clock.
#[derive(Debug)]
pub(crate) struct Clocksource {
    folder: PathBuf,
}

impl Clocksource {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("devices/system/clocksource") }
    }
}

impl Collector for Clocksource {
    fn name(&self) -> &'static str {
        "clocksource"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&AVAILABLE, &CURRENT]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for name in names_in(&self.folder) {
            let Some(device) = name.strip_prefix("clocksource") else {
                continue;
            };
            let text = |file| attribute(&self.folder.join(&name).join(file)).unwrap_or_default();
            for source in text("available_clocksource").split_ascii_whitespace() {
                sink.push(&AVAILABLE, &[device, source], 1.0);
            }
            for source in text("current_clocksource").split_ascii_whitespace() {
                sink.push(&CURRENT, &[device, source], 1.0);
            }
        }
        Ok(())
    }
}

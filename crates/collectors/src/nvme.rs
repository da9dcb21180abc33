//! `/sys/class/nvme`: what `NVMe` controllers say about themselves.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{attribute, names_in};
use crate::metric::Metric;
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static INFO: Metric = Metric::info(
    "node_nvme_info",
    "Non-numeric data from /sys/class/nvme, value is always 1.",
    &["device", "firmware_revision", "model", "serial", "state"],
);

/// Collects `/sys/class/nvme`.
#[derive(Debug)]
pub(crate) struct Nvme {
    folder: PathBuf,
}

impl Nvme {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/nvme") }
    }
}

impl Collector for Nvme {
    fn name(&self) -> &'static str {
        "nvme"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&INFO]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for device in names_in(&self.folder) {
            let text = |file| attribute(&self.folder.join(&device).join(file)).unwrap_or_default();
            let (firmware, model) = (text("firmware_rev"), text("model"));
            let (serial, state) = (text("serial"), text("state"));
            sink.push(&INFO, &[&device, &firmware, &model, &serial, &state], 1.0);
        }
        Ok(())
    }
}

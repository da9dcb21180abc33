//! `/sys/devices/system/edac/mc`: errors that memory with error correction has seen.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{names_in, number_attribute};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static CORRECTABLE: Metric = errors(
    "node_edac_correctable_errors_total",
    "Total correctable memory errors.",
    &["controller"],
);
static UNCORRECTABLE: Metric = errors(
    "node_edac_uncorrectable_errors_total",
    "Total uncorrectable memory errors.",
    &["controller"],
);
static ROW_CORRECTABLE: Metric = errors(
    "node_edac_csrow_correctable_errors_total",
    "Total correctable memory errors for this csrow.",
    &["controller", "csrow"],
);
static ROW_UNCORRECTABLE: Metric = errors(
    "node_edac_csrow_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this csrow.",
    &["controller", "csrow"],
);

const fn errors(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric::counter(name, Unit::None, help, labels)
}

/// Collects `/sys/devices/system/edac/mc`.
#[derive(Debug)]
pub(crate) struct Edac {
    folder: PathBuf,
}

impl Edac {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("devices/system/edac/mc") }
    }
}

impl Collector for Edac {
    fn name(&self) -> &'static str {
        "edac"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&CORRECTABLE, &UNCORRECTABLE, &ROW_CORRECTABLE, &ROW_UNCORRECTABLE]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for name in names_in(&self.folder) {
            let Some(controller) = name.strip_prefix("mc") else {
                continue;
            };
            let folder = self.folder.join(&name);
            let mut push = |metric, path: &str, labels: &[&str]| {
                if let Some(count) = number_attribute(&folder.join(path)) {
                    sink.push(metric, labels, count);
                }
            };
            push(&CORRECTABLE, "ce_count", &[controller]);
            push(&UNCORRECTABLE, "ue_count", &[controller]);
            // Errors that the controller cannot give to a row.
            push(&ROW_CORRECTABLE, "ce_noinfo_count", &[controller, "unknown"]);
            push(&ROW_UNCORRECTABLE, "ue_noinfo_count", &[controller, "unknown"]);
            for row_name in names_in(&folder) {
                let Some(row) = row_name.strip_prefix("csrow") else {
                    continue;
                };
                push(&ROW_CORRECTABLE, &format!("{row_name}/ce_count"), &[controller, row]);
                push(&ROW_UNCORRECTABLE, &format!("{row_name}/ue_count"), &[controller, row]);
            }
        }
        Ok(())
    }
}

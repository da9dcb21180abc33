//! `/sys/class/fc_host`: Fibre Channel host adapters.

use std::path::PathBuf;

use crate::error::CollectError;
use crate::file::{attribute, names_in};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static INFO: Metric = Metric::info(
    "node_fibrechannel_info",
    "Non-numeric data from /sys/class/fc_host, value is always 1.",
    &[
        "fc_host",
        "speed",
        "port_state",
        "port_type",
        "port_id",
        "port_name",
        "fabric_name",
        "symbolic_name",
        "supported_classes",
        "supported_speeds",
        "dev_loss_tmo",
    ],
);
/// The files of the labels above but the first.
const INFO_FILES: [&str; 10] = [
    "speed",
    "port_state",
    "port_type",
    "port_id",
    "port_name",
    "fabric_name",
    "symbolic_name",
    "supported_classes",
    "supported_speeds",
    "dev_loss_tmo",
];
/// Files of `statistics` and metrics.
static COUNTERS: [(&str, Metric); 14] = [
    (
        "dumped_frames",
        Metric::counter(
            "node_fibrechannel_dumped_frames_total",
            Unit::None,
            "Number of dumped frames.",
            &["fc_host"],
        ),
    ),
    (
        "error_frames",
        Metric::counter(
            "node_fibrechannel_error_frames_total",
            Unit::None,
            "Number of errors in frames.",
            &["fc_host"],
        ),
    ),
    (
        "invalid_crc_count",
        Metric::counter(
            "node_fibrechannel_invalid_crc_total",
            Unit::None,
            "Invalid Cyclic Redundancy Check count.",
            &["fc_host"],
        ),
    ),
    (
        "rx_frames",
        Metric::counter(
            "node_fibrechannel_rx_frames_total",
            Unit::None,
            "Number of frames received.",
            &["fc_host"],
        ),
    ),
    (
        "rx_words",
        Metric::counter(
            "node_fibrechannel_rx_words_total",
            Unit::None,
            "Number of words received by host port.",
            &["fc_host"],
        ),
    ),
    (
        "tx_frames",
        Metric::counter(
            "node_fibrechannel_tx_frames_total",
            Unit::None,
            "Number of frames transmitted by host port.",
            &["fc_host"],
        ),
    ),
    (
        "tx_words",
        Metric::counter(
            "node_fibrechannel_tx_words_total",
            Unit::None,
            "Number of words transmitted by host port.",
            &["fc_host"],
        ),
    ),
    (
        "seconds_since_last_reset",
        Metric::counter(
            "node_fibrechannel_seconds_since_last_reset_total",
            Unit::Seconds,
            "Number of seconds since last host port reset.",
            &["fc_host"],
        ),
    ),
    (
        "invalid_tx_word_count",
        Metric::counter(
            "node_fibrechannel_invalid_tx_words_total",
            Unit::None,
            "Number of invalid words transmitted by host port.",
            &["fc_host"],
        ),
    ),
    (
        "link_failure_count",
        Metric::counter(
            "node_fibrechannel_link_failure_total",
            Unit::None,
            "Number of times the host port link has failed.",
            &["fc_host"],
        ),
    ),
    (
        "loss_of_sync_count",
        Metric::counter(
            "node_fibrechannel_loss_of_sync_total",
            Unit::None,
            "Number of failures on either bit or transmission word boundaries.",
            &["fc_host"],
        ),
    ),
    (
        "loss_of_signal_count",
        Metric::counter(
            "node_fibrechannel_loss_of_signal_total",
            Unit::None,
            "Number of times signal has been lost.",
            &["fc_host"],
        ),
    ),
    (
        "nos_count",
        Metric::counter(
            "node_fibrechannel_nos_total",
            Unit::None,
            "Number Not_Operational Primitive Sequence received by host port.",
            &["fc_host"],
        ),
    ),
    (
        "fcp_packet_aborts",
        Metric::counter(
            "node_fibrechannel_fcp_packet_aborts_total",
            Unit::None,
            "Number of aborted packets.",
            &["fc_host"],
        ),
    ),
];

/// Collects `/sys/class/fc_host`.
#[derive(Debug)]
pub(crate) struct Fibrechannel {
    folder: PathBuf,
}

impl Fibrechannel {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/fc_host") }
    }
}

impl Collector for Fibrechannel {
    fn name(&self) -> &'static str {
        "fibrechannel"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        [&INFO].into_iter().chain(COUNTERS.iter().map(|(_, metric)| metric)).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for host in names_in(&self.folder) {
            let folder = self.folder.join(&host);
            let texts = INFO_FILES.map(|file| attribute(&folder.join(file)).unwrap_or_default());
            let mut labels = vec![host.as_str()];
            labels.extend(texts.iter().map(|text| text.strip_prefix("0x").unwrap_or(text)));
            sink.push(&INFO, &labels, 1.0);
            for (file, metric) in &COUNTERS {
                let count = attribute(&folder.join("statistics").join(file));
                if let Some(count) = count.as_deref().and_then(counted) {
                    sink.push(metric, &[&host], count);
                }
            }
        }
        Ok(())
    }
}

/// A hexadecimal count; an adapter that does not count something says all ones.
fn counted(text: &str) -> Option<f64> {
    let count = u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
    (count != u64::MAX).then_some(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_counted_is_left_out() {
        assert_eq!(counted("0x13"), Some(19.0));
        assert_eq!(counted("0xffffffffffffffff"), None);
        assert_eq!(counted("19"), None);
    }
}

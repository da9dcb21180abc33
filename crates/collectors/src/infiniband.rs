//! `/sys/class/infiniband`: the ports of `InfiniBand` adapters.

use std::path::{Path, PathBuf};

use crate::error::CollectError;
use crate::file::{attribute, names_in};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static INFO: Metric = Metric::info(
    "node_infiniband_info",
    "Non-numeric data from /sys/class/infiniband, value is always 1.",
    &["device", "board_id", "firmware_version", "hca_type"],
);
static STATE: Metric = Metric::gauge(
    "node_infiniband_state_id",
    Unit::None,
    "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer).",
    &["device", "port"],
);
static PHYSICAL_STATE: Metric = Metric::gauge(
    "node_infiniband_physical_state_id",
    Unit::None,
    "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link error recover, 7: phytest).",
    &["device", "port"],
);
static RATE: Metric = Metric::gauge(
    "node_infiniband_rate_bytes_per_second",
    Unit::Bytes,
    "Maximum signal transfer rate.",
    &["device", "port"],
);
/// Files of `counters`, what one of theirs is worth, and metrics; data is counted in words of four bytes.
static COUNTERS: [(&str, f64, Metric); 22] = [
    (
        "excessive_buffer_overrun_errors",
        1.0,
        Metric::counter(
            "node_infiniband_excessive_buffer_overrun_errors_total",
            Unit::None,
            "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at least one overrun error.",
            &["device", "port"],
        ),
    ),
    (
        "link_downed",
        1.0,
        Metric::counter(
            "node_infiniband_link_downed_total",
            Unit::None,
            "Number of times the link failed to recover from an error state and went down.",
            &["device", "port"],
        ),
    ),
    (
        "link_error_recovery",
        1.0,
        Metric::counter(
            "node_infiniband_link_error_recovery_total",
            Unit::None,
            "Number of times the link successfully recovered from an error state.",
            &["device", "port"],
        ),
    ),
    (
        "local_link_integrity_errors",
        1.0,
        Metric::counter(
            "node_infiniband_local_link_integrity_errors_total",
            Unit::None,
            "Number of times that the count of local physical errors exceeded the threshold specified by LocalPhyErrors.",
            &["device", "port"],
        ),
    ),
    (
        "multicast_rcv_packets",
        1.0,
        Metric::counter(
            "node_infiniband_multicast_packets_received_total",
            Unit::None,
            "Number of multicast packets received (including errors).",
            &["device", "port"],
        ),
    ),
    (
        "multicast_xmit_packets",
        1.0,
        Metric::counter(
            "node_infiniband_multicast_packets_transmitted_total",
            Unit::None,
            "Number of multicast packets transmitted (including errors).",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_constraint_errors",
        1.0,
        Metric::counter(
            "node_infiniband_port_constraint_errors_received_total",
            Unit::None,
            "Number of packets received on the switch physical port that are discarded.",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_data",
        4.0,
        Metric::counter(
            "node_infiniband_port_data_received_bytes_total",
            Unit::Bytes,
            "Number of data octets received on all links.",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_discards",
        1.0,
        Metric::counter(
            "node_infiniband_port_discards_received_total",
            Unit::None,
            "Number of inbound packets discarded by the port because the port is down or congested.",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_errors",
        1.0,
        Metric::counter(
            "node_infiniband_port_errors_received_total",
            Unit::None,
            "Number of packets containing an error that were received on this port.",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_packets",
        1.0,
        Metric::counter(
            "node_infiniband_port_packets_received_total",
            Unit::None,
            "Number of packets received on all VLs by this port (including errors).",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_remote_physical_errors",
        1.0,
        Metric::counter(
            "node_infiniband_port_receive_remote_physical_errors_total",
            Unit::None,
            "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port.",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_switch_relay_errors",
        1.0,
        Metric::counter(
            "node_infiniband_port_receive_switch_relay_errors_total",
            Unit::None,
            "Number of packets that could not be forwarded by the switch.",
            &["device", "port"],
        ),
    ),
    (
        "port_xmit_constraint_errors",
        1.0,
        Metric::counter(
            "node_infiniband_port_constraint_errors_transmitted_total",
            Unit::None,
            "Number of packets not transmitted from the switch physical port.",
            &["device", "port"],
        ),
    ),
    (
        "port_xmit_data",
        4.0,
        Metric::counter(
            "node_infiniband_port_data_transmitted_bytes_total",
            Unit::Bytes,
            "Number of data octets transmitted on all links.",
            &["device", "port"],
        ),
    ),
    (
        "port_xmit_discards",
        1.0,
        Metric::counter(
            "node_infiniband_port_discards_transmitted_total",
            Unit::None,
            "Number of outbound packets discarded by the port because the port is down or congested.",
            &["device", "port"],
        ),
    ),
    (
        "port_xmit_packets",
        1.0,
        Metric::counter(
            "node_infiniband_port_packets_transmitted_total",
            Unit::None,
            "Number of packets transmitted on all VLs from this port (including errors).",
            &["device", "port"],
        ),
    ),
    (
        "port_xmit_wait",
        1.0,
        Metric::counter(
            "node_infiniband_port_transmit_wait_total",
            Unit::None,
            "Number of ticks during which the port had data to transmit but no data was sent during the entire tick.",
            &["device", "port"],
        ),
    ),
    (
        "symbol_error",
        1.0,
        Metric::counter(
            "node_infiniband_symbol_error_total",
            Unit::None,
            "Number of minor link errors detected on one or more physical lanes.",
            &["device", "port"],
        ),
    ),
    (
        "unicast_rcv_packets",
        1.0,
        Metric::counter(
            "node_infiniband_unicast_packets_received_total",
            Unit::None,
            "Number of unicast packets received (including errors).",
            &["device", "port"],
        ),
    ),
    (
        "unicast_xmit_packets",
        1.0,
        Metric::counter(
            "node_infiniband_unicast_packets_transmitted_total",
            Unit::None,
            "Number of unicast packets transmitted (including errors).",
            &["device", "port"],
        ),
    ),
    (
        "VL15_dropped",
        1.0,
        Metric::counter(
            "node_infiniband_vl15_dropped_total",
            Unit::None,
            "Number of incoming VL15 packets dropped due to resource limitations.",
            &["device", "port"],
        ),
    ),
];
/// The same of `counters_ext`, which older drivers have.
static EXTENDED: [(&str, f64, Metric); 8] = [
    (
        "port_multicast_rcv_packets",
        1.0,
        Metric::counter(
            "node_infiniband_legacy_multicast_packets_received_total",
            Unit::None,
            "Number of multicast packets received.",
            &["device", "port"],
        ),
    ),
    (
        "port_multicast_xmit_packets",
        1.0,
        Metric::counter(
            "node_infiniband_legacy_multicast_packets_transmitted_total",
            Unit::None,
            "Number of multicast packets transmitted.",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_data_64",
        4.0,
        Metric::counter(
            "node_infiniband_legacy_data_received_bytes_total",
            Unit::Bytes,
            "Number of data octets received on all links.",
            &["device", "port"],
        ),
    ),
    (
        "port_rcv_packets_64",
        1.0,
        Metric::counter(
            "node_infiniband_legacy_packets_received_total",
            Unit::None,
            "Number of data packets received on all links.",
            &["device", "port"],
        ),
    ),
    (
        "port_unicast_rcv_packets",
        1.0,
        Metric::counter(
            "node_infiniband_legacy_unicast_packets_received_total",
            Unit::None,
            "Number of unicast packets received.",
            &["device", "port"],
        ),
    ),
    (
        "port_unicast_xmit_packets",
        1.0,
        Metric::counter(
            "node_infiniband_legacy_unicast_packets_transmitted_total",
            Unit::None,
            "Number of unicast packets transmitted.",
            &["device", "port"],
        ),
    ),
    (
        "port_xmit_data_64",
        4.0,
        Metric::counter(
            "node_infiniband_legacy_data_transmitted_bytes_total",
            Unit::Bytes,
            "Number of data octets transmitted on all links.",
            &["device", "port"],
        ),
    ),
    (
        "port_xmit_packets_64",
        1.0,
        Metric::counter(
            "node_infiniband_legacy_packets_transmitted_total",
            Unit::None,
            "Number of data packets received on all links.",
            &["device", "port"],
        ),
    ),
];

/// Collects `/sys/class/infiniband`.
#[derive(Debug)]
pub(crate) struct Infiniband {
    folder: PathBuf,
}

impl Infiniband {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { folder: roots.sys.join("class/infiniband") }
    }
}

impl Collector for Infiniband {
    fn name(&self) -> &'static str {
        "infiniband"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        [&INFO, &STATE, &PHYSICAL_STATE, &RATE]
            .into_iter()
            .chain(COUNTERS.iter().chain(&EXTENDED).map(|(_, _, metric)| metric))
            .collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for device in names_in(&self.folder) {
            let folder = self.folder.join(&device);
            let text = |file| attribute(&folder.join(file)).unwrap_or_default();
            let (board, firmware, kind) = (text("board_id"), text("fw_ver"), text("hca_type"));
            sink.push(&INFO, &[&device, &board, &firmware, &kind], 1.0);
            for port in names_in(&folder.join("ports")) {
                push_port(sink, &folder.join("ports").join(&port), &[&device, &port]);
            }
        }
        Ok(())
    }
}

fn push_port(sink: &mut Sink<'_>, folder: &Path, labels: &[&str]) {
    let text = |file| attribute(&folder.join(file)).unwrap_or_default();
    for (metric, file) in [(&STATE, "state"), (&PHYSICAL_STATE, "phys_state")] {
        if let Some(id) = id(&text(file)) {
            sink.push(metric, labels, id);
        }
    }
    if let Some(rate) = bytes_per_second(&text("rate")) {
        sink.push(&RATE, labels, rate);
    }
    for (subfolder, table) in [("counters", &COUNTERS[..]), ("counters_ext", &EXTENDED[..])] {
        sink.push_attributes(table, &folder.join(subfolder), labels);
    }
}

/// The number of a state such as `4: ACTIVE`.
fn id(text: &str) -> Option<f64> {
    text.split_once(':')?.0.parse().ok()
}

/// A rate such as `40 Gb/sec (4X QDR)`.
fn bytes_per_second(text: &str) -> Option<f64> {
    let (number, _) = text.split_once(" Gb/sec")?;
    Some(number.parse::<f64>().ok()? * 1e9 / 8.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_rates_are_read_from_their_texts() {
        assert_eq!(id("4: ACTIVE"), Some(4.0));
        assert_eq!(id("ACTIVE"), None);
        assert_eq!(bytes_per_second("40 Gb/sec (4X QDR)"), Some(5e9));
        assert_eq!(bytes_per_second("2.5 Gb/sec"), Some(312.5e6));
        assert_eq!(bytes_per_second("fast"), None);
    }
}

//! `/proc/net/dev`: traffic and errors of every network device.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::settings::{Choice, CollectorSettings};
use crate::sink::Sink;

/// The columns after the device's name, in the file's order.
static COLUMNS: [Metric; 16] = [
    column("node_network_receive_bytes_total", Unit::Bytes, "Bytes received."),
    column("node_network_receive_packets_total", Unit::None, "Packets received."),
    column("node_network_receive_errs_total", Unit::None, "Packets received with an error."),
    column("node_network_receive_drop_total", Unit::None, "Received packets that were dropped."),
    column("node_network_receive_fifo_total", Unit::None, "Receive FIFO overruns."),
    column("node_network_receive_frame_total", Unit::None, "Received packets with a bad frame."),
    column("node_network_receive_compressed_total", Unit::None, "Compressed packets received."),
    column("node_network_receive_multicast_total", Unit::None, "Multicast packets received."),
    column("node_network_transmit_bytes_total", Unit::Bytes, "Bytes sent."),
    column("node_network_transmit_packets_total", Unit::None, "Packets sent."),
    column("node_network_transmit_errs_total", Unit::None, "Packets that failed to be sent."),
    column("node_network_transmit_drop_total", Unit::None, "Packets dropped before sending."),
    column("node_network_transmit_fifo_total", Unit::None, "Transmit FIFO underruns."),
    column("node_network_transmit_colls_total", Unit::None, "Collisions."),
    column(
        "node_network_transmit_carrier_total",
        Unit::None,
        "Losses of the carrier while sending.",
    ),
    column("node_network_transmit_compressed_total", Unit::None, "Compressed packets sent."),
];

const fn column(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help, &["device"])
}

/// Collects `/proc/net/dev`.
#[derive(Debug)]
pub(crate) struct Netdev {
    file: HotFile,
    devices: Choice,
}

impl Netdev {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("net/dev")), devices: Choice::default() }
    }
}

impl Collector for Netdev {
    fn name(&self) -> &'static str {
        "netdev"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        COLUMNS.iter().collect()
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        self.devices = settings.network_devices.clone();
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.file.read(|text| {
            for (device, counts) in parse(text)? {
                if !self.devices.takes(device, true) {
                    continue;
                }
                for (metric, count) in COLUMNS.iter().zip(counts) {
                    sink.push(metric, &[device], count);
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

type Device<'a> = (&'a str, [f64; COLUMNS.len()]);

fn parse(text: &str) -> Result<Vec<Device<'_>>, Malformed> {
    // Two lines of headings come first.
    text.lines().skip(2).map(parse_line).collect()
}

/// A name may hold colons (`eth0:1`), and the first count may follow the last colon without a blank.
fn parse_line(line: &str) -> Result<Device<'_>, Malformed> {
    let malformed = || Malformed::at(line);
    let (device, rest) = line.rsplit_once(':').ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let mut counts = [0.0; COLUMNS.len()];
    for count in &mut counts {
        *count = words.next().and_then(number).ok_or_else(malformed)?;
    }
    Ok((device.trim_ascii_start(), counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADINGS: &str = "Inter-|   Receive\n face |bytes\n";

    #[test]
    fn devices() {
        let text = format!("{HEADINGS}  eth0:1:9 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        let devices = parse(&text).unwrap();
        assert_eq!(devices[0].0, "eth0:1");
        assert_eq!(devices[0].1[0], 9.0);
        assert_eq!(devices[0].1[15], 16.0);
        assert_eq!(parse(HEADINGS), Ok(Vec::new()));
    }

    #[test]
    fn a_short_line_is_refused() {
        let text = format!("{HEADINGS}lo: 1 2 3\n");
        assert_eq!(parse(&text), Err(Malformed::at("lo: 1 2 3")));
    }
}

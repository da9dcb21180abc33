//! Tables of the network stack that grow with the host's peers: ARP entries and queues of UDP sockets.

use std::collections::BTreeMap;

use crate::error::{CollectError, Malformed};
use crate::file::read;
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static ARP: Metric =
    Metric::gauge("node_arp_entries", Unit::None, "ARP entries by device", &["device"]);
static QUEUES: Metric = Metric::gauge(
    "node_udp_queues",
    Unit::Bytes,
    "Number of allocated memory in the kernel for UDP datagrams in bytes.",
    &["queue", "ip"],
);

/// Collects `/proc/net/arp`.
#[derive(Debug)]
pub(crate) struct Arp {
    roots: Roots,
}

impl Arp {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }
}

impl Collector for Arp {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&ARP]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        read(&self.roots.proc.join("net/arp"), |text| {
            for (device, entries) in parse_arp(text)? {
                sink.push(&ARP, &[device], entries as f64);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// How many entries each device has; the device is the last of six columns.
fn parse_arp(text: &str) -> Result<BTreeMap<&str, u64>, Malformed> {
    let mut entries = BTreeMap::new();
    for line in text.lines().skip(1) {
        let device = line.split_ascii_whitespace().nth(5).ok_or_else(|| Malformed::at(line))?;
        *entries.entry(device).or_default() += 1;
    }
    Ok(entries)
}

/// Collects the queues of `/proc/net/udp` and `udp6`.
#[derive(Debug)]
pub(crate) struct UdpQueues {
    roots: Roots,
}

impl UdpQueues {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }
}

impl Collector for UdpQueues {
    fn name(&self) -> &'static str {
        "udp_queues"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&QUEUES]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for (file, ip) in [("net/udp", "v4"), ("net/udp6", "v6")] {
            read(&self.roots.proc.join(file), |text| {
                let [sent, received] = parse_udp(text)?;
                sink.push(&QUEUES, &["tx", ip], sent as f64);
                sink.push(&QUEUES, &["rx", ip], received as f64);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Bytes in all send and receive queues; the fifth column is both, `00000000:00000000`.
fn parse_udp(text: &str) -> Result<[u64; 2], Malformed> {
    let mut totals = [0_u64; 2];
    for line in text.lines().skip(1) {
        let column = line.split_ascii_whitespace().nth(4).and_then(|both| both.split_once(':'));
        let hex = |word: &str| u64::from_str_radix(word, 16).ok();
        let both = column.and_then(|(sent, received)| Some([hex(sent)?, hex(received)?]));
        for (total, bytes) in totals.iter_mut().zip(both.ok_or_else(|| Malformed::at(line))?) {
            *total = total.saturating_add(bytes);
        }
    }
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arp_entries_by_device() {
        let text = "IP address HW type\n\
            192.0.2.1 0x1 0x2 02:fc:00:00:00:05 * eth0\n192.0.2.2 0x1 0x2 02:fc:00:00:00:06 * eth0\n";
        assert_eq!(parse_arp(text), Ok(BTreeMap::from([("eth0", 2)])));
        assert_eq!(parse_arp("heading\nshort line\n"), Err(Malformed::at("short line")));
    }

    #[test]
    fn queues_are_summed() {
        let text = "sl local\n 1: 00:00 00:00 07 00000001:0000000A 00\n\
            2: 00:00 00:00 07 00000002:00000001 00\n";
        assert_eq!(parse_udp(text), Ok([3, 11]));
        assert_eq!(parse_udp("sl\n1: 2 3 4 5\n"), Err(Malformed::at("1: 2 3 4 5")));
    }
}

//! `/proc/net/ip_vs` and `/proc/net/ip_vs_stats`: the kernel's load balancer.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::error::{CollectError, Malformed};
use crate::file::{number, read};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

const BACKEND: [&str; 6] =
    ["local_address", "local_port", "local_mark", "remote_address", "remote_port", "proto"];
static BACKENDS: [Metric; 3] = [
    Metric::gauge(
        "node_ipvs_backend_weight",
        Unit::None,
        "The current backend weight by local and remote address.",
        &BACKEND,
    ),
    Metric::gauge(
        "node_ipvs_backend_connections_active",
        Unit::None,
        "The current active connections by local and remote address.",
        &BACKEND,
    ),
    Metric::gauge(
        "node_ipvs_backend_connections_inactive",
        Unit::None,
        "The current inactive connections by local and remote address.",
        &BACKEND,
    ),
];
/// In the order of the columns of `ip_vs_stats`.
static TOTALS: [Metric; 5] = [
    Metric::counter(
        "node_ipvs_connections_total",
        Unit::None,
        "The total number of connections made.",
        &[],
    ),
    Metric::counter(
        "node_ipvs_incoming_packets_total",
        Unit::None,
        "The total number of incoming packets.",
        &[],
    ),
    Metric::counter(
        "node_ipvs_outgoing_packets_total",
        Unit::None,
        "The total number of outgoing packets.",
        &[],
    ),
    Metric::counter(
        "node_ipvs_incoming_bytes_total",
        Unit::Bytes,
        "The total amount of incoming data.",
        &[],
    ),
    Metric::counter(
        "node_ipvs_outgoing_bytes_total",
        Unit::Bytes,
        "The total amount of outgoing data.",
        &[],
    ),
];

/// Collects `/proc/net/ip_vs` and `/proc/net/ip_vs_stats`.
#[derive(Debug)]
pub(crate) struct Ipvs {
    stats: PathBuf,
    services: PathBuf,
}

impl Ipvs {
    pub(crate) fn new(roots: &Roots) -> Self {
        let [stats, services] = ["net/ip_vs_stats", "net/ip_vs"].map(|file| roots.proc.join(file));
        Self { stats, services }
    }
}

impl Collector for Ipvs {
    fn name(&self) -> &'static str {
        "ipvs"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        BACKENDS.iter().chain(&TOTALS).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        read(&self.stats, |text| {
            for (metric, total) in TOTALS.iter().zip(totals(text)?) {
                sink.push(metric, &[], total);
            }
            Ok(())
        })?;
        read(&self.services, |text| {
            for backend in backends(text)? {
                let labels = backend.labels.each_ref().map(String::as_str);
                for (metric, value) in BACKENDS.iter().zip(backend.values) {
                    sink.push(metric, &labels, value);
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The third line of `ip_vs_stats`: five hexadecimal counts.
fn totals(text: &str) -> Result<[f64; 5], Malformed> {
    let line = text.lines().nth(2).ok_or_else(|| Malformed::at(text))?;
    let mut words = line.split_ascii_whitespace();
    let mut next = || {
        let word = words.next().ok_or_else(|| Malformed::at(line))?;
        u64::from_str_radix(word, 16).map(|count| count as f64).map_err(|_| Malformed::at(line))
    };
    Ok([next()?, next()?, next()?, next()?, next()?])
}

/// One server behind a service.
#[derive(Debug, PartialEq)]
struct Backend {
    /// In the order of [`BACKEND`].
    labels: [String; 6],
    /// Weight, active and inactive connections.
    values: [f64; 3],
}

/// Lines `TCP C0A80016:0CEA wlc` begin a service, lines `-> C0A85216:0CEA Tunnel 100 248 2` name its servers.
fn backends(text: &str) -> Result<Vec<Backend>, Malformed> {
    let mut service: Option<[String; 4]> = None;
    let mut found = Vec::new();
    for line in text.lines().skip(3) {
        let malformed = || Malformed::at(line);
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            [proto @ ("TCP" | "UDP" | "SCTP"), local, ..] => {
                let (address, port) = address_and_port(local).ok_or_else(malformed)?;
                service = Some([address, port, String::new(), proto.to_owned()]);
            }
            ["FWM", mark, ..] => {
                service = Some([String::new(), "0".into(), mark.to_owned(), "FWM".to_owned()]);
            }
            ["->", remote, _, weight, active, inactive, ..] => {
                let Some([address, port, mark, proto]) = service.clone() else {
                    return Err(malformed());
                };
                let (remote_address, remote_port) =
                    address_and_port(remote).ok_or_else(malformed)?;
                let value = |word| number(word).ok_or_else(malformed);
                found.push(Backend {
                    labels: [address, port, mark, remote_address, remote_port, proto],
                    values: [value(weight)?, value(active)?, value(inactive)?],
                });
            }
            [] => {}
            _ => return Err(malformed()),
        }
    }
    Ok(found)
}

/// `C0A80016:0CEA` or `[2620:…:0001]:0050`.
fn address_and_port(text: &str) -> Option<(String, String)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok()?.to_string(),
        None => Ipv4Addr::from_bits(u32::from_str_radix(address, 16).ok()?).to_string(),
    };
    Some((address, port.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let expected = expected.map(|(address, port)| (address.to_owned(), port.to_owned()));
        assert_eq!(address_and_port(text), expected);
    }

    #[test]
    fn addresses_are_hexadecimal() {
        check("C0A80016:0CEA", Some(("192.168.0.22", "3306")));
        check("[2620:0000:0000:0000:0000:0000:0000:0001]:0050", Some(("2620::1", "80")));
        check("C0A80016", None);
        check("C0A8001600:0CEA", None);
    }

    #[test]
    fn a_server_without_a_service_is_malformed() {
        let line = "  -> C0A85216:0CEA Tunnel 100 248 2";
        assert_eq!(backends(&format!("a\nb\nc\n{line}")), Err(Malformed::at(line)));
        assert_eq!(backends("a\nb\nc\nTCP  C0A80016:0CEA wlc\n"), Ok(vec![]));
    }
}

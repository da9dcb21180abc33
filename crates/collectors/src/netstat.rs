//! `/proc/net/netstat`, `snmp` and `snmp6`: what the protocols count, as far as `node_exporter`
//! takes it by default.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::Metric;
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static FIELD: Metric = Metric::untyped("node_netstat_*", "Statistic of a network protocol.");

/// Collects the protocols' statistics.
#[derive(Debug)]
pub(crate) struct Netstat {
    /// Files in which a line of names is followed by a line of values.
    paired: [HotFile; 2],
    snmp6: HotFile,
}

impl Netstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        let hot = |name: &str| HotFile::new(roots.proc.join("net").join(name));
        Self { paired: [hot("netstat"), hot("snmp")], snmp6: hot("snmp6") }
    }
}

impl Collector for Netstat {
    fn name(&self) -> &'static str {
        "netstat"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&FIELD]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let mut name = String::new();
        let mut push = |(protocol, field, value): (&str, &str, f64)| {
            name.clear();
            name.extend([protocol, "_", field]);
            sink.push_part(&FIELD, &name, &[], value);
        };
        for file in &mut self.paired {
            file.read(|text| {
                parse_paired(text)?.into_iter().for_each(&mut push);
                Ok(())
            })?;
        }
        self.snmp6.read(|text| {
            parse_snmp6(text)?.into_iter().for_each(&mut push);
            Ok(())
        })?;
        Ok(())
    }
}

/// `node_exporter`'s default fields.
fn is_wanted(protocol: &str, field: &str) -> bool {
    match (protocol, field) {
        (_, "InErrors" | "InErrs")
        | ("Ip", "Forwarding")
        | ("Ip6" | "IpExt", "InOctets" | "OutOctets")
        | ("Icmp" | "Icmp6", "InMsgs" | "OutMsgs")
        | ("TcpExt", "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop")
        | (
            "Tcp",
            "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs"
            | "CurrEstab",
        )
        | (
            "Udp" | "Udp6",
            "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors",
        ) => true,
        ("TcpExt", field) => field.starts_with("Listen") || field.starts_with("Syncookies"),
        _ => false,
    }
}

type Field<'a> = (&'a str, &'a str, f64);

/// The wanted fields of a file of line pairs: `Tcp: A B` and then `Tcp: 1 2`.
fn parse_paired(text: &str) -> Result<Vec<Field<'_>>, Malformed> {
    let mut fields = Vec::new();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let malformed = || Malformed::at(names);
        let (protocol, names) = names.split_once(':').ok_or_else(malformed)?;
        let (same, values) = values.split_once(':').ok_or_else(malformed)?;
        if same != protocol {
            return Err(malformed());
        }
        for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
            if is_wanted(protocol, name) {
                fields.push((protocol, name, number(value).ok_or_else(malformed)?));
            }
        }
    }
    Ok(fields)
}

/// The wanted fields of `snmp6`, whose names hold protocol and field in one: `Udp6InErrors 1`.
fn parse_snmp6(text: &str) -> Result<Vec<Field<'_>>, Malformed> {
    let mut fields = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        let Some(at) = name.find('6') else { continue };
        let (protocol, field) = name.split_at(at + 1);
        if is_wanted(protocol, field) {
            let value = words.next().and_then(number).ok_or_else(|| Malformed::at(line))?;
            fields.push((protocol, field, value));
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_lines() {
        let text =
            "Ip: Forwarding DefaultTTL\nIp: 2 64\nTcp: RtoMin InErrs MaxConn\nTcp: 200 7 -1\n";
        let expected = [("Ip", "Forwarding", 2.0), ("Tcp", "InErrs", 7.0)];
        assert_eq!(parse_paired(text).unwrap(), expected);
    }

    #[test]
    fn lines_that_do_not_pair_are_refused() {
        assert_eq!(parse_paired("Ip: A\nTcp: 1\n"), Err(Malformed::at("Ip: A")));
        assert_eq!(parse_paired("Ip: Forwarding\nIp: x\n"), Err(Malformed::at("Ip: Forwarding")));
    }

    #[test]
    fn fields_of_snmp6() {
        let text = "Ip6InOctets   \t128\nIp6InReceives 1\nUdpLite6InErrors 2\n";
        let expected = [("Ip6", "InOctets", 128.0), ("UdpLite6", "InErrors", 2.0)];
        assert_eq!(parse_snmp6(text).unwrap(), expected);
        assert_eq!(parse_snmp6("Ip6InOctets\n"), Err(Malformed::at("Ip6InOctets")));
    }

    #[track_caller]
    fn check_wanted(protocol: &str, field: &str, expected: bool) {
        assert_eq!(is_wanted(protocol, field), expected, "{protocol}_{field}");
    }

    #[test]
    fn wanted_fields() {
        check_wanted("TcpExt", "ListenDrops", true);
        check_wanted("TcpExt", "SyncookiesSent", true);
        check_wanted("TcpExt", "DelayedACKs", false);
        check_wanted("UdpLite", "InErrors", true);
        check_wanted("UdpLite", "NoPorts", false);
        check_wanted("Ip6", "InReceives", false);
    }
}

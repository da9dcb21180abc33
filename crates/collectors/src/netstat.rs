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
    /// Files in which a line of names is followed by a line of values, and where in each line those are
    /// that are wanted.
    paired: [(HotFile, Headings); 2],
    snmp6: HotFile,
}

impl Netstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        let hot = |name: &str| HotFile::new(roots.proc.join("net").join(name));
        let paired = ["netstat", "snmp"].map(|name| (hot(name), Headings::default()));
        Self { paired, snmp6: hot("snmp6") }
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
        for (file, headings) in &mut self.paired {
            file.read(|text| {
                headings.parse(text, |name, value| sink.push_part(&FIELD, name, &[], value))
            })?;
        }
        let mut name = String::new();
        self.snmp6.read(|text| {
            for (protocol, field, value) in parse_snmp6(text)? {
                name.clear();
                name.extend([protocol, "_", field]);
                sink.push_part(&FIELD, &name, &[], value);
            }
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

/// Which columns of a file of line pairs are wanted. The names hardly ever change, and there are hundreds
/// of them, so what was found out about a line stands as long as the line does.
#[derive(Debug, Default)]
struct Headings {
    lines: Vec<Heading>,
}

/// A line of names.
#[derive(Debug)]
struct Heading {
    line: String,
    protocol: String,
    /// Which of the names, from 0, and what the field is called in the metric's name.
    wanted: Vec<(usize, String)>,
}

impl Headings {
    /// Hands over the wanted fields of a file of line pairs, `Tcp: A B` and then `Tcp: 1 2`.
    fn parse(&mut self, text: &str, mut push: impl FnMut(&str, f64)) -> Result<(), Malformed> {
        let mut lines = text.lines();
        let mut at = 0;
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let malformed = || Malformed::at(names);
            if self.lines.get(at).is_none_or(|heading| heading.line != names) {
                self.lines.truncate(at);
                self.lines.push(Heading::of(names).ok_or_else(malformed)?);
            }
            let heading = &self.lines[at];
            let values = values.strip_prefix(&*heading.protocol).ok_or_else(malformed)?;
            let mut values =
                values.strip_prefix(':').ok_or_else(malformed)?.split_ascii_whitespace();
            let mut passed = 0;
            for (column, name) in &heading.wanted {
                // There may be fewer values than names.
                let Some(value) = values.nth(column - passed) else { break };
                passed = column + 1;
                push(name, number(value).ok_or_else(malformed)?);
            }
            at += 1;
        }
        Ok(())
    }
}

impl Heading {
    fn of(line: &str) -> Option<Self> {
        let (protocol, names) = line.split_once(':')?;
        let wanted = names
            .split_ascii_whitespace()
            .enumerate()
            .filter(|(_, name)| is_wanted(protocol, name))
            .map(|(at, name)| (at, format!("{protocol}_{name}")));
        let wanted = wanted.collect();
        Some(Self { line: line.into(), protocol: protocol.into(), wanted })
    }
}

type Field<'a> = (&'a str, &'a str, f64);

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

    fn parse_with(headings: &mut Headings, text: &str) -> Result<Vec<(String, f64)>, Malformed> {
        let mut fields = Vec::new();
        headings.parse(text, |name, value| fields.push((name.to_owned(), value)))?;
        Ok(fields)
    }

    #[track_caller]
    fn check_pairs(headings: &mut Headings, text: &str, expected: &[(&str, f64)]) {
        let expected: Vec<_> = expected.iter().map(|(name, v)| ((*name).to_owned(), *v)).collect();
        assert_eq!(parse_with(headings, text), Ok(expected.clone()), "with what was known");
        assert_eq!(parse_with(&mut Headings::default(), text), Ok(expected), "afresh");
    }

    #[test]
    fn pairs_of_lines() {
        let headings = &mut Headings::default();
        let ip = "Ip: Forwarding DefaultTTL\nIp: 2 64\n";
        let tcp = "Tcp: RtoMin InErrs MaxConn OutRsts\nTcp: 200 7 -1 9\n";
        let both = format!("{ip}{tcp}");
        let (forwarding, errors) = (("Ip_Forwarding", 2.0), ("Tcp_InErrs", 7.0));
        check_pairs(headings, &both, &[forwarding, errors, ("Tcp_OutRsts", 9.0)]);
        check_pairs(headings, tcp, &[errors, ("Tcp_OutRsts", 9.0)]);
        check_pairs(headings, &both.replace("200 7 -1 9", "200 7"), &[forwarding, errors]);
        check_pairs(
            headings,
            &both.replace("InErrs ", "A InErrs "),
            &[forwarding, ("Tcp_InErrs", -1.0)],
        );
        check_pairs(headings, "", &[]);
        check_pairs(
            headings,
            &both.replace("2 64", "1 64"),
            &[("Ip_Forwarding", 1.0), errors, ("Tcp_OutRsts", 9.0)],
        );
    }

    #[track_caller]
    fn check_not_pairs(text: &str, line: &str) {
        assert_eq!(parse_with(&mut Headings::default(), text), Err(Malformed::at(line)));
    }

    #[test]
    fn lines_that_do_not_pair_are_refused() {
        check_not_pairs("Ip: A\nTcp: 1\n", "Ip: A");
        check_not_pairs("Ip: A\nIpExt: 1\n", "Ip: A");
        check_not_pairs("Ip: Forwarding\nIp: x\n", "Ip: Forwarding");
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

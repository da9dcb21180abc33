//! `/proc/net/sockstat` and `sockstat6`: sockets in use and their memory.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static FIELD: Metric = Metric::gauge(
    "node_sockstat_*",
    Unit::None,
    "Number of sockets of a protocol in a state; `mem` counts pages.",
    &[],
);
static BYTES: Metric =
    Metric::gauge("node_sockstat_*_bytes", Unit::Bytes, "Memory of a protocol's sockets.", &[]);

/// Collects the sockets' statistics.
#[derive(Debug)]
pub(crate) struct Sockstat {
    files: [HotFile; 2],
    page_size: f64,
}

impl Sockstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        let files =
            ["net/sockstat", "net/sockstat6"].map(|name| HotFile::new(roots.proc.join(name)));
        Self { files, page_size: rustix::param::page_size() as f64 }
    }
}

impl Collector for Sockstat {
    fn name(&self) -> &'static str {
        "sockstat"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&FIELD, &BYTES]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let mut name = String::new();
        for file in &mut self.files {
            file.read(|text| {
                for (protocol, state, value) in parse(text)? {
                    name.clear();
                    name.extend([protocol, "_", state]);
                    sink.push_part(&FIELD, &name, &[], value);
                    if state == "mem" {
                        sink.push_part(&BYTES, &name, &[], value * self.page_size);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Protocol, state, value: `TCP: inuse 1 orphan 0` gives two of them.
fn parse(text: &str) -> Result<Vec<(&str, &str, f64)>, Malformed> {
    let mut fields = Vec::new();
    for line in text.lines() {
        let malformed = || Malformed::at(line);
        let (protocol, rest) = line.split_once(':').ok_or_else(malformed)?;
        let mut words = rest.split_ascii_whitespace();
        while let Some(state) = words.next() {
            let value = words.next().and_then(number).ok_or_else(malformed)?;
            fields.push((protocol, state, value));
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let text = "sockets: used 16\nTCP: inuse 1 mem 32\n";
        let expected = [("sockets", "used", 16.0), ("TCP", "inuse", 1.0), ("TCP", "mem", 32.0)];
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse("TCP: inuse\n"), Err(Malformed::at("TCP: inuse")));
        assert_eq!(parse("TCP inuse 1\n"), Err(Malformed::at("TCP inuse 1")));
    }
}

//! `/proc/meminfo`: every field that the kernel has.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static BYTES: Metric = Metric::gauge(
    "node_memory_*_bytes",
    Unit::Bytes,
    "Memory information field of /proc/meminfo.",
    &[],
);
static COUNT: Metric = Metric::gauge(
    "node_memory_*",
    Unit::None,
    "Memory information field of /proc/meminfo that is a count.",
    &[],
);

/// Collects `/proc/meminfo`.
#[derive(Debug)]
pub(crate) struct Meminfo {
    file: HotFile,
}

impl Meminfo {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("meminfo")) }
    }
}

impl Collector for Meminfo {
    fn name(&self) -> &'static str {
        "meminfo"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&BYTES, &COUNT]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        let mut name = String::new();
        self.file.read(|text| {
            for line in text.lines() {
                let field = parse_line(line)?;
                let metric = if field.bytes { &BYTES } else { &COUNT };
                let mut part = field.name;
                // `Active(anon)` becomes `Active_anon`.
                if let Some((kind, of)) = part.split_once('(') {
                    name.clear();
                    name.extend([kind, "_"]);
                    name.extend(of.chars().filter(|c| *c != ')'));
                    part = &name;
                }
                sink.push_part(metric, part, &[], field.value);
            }
            Ok(())
        })?;
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Field<'a> {
    name: &'a str,
    value: f64,
    /// Whether the value is in bytes, and not a count.
    bytes: bool,
}

fn parse_line(line: &str) -> Result<Field<'_>, Malformed> {
    let malformed = || Malformed::at(line);
    let (name, rest) = line.split_once(':').ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().and_then(number).ok_or_else(malformed)?;
    match words.next() {
        None => Ok(Field { name, value, bytes: false }),
        Some("kB") => Ok(Field { name, value: value * 1024.0, bytes: true }),
        Some(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, f64, bool)>) {
        let field = parse_line(line).ok().map(|field| (field.name, field.value, field.bytes));
        assert_eq!(field, expected);
    }

    #[test]
    fn lines() {
        check("MemTotal:       2 kB", Some(("MemTotal", 2048.0, true)));
        check("HugePages_Free:        3", Some(("HugePages_Free", 3.0, false)));
        check("MemTotal 2 kB", None);
        check("MemTotal: kB", None);
        check("MemTotal: 2 MB", None);
    }
}

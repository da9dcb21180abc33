//! `/proc/vmstat`: paging, swapping, page faults and OOM kills.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::Metric;
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static FIELD: Metric = Metric::untyped("node_vmstat_*", "/proc/vmstat information field.");

/// Collects `/proc/vmstat`.
#[derive(Debug)]
pub(crate) struct Vmstat {
    file: HotFile,
}

impl Vmstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { file: HotFile::new(roots.proc.join("vmstat")) }
    }
}

impl Collector for Vmstat {
    fn name(&self) -> &'static str {
        "vmstat"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&FIELD]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        self.file.read(|text| {
            for (field, value) in parse(text)? {
                sink.push_part(&FIELD, field, &[], value);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// `node_exporter`'s default, `^(oom_kill|pgpg|pswp|pg.*fault).*`.
fn is_wanted(field: &str) -> bool {
    ["oom_kill", "pgpg", "pswp"].iter().any(|start| field.starts_with(start))
        || field.strip_prefix("pg").is_some_and(|rest| rest.contains("fault"))
}

fn parse(text: &str) -> Result<Vec<(&str, f64)>, Malformed> {
    text.lines()
        .filter(|line| line.starts_with('p') || line.starts_with('o'))
        .filter_map(|line| line.split_once(' '))
        .filter(|(field, _)| is_wanted(field))
        .map(|(field, value)| Ok((field, number(value).ok_or_else(|| Malformed::at(field))?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_node_exporter_takes() {
        let text = "nr_free_pages 1\npgpgin 2\npswpout 3\npgfault 4\npgmajfault 5\npgfree 6\n\
            oom_kill 7\nthp_fault_alloc 8\n";
        let expected = [
            ("pgpgin", 2.0),
            ("pswpout", 3.0),
            ("pgfault", 4.0),
            ("pgmajfault", 5.0),
            ("oom_kill", 7.0),
        ];
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        assert_eq!(parse("pgfault many\n"), Err(Malformed::at("pgfault")));
    }
}

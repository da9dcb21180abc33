//! The kernel's table of tracked connections: when it is full, new connections fail.

use crate::error::{CollectError, Malformed};
use crate::file::{HotFile, number};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static ENTRIES: Metric = Metric::gauge(
    "node_nf_conntrack_entries",
    Unit::None,
    "Number of currently allocated flow entries for connection tracking.",
    &[],
);
static LIMIT: Metric = Metric::gauge(
    "node_nf_conntrack_entries_limit",
    Unit::None,
    "Maximum size of connection tracking table.",
    &[],
);

/// Columns of `/proc/net/stat/nf_conntrack` by heading, which differ between kernels.
static STATS: [(&str, Metric); 8] = [
    ("found", stat("node_nf_conntrack_stat_found", "Searched entries which were successful.")),
    ("invalid", stat("node_nf_conntrack_stat_invalid", "Packets which can not be tracked.")),
    (
        "ignore",
        stat("node_nf_conntrack_stat_ignore", "Packets already connected to a conntrack entry."),
    ),
    ("insert", stat("node_nf_conntrack_stat_insert", "Entries inserted into the list.")),
    (
        "insert_failed",
        stat("node_nf_conntrack_stat_insert_failed", "Entries whose insertion failed."),
    ),
    ("drop", stat("node_nf_conntrack_stat_drop", "Packets dropped due to conntrack failure.")),
    (
        "early_drop",
        stat("node_nf_conntrack_stat_early_drop", "Entries dropped to make room for new ones."),
    ),
    (
        "search_restart",
        stat(
            "node_nf_conntrack_stat_search_restart",
            "Lookups restarted as the table was resized.",
        ),
    ),
];

/// They count up, but `node_exporter` calls them gauges.
const fn stat(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::None, help, &[])
}

/// Collects the state of connection tracking.
#[derive(Debug)]
pub(crate) struct Conntrack {
    sizes: [(HotFile, &'static Metric); 2],
    stats: HotFile,
}

impl Conntrack {
    pub(crate) fn new(roots: &Roots) -> Self {
        let hot = |path: &str| HotFile::new(roots.proc.join(path));
        Self {
            sizes: [
                (hot("sys/net/netfilter/nf_conntrack_count"), &ENTRIES),
                (hot("sys/net/netfilter/nf_conntrack_max"), &LIMIT),
            ],
            stats: hot("net/stat/nf_conntrack"),
        }
    }
}

impl Collector for Conntrack {
    fn name(&self) -> &'static str {
        "conntrack"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Fast
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        [&ENTRIES, &LIMIT].into_iter().chain(STATS.iter().map(|(_, metric)| metric)).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        for (file, metric) in &mut self.sizes {
            file.read(|text| {
                let size = number(text.trim()).ok_or_else(|| Malformed::at(text))?;
                sink.push(metric, &[], size);
                Ok(())
            })?;
        }
        self.stats.read(|text| {
            for (metric, total) in parse(text)? {
                sink.push(metric, &[], total as f64);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The columns we know, summed over the CPUs, which have a line each; numbers are hexadecimal.
fn parse(text: &str) -> Result<Vec<(&'static Metric, u64)>, Malformed> {
    let mut lines = text.lines();
    let headings = lines.next().unwrap_or_default().split_ascii_whitespace();
    let mut columns: Vec<_> = headings
        .map(|heading| STATS.iter().find(|(name, _)| *name == heading))
        .map(|known| (known.map(|(_, metric)| metric), 0_u64))
        .collect();
    for line in lines {
        for ((_, total), word) in columns.iter_mut().zip(line.split_ascii_whitespace()) {
            let count = u64::from_str_radix(word, 16).map_err(|_| Malformed::at(line))?;
            *total = total.wrapping_add(count);
        }
    }
    Ok(columns.into_iter().filter_map(|(metric, total)| Some((metric?, total))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_summed_by_heading() {
        let text = "entries clashres drop found\n00000009 0 0000000f 1\n00000009 0 00000001 0\n";
        let totals = parse(text).unwrap();
        let seen: Vec<_> = totals.iter().map(|(metric, total)| (metric.name, *total)).collect();
        let expected = [("node_nf_conntrack_stat_drop", 16), ("node_nf_conntrack_stat_found", 1)];
        assert_eq!(seen, expected);
        assert_eq!(parse("drop\nxyz\n"), Err(Malformed::at("xyz")));
        assert_eq!(parse(""), Ok(Vec::new()));
    }
}

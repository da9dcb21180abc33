//! The reference of metrics, made from their tables.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::metric::Metric;
use crate::registry::{Cadence, OWN_METRICS};
use crate::roots::Roots;

const HEAD: &str = "\
# Metrics of a host

Made from the tables in `crates/collectors`; a test compares it with them (`UPDATE_EXPECT=1 cargo test -p
muster-collectors` writes it anew). The server adds `job=\"node\"` and `instance` to every series.
A `*` in a name stands for a part that the kernel gives. Fast collectors run with every tick, medium ones
every ten seconds, slow ones every half minute.
";

/// `docs/metrics.md`.
pub fn documentation() -> String {
    let mut text = HEAD.to_owned();
    for collector in crate::all(&Roots::default()) {
        let cadence = match collector.cadence() {
            Cadence::Fast => "fast",
            Cadence::Medium => "medium",
            Cadence::Slow => "slow",
        };
        table(&mut text, &format!("{} ({cadence})", collector.name()), &collector.metrics());
    }
    table(&mut text, "The collectors themselves", &OWN_METRICS);
    text
}

fn table(text: &mut String, title: &str, metrics: &[&Metric]) {
    let _ =
        write!(text, "\n## {title}\n\n| name | type | unit | labels | |\n|---|---|---|---|---|\n");
    for metric in metrics {
        let Metric { name, kind, unit, help, labels } = metric;
        let labels = labels.join(", ");
        let _ = writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {help} |");
    }
}

/// What is known about a metric by its name, a member of a group included.
pub fn metric_of(name: &str) -> Option<&'static Metric> {
    static METRICS: LazyLock<Vec<&'static Metric>> = LazyLock::new(|| {
        let collectors = crate::all(&Roots::default());
        let own = OWN_METRICS.into_iter();
        collectors.iter().flat_map(|collector| collector.metrics()).chain(own).collect()
    });
    // The longest pattern is the closest: `node_memory_*_bytes` before `node_memory_*`.
    METRICS
        .iter()
        .filter(|metric| metric.covers(name))
        .max_by_key(|metric| metric.name.len())
        .copied()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use expect_test::expect_file;

    use super::*;

    #[test]
    fn the_reference_is_what_the_tables_say() {
        expect_file!["../../../docs/metrics.md"].assert_eq(&documentation());
    }

    #[test]
    fn names_are_unique_and_tables_read_well() {
        let mut seen = HashSet::new();
        for collector in crate::all(&Roots::default()) {
            assert!(seen.insert(collector.name()), "collector {} twice", collector.name());
            for metric in collector.metrics() {
                assert!(seen.insert(metric.name), "{} twice", metric.name);
                assert!(!metric.help.is_empty() && !metric.help.contains('|'), "{}", metric.name);
            }
        }
    }

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(metric_of(name).map(|metric| metric.name), expected);
    }

    #[test]
    fn the_closest_pattern_wins() {
        check("node_memory_MemFree_bytes", Some("node_memory_*_bytes"));
        check("node_memory_HugePages_Free", Some("node_memory_*"));
        check("node_load1", Some("node_load1"));
        check("node_load", None);
    }
}

//! What `/metrics` tells of the evaluation of rules, one series a group, as Prometheus does.

use muster_alerting::{Group, Judge};
use muster_exposition::Family;
use muster_exposition::Kind::{self, Counter, Gauge};

/// A metric of a group: its name, kind, one sentence for people, and where its value comes from.
type Row = (&'static str, Kind, &'static str, fn(&Group) -> f64);

const GROUPS: [Row; 7] = [
    ("muster_rule_evaluations_total", Counter, "Rules that were evaluated.", |group| {
        group.rules.iter().map(|rule| rule.last().count).sum::<u64>() as f64
    }),
    ("muster_rule_evaluation_failures_total", Counter, "Evaluations that failed.", |group| {
        group.rules.iter().map(|rule| rule.last().failed).sum::<u64>() as f64
    }),
    ("muster_rule_evaluation_seconds_total", Counter, "Time that evaluations took.", |group| {
        group.rules.iter().map(|rule| rule.last().total_seconds).sum()
    }),
    (
        "muster_rule_group_iterations_missed_total",
        Counter,
        "Turns of the group that were not evaluated in time.",
        |group| group.timing.missed as f64,
    ),
    (
        "muster_rule_group_last_duration_seconds",
        Gauge,
        "How long the last turn of the group took.",
        |group| group.rules.iter().map(|rule| rule.last().seconds).sum(),
    ),
    ("muster_rule_group_interval_seconds", Gauge, "How often it is its turn.", |group| {
        group.timing.interval_ms as f64 / 1e3
    }),
    ("muster_rule_group_rules", Gauge, "Rules of the group.", |group| group.rules.len() as f64),
];

/// All of them.
pub(super) fn families(judge: &Judge) -> Vec<Family> {
    let family = |(name, kind, help, value): &Row| {
        let mut family = Family::new(name, *kind, help);
        for group in judge.groups() {
            let key = format!("{};{}", group.file, group.name);
            family
                .push([("rule_group", key.as_str())], value(group))
                .expect("one label with a name");
        }
        family
    };
    GROUPS.iter().map(family).collect()
}

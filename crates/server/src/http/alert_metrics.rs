//! What `/metrics` tells of alerts.

use muster_exposition::Family;
use muster_exposition::Kind::{self, Counter, Gauge};

use crate::alarms::{Alarms, counts};

/// All of them.
pub(super) fn families(alarms: &Alarms) -> Vec<Family> {
    let (counts, refused, silences) =
        alarms.look(|core| (counts(core), core.refused(), core.silences().count()));
    let mut alerts = Family::new(
        "muster_alerts",
        Gauge,
        "Alerts by what is the matter with them; those that nobody is told of are hushed.",
    );
    for (state, count) in [
        ("critical", counts.critical),
        ("warning", counts.warning),
        ("info", counts.info),
        ("pending", counts.pending),
        ("hushed", counts.hushed),
    ] {
        alerts.push([("state", state)], count as f64).expect("one label with a name");
    }
    let figures = &alarms.figures;
    let one = |name: &str, kind: Kind, help: &str, value: u64| {
        let mut family = Family::new(name, kind, help);
        family.push([], value as f64).expect("no label is wrong");
        family
    };
    vec![
        alerts,
        one("muster_silences", Gauge, "Silences, those that are over included.", silences as u64),
        one(
            "muster_alerts_waiting",
            Gauge,
            "Alerts that were posted and not yet looked at.",
            alarms.waiting() as u64,
        ),
        one(
            "muster_alerts_refused_total",
            Counter,
            "Alerts that were left out as there are too many.",
            refused,
        ),
        one(
            "muster_notifications_decided_total",
            Counter,
            "Notifications that were decided, one for each receiver.",
            figures.decided.get(),
        ),
        one(
            "muster_alert_commits_total",
            Counter,
            "Transactions that wrote down what was decided about alerts.",
            figures.commits.get(),
        ),
        one(
            "muster_alert_commits_failed_total",
            Counter,
            "Transactions that failed; each is tried again.",
            figures.failed_commits.get(),
        ),
        one(
            "muster_alert_records_refused_total",
            Counter,
            "What was decided about alerts and left out because the database refuses it.",
            figures.refused_records.get(),
        ),
        one(
            "muster_alert_records_unreadable_total",
            Counter,
            "What was known of alerts and could not be read at the start.",
            figures.unreadable_records.get(),
        ),
    ]
}

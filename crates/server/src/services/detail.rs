//! What only the rows in sight show: since when a service is in its state, and what it takes.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use muster_api::{Service, ServiceHealth, ServiceKind};

use super::{Key, key, keyed};
use crate::ask::window;
use crate::store::MetricStore;

/// How far back the begin of a state is looked for.
const SINCE: &str = "1d";

/// Fills the fields of these services that [`super::Snapshot`] leaves empty.
pub(super) fn fill(store: &dyn MetricStore, now_ms: i64, services: &mut [Service]) {
    if services.is_empty() {
        return;
    }
    let all = chosen(services.iter());
    let value = |expression: String| keyed(store, &expression, now_ms);
    let memory = value(format!("muster_systemd_unit_memory_bytes{{{all}}}"));
    let cpu = value(format!("100 * rate(muster_systemd_unit_cpu_seconds_total{{{all}}}[2m])"));
    let units = value(format!("node_systemd_unit_start_time_seconds{{{all}}}"));
    let processes = value(format!("muster_named_process_start_time_seconds{{{all}}}"));
    let steady = |service: &Service| service.state == "active";
    let begins = begins(store, now_ms, services.iter().filter(|service| !steady(service)));
    for service in services {
        let key = (service.instance.clone(), service.name.clone());
        service.memory_bytes = memory.get(&key).copied();
        service.cpu_percent = cpu.get(&key).copied();
        let started = match service.kind {
            ServiceKind::Unit => units.get(&key),
            ServiceKind::Process => processes.get(&key),
        };
        service.since_ms = if steady(service) {
            started.filter(|at_s| **at_s > 0.0).map(|at_s| (at_s * 1000.0) as i64)
        } else {
            begins.get(&key).copied()
        };
    }
}

/// When the states of services that do not run began, as far as a day of samples tells.
fn begins<'a>(
    store: &dyn MetricStore,
    now_ms: i64,
    services: impl Iterator<Item = &'a Service>,
) -> HashMap<Key, i64> {
    let mut found = HashMap::new();
    let mut by_state: HashMap<(bool, &str), Vec<&Service>> = HashMap::new();
    for service in services {
        // What is meant to be at rest has been so for long; its begin is not worth a day of samples.
        if service.health != ServiceHealth::Inactive {
            let kind = (service.kind == ServiceKind::Unit, service.state.as_str());
            by_state.entry(kind).or_default().push(service);
        }
    }
    for ((is_unit, state), services) in by_state {
        let chosen = chosen(services.into_iter());
        let expression = if is_unit {
            format!("node_systemd_unit_state{{{chosen},state=\"{state}\"}}[{SINCE}]")
        } else {
            format!("muster_named_processes{{{chosen}}}[{SINCE}]")
        };
        // A state holds while the series is 1; a process is missing while it is 0.
        let holds = |value: f64| (value > 0.0) == is_unit;
        for series in window(store, &expression, now_ms) {
            let begin_ms = begin(&series.timestamps, &series.values, holds);
            if let (Some(key), Some(begin_ms)) = (key(&series.labels), begin_ms) {
                found.insert(key, begin_ms);
            }
        }
    }
    found
}

/// The first sample of the last run in which a state holds; none where it holds from the first sample on.
fn begin(times_ms: &[i64], values: &[f64], holds: impl Fn(f64) -> bool) -> Option<i64> {
    let other = values.iter().rposition(|value| !holds(*value))?;
    times_ms.get(other + 1).copied()
}

/// Matchers that let these services through; others of the same hosts and names may come along.
fn chosen<'a>(services: impl Iterator<Item = &'a Service>) -> String {
    let (mut instances, mut names) = (BTreeSet::new(), BTreeSet::new());
    for service in services {
        instances.insert(service.instance.as_str());
        names.insert(service.name.as_str());
    }
    format!("instance=~\"{}\",name=~\"{}\"", alternatives(&instances), alternatives(&names))
}

/// A regular expression, as it stands in a PromQL string, for exactly these texts.
fn alternatives(texts: &BTreeSet<&str>) -> String {
    let mut expression = String::new();
    for (place, text) in texts.iter().enumerate() {
        if place > 0 {
            expression.push('|');
        }
        for letter in text.chars() {
            match letter {
                letter if letter.is_alphanumeric() || matches!(letter, '_' | '-') => {
                    expression.push(letter);
                }
                letter => {
                    let _ = write!(expression, "\\\\x{{{:x}}}", letter as u32);
                }
            }
        }
    }
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_begins_where_its_last_run_does() {
        let times = [10, 20, 30, 40, 50];
        let check = |values: [f64; 5], expected| {
            assert_eq!(begin(&times, &values, |value| value > 0.0), expected, "{values:?}");
        };
        check([0.0, 1.0, 0.0, 1.0, 1.0], Some(40));
        check([0.0, 0.0, 0.0, 0.0, 1.0], Some(50));
        check([1.0, 1.0, 1.0, 1.0, 1.0], None);
        check([1.0, 1.0, 1.0, 1.0, 0.0], None);
    }

    #[test]
    fn names_are_matched_as_they_are() {
        let names = BTreeSet::from(["-.mount", "a\"|b\\d", "postgresql@15-main.service"]);
        let expression = format!("up{{name=~\"{}\"}}", alternatives(&names));
        assert!(muster_promql::parse(&expression).is_ok(), "{expression}");
        assert_eq!(alternatives(&BTreeSet::from(["a.b"])), "a\\\\x{2e}b");
    }
}

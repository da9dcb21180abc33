//! Services of the whole fleet: units of systemd and processes watched by name, worst first.
//!
//! A fleet has tens of thousands of them. What decides their order is computed for all at once and shared by everybody who
//! looks ([`Services`]); what only rows in sight show is asked for those rows alone ([`detail`]).

mod detail;
mod wanted;

pub(crate) use wanted::Wanted;

use std::collections::HashMap;
use std::sync::Arc;

use muster_api::{Service, ServiceCounts, ServiceHealth, ServiceKind, ServiceList};
use muster_series::Labels;

use crate::app::App;
use crate::ask::vector;
use crate::latest::Latest;
use crate::store::MetricStore;

/// For how long the computed services are handed out again, in milliseconds. A fleet of a thousand hosts has some 40,000.
const FRESH_MS: i64 = 4_000;
const HOUR_MS: i64 = 3_600_000;
/// From so many restarts an hour on a service flaps; one may have been meant.
const FLAPPING_RESTARTS: f64 = 2.0;

/// The shared result.
#[derive(Default)]
pub(crate) struct Services {
    newest: Arc<Latest<Arc<Snapshot>>>,
}

/// All services at a moment, worst first.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    now_ms: i64,
    all: Vec<Service>,
}

impl Services {
    /// The services that are wanted; none if their computation failed.
    pub(crate) async fn list(&self, app: &Arc<App>, wanted: Wanted) -> Option<ServiceList> {
        let computing = Arc::clone(app);
        let compute = move || Arc::new(compute(&*computing.store, computing.clock.now_ms()));
        let snapshot = self.newest.get(&app.clock, FRESH_MS, compute).await;
        let asked = Arc::clone(app);
        let answer = tokio::task::spawn_blocking(move || {
            let snapshot = snapshot?;
            let mut list = wanted::part(snapshot.now_ms, &snapshot.all, &wanted);
            detail::fill(&*asked.store, snapshot.now_ms, &mut list.services);
            Some(list)
        });
        answer.await.ok().flatten().or_else(|| {
            app.counters.panics.add(1);
            None
        })
    }
}

fn compute(store: &dyn MetricStore, now_ms: i64) -> Snapshot {
    let mut all = units(store, now_ms);
    all.extend(processes(store, now_ms));
    all.sort_by(|one, other| {
        (one.health.cmp(&other.health))
            .then(other.restarts.total_cmp(&one.restarts))
            .then_with(|| one.name.cmp(&other.name))
            .then_with(|| one.instance.cmp(&other.instance))
    });
    Snapshot { now_ms, all }
}

/// Host and name of a service.
type Key = (String, String);

fn key(labels: &Labels) -> Option<Key> {
    Some((labels.get("instance")?.to_owned(), labels.get("name")?.to_owned()))
}

fn units(store: &dyn MetricStore, now_ms: i64) -> Vec<Service> {
    let mut restarts = increases(store, "node_systemd_service_restart_total", now_ms);
    let failures = r#"muster_systemd_unit_result{result!="success"} == 1"#;
    let mut results: HashMap<Key, String> = vector(store, failures, now_ms)
        .iter()
        .filter_map(|(labels, _)| Some((key(labels)?, labels.get("result")?.to_owned())))
        .collect();
    let mut codes = keyed(store, "muster_systemd_unit_exit_code > 0", now_ms);
    let mut signals = keyed(store, "muster_systemd_unit_exit_signal > 0", now_ms);
    let mut found: HashMap<Key, Service> = HashMap::new();
    for (labels, _) in vector(store, "node_systemd_unit_state == 1", now_ms) {
        let (Some(key), Some(state)) = (key(&labels), labels.get("state")) else {
            continue;
        };
        let count = restarts.remove(&key).unwrap_or(0.0);
        let service = Service {
            state: state.to_owned(),
            health: health(state, count),
            restarts: count,
            result: results.remove(&key),
            exit_code: codes.remove(&key),
            exit_signal: signals.remove(&key),
            ..bare(&key, ServiceKind::Unit)
        };
        // Around a change both states may still be told; the worse one is the news.
        match found.get(&key) {
            Some(known) if known.health <= service.health => {}
            _ => {
                found.insert(key, service);
            }
        }
    }
    found.into_values().collect()
}

fn processes(store: &dyn MetricStore, now_ms: i64) -> Vec<Service> {
    let mut exits = increases(store, "muster_named_process_exits_total", now_ms);
    keyed(store, "muster_named_processes", now_ms)
        .into_iter()
        .map(|(key, running)| {
            let state = if running > 0.0 { "active" } else { "missing" };
            let count = exits.remove(&key).unwrap_or(0.0);
            Service {
                state: state.to_owned(),
                health: health(state, count),
                restarts: count,
                ..bare(&key, ServiceKind::Process)
            }
        })
        .collect()
}

fn bare((instance, name): &Key, kind: ServiceKind) -> Service {
    Service {
        instance: instance.clone(),
        name: name.clone(),
        kind,
        state: String::new(),
        health: ServiceHealth::Active,
        since_ms: None,
        restarts: 0.0,
        result: None,
        exit_code: None,
        exit_signal: None,
        memory_bytes: None,
        cpu_percent: None,
    }
}

/// What a state and a number of restarts within an hour mean.
fn health(state: &str, restarts: f64) -> ServiceHealth {
    match state {
        "failed" | "missing" => ServiceHealth::Failed,
        _ if restarts >= FLAPPING_RESTARTS => ServiceHealth::Flapping,
        "active" => ServiceHealth::Active,
        "inactive" => ServiceHealth::Inactive,
        _ => ServiceHealth::Changing,
    }
}

/// What each counter has grown by within an hour: the counts at both ends tell it, and cost no reading of what lies between.
fn increases(store: &dyn MetricStore, metric: &str, now_ms: i64) -> HashMap<Key, f64> {
    let before = keyed(store, metric, now_ms - HOUR_MS);
    keyed(store, &format!("{metric} > 0"), now_ms)
        .into_iter()
        .map(|(key, now)| {
            // Who was not known an hour ago may have counted for long.
            let then = before.get(&key).copied().unwrap_or(now);
            let grown = if now >= then { now - then } else { now };
            (key, grown)
        })
        .collect()
}

fn keyed(store: &dyn MetricStore, expression: &str, now_ms: i64) -> HashMap<Key, f64> {
    vector(store, expression, now_ms)
        .iter()
        .filter_map(|(labels, value)| Some((key(labels)?, *value)))
        .collect()
}

/// Adds one to the count of a health.
fn count(counts: &mut ServiceCounts, health: ServiceHealth) {
    let one = match health {
        ServiceHealth::Failed => &mut counts.failed,
        ServiceHealth::Flapping => &mut counts.flapping,
        ServiceHealth::Changing => &mut counts.changing,
        ServiceHealth::Inactive => &mut counts.inactive,
        ServiceHealth::Active => &mut counts.active,
    };
    *one += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_and_its_restarts_make_the_health() {
        assert_eq!(health("failed", 9.0), ServiceHealth::Failed);
        assert_eq!(health("missing", 0.0), ServiceHealth::Failed);
        assert_eq!(health("active", 2.0), ServiceHealth::Flapping);
        assert_eq!(health("activating", 5.0), ServiceHealth::Flapping);
        assert_eq!(health("active", 1.0), ServiceHealth::Active);
        assert_eq!(health("inactive", 0.0), ServiceHealth::Inactive);
        assert_eq!(health("deactivating", 0.0), ServiceHealth::Changing);
        assert!(ServiceHealth::Failed < ServiceHealth::Active, "the worst comes first");
    }
}

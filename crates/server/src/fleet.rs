//! The fleet's newest figures, one row a host, computed by PromQL over all hosts at once.
//!
//! Everybody who looks shares one result: it is made anew when it is older than [`FRESH_MS`] and somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use muster_api::{Disk, Host, HostList, HostState};
use muster_promql::Value;
use muster_series::Labels;

use crate::app::App;
use crate::latest::Latest;
use crate::roster::Entry;
use crate::store::{MetricStore, QueryRun};

/// For how long a computed list is handed out again, in milliseconds.
const FRESH_MS: i64 = 1_500;

/// Network devices that do not leave the host.
const INNER_DEVICES: &str = "lo|veth.*|docker.*|br-.*|virbr.*|cni.*|flannel.*|cali.*";
/// File systems that hold no data of their own.
const PSEUDO_FILE_SYSTEMS: &str =
    "tmpfs|ramfs|devtmpfs|squashfs|overlay|iso9660|efivarfs|fuse\\\\..*|nsfs";

/// Which figure of a row an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Cpu,
    Cpus,
    Memory,
    MemoryTotal,
    Swap,
    Load,
    Receive,
    Transmit,
    BootTime,
}

/// The expressions, each with one series a host.
fn expressions() -> [(Figure, String); 9] {
    [
        (
            Figure::Cpu,
            "100 * (1 - avg by (instance) (irate(node_cpu_seconds_total{mode=\"idle\"}[30s])))"
                .into(),
        ),
        (Figure::Cpus, "count by (instance) (node_cpu_seconds_total{mode=\"idle\"})".into()),
        (
            Figure::Memory,
            "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)".into(),
        ),
        (Figure::MemoryTotal, "node_memory_MemTotal_bytes".into()),
        (
            Figure::Swap,
            "100 * (1 - node_memory_SwapFree_bytes / (node_memory_SwapTotal_bytes > 0))".into(),
        ),
        (Figure::Load, "node_load1".into()),
        (Figure::Receive, network("receive")),
        (Figure::Transmit, network("transmit")),
        (Figure::BootTime, "node_boot_time_seconds * 1000".into()),
    ]
}

fn network(direction: &str) -> String {
    format!(
        "sum by (instance) (irate(node_network_{direction}_bytes_total{{device!~\"{INNER_DEVICES}\"}}[30s]))"
    )
}

fn disk_expression(what: &str) -> String {
    format!("node_filesystem_{what}_bytes{{fstype!~\"{PSEUDO_FILE_SYSTEMS}\"}}")
}

/// All hosts at a moment.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) list: Arc<HostList>,
    /// The list as JSON.
    pub(crate) json: Bytes,
}

impl Snapshot {
    fn new(list: HostList) -> Self {
        let json = serde_json::to_vec(&list).expect("a list of hosts is JSON, and memory takes it");
        Self { list: Arc::new(list), json: json.into() }
    }
}

/// The shared result.
#[derive(Default)]
pub(crate) struct Fleet {
    newest: Arc<Latest<Snapshot>>,
}

impl Fleet {
    /// All hosts with figures not older than [`FRESH_MS`].
    pub(crate) async fn hosts(&self, app: &Arc<App>) -> Snapshot {
        let computing = Arc::clone(app);
        let compute = move || Snapshot::new(compute(&computing));
        let made = self.newest.get(&app.clock, FRESH_MS, compute).await;
        made.unwrap_or_else(|| {
            app.counters.panics.add(1);
            Snapshot::new(HostList { now_ms: app.clock.now_ms(), hosts: vec![], removed: vec![] })
        })
    }
}

fn compute(app: &App) -> HostList {
    let now_ms = app.clock.now_ms();
    let mut hosts: BTreeMap<Arc<str>, Host> = app
        .roster
        .all()
        .iter()
        .map(|entry| (Arc::clone(&entry.instance), bare_host(entry)))
        .collect();
    for (figure, expression) in expressions() {
        for (labels, value) in vector(&*app.store, &expression, now_ms) {
            if let Some(host) = labels.get("instance").and_then(|name| hosts.get_mut(name)) {
                set(host, figure, value);
            }
        }
    }
    for (instance, disk) in worst_disks(&*app.store, now_ms) {
        if let Some(host) = hosts.get_mut(&*instance) {
            host.worst_disk = Some(disk);
        }
    }
    HostList { now_ms, hosts: hosts.into_values().collect(), removed: Vec::new() }
}

fn bare_host(entry: &Entry) -> Host {
    let presence = entry.presence();
    let text = |pick: fn(&crate::roster::HostFacts) -> &String| {
        presence.facts.as_ref().map(pick).filter(|text| !text.is_empty()).cloned()
    };
    Host {
        instance: entry.instance.to_string(),
        state: if presence.connected { HostState::Up } else { HostState::Silent },
        state_since_ms: presence.since_ms,
        last_sample_ms: Some(*entry.newest().borrow()).filter(|&ms| ms > 0),
        agent_version: text(|facts| &facts.agent_version),
        os: text(|facts| &facts.os.pretty_name),
        kernel: text(|facts| &facts.os.kernel),
        architecture: text(|facts| &facts.os.arch),
        cpus: None,
        memory_bytes: None,
        boot_time_ms: None,
        cpu_percent: None,
        memory_percent: None,
        swap_percent: None,
        load1: None,
        receive_bytes_per_second: None,
        transmit_bytes_per_second: None,
        worst_disk: None,
    }
}

fn set(host: &mut Host, figure: Figure, value: f64) {
    match figure {
        // The kernel's idle counter may step back a little, which would show as less than nothing.
        Figure::Cpu => host.cpu_percent = Some(value.clamp(0.0, 100.0)),
        Figure::Cpus => host.cpus = Some(value),
        Figure::Memory => host.memory_percent = Some(value),
        Figure::MemoryTotal => host.memory_bytes = Some(value),
        Figure::Swap => host.swap_percent = Some(value),
        Figure::Load => host.load1 = Some(value),
        Figure::Receive => host.receive_bytes_per_second = Some(value),
        Figure::Transmit => host.transmit_bytes_per_second = Some(value),
        Figure::BootTime => host.boot_time_ms = Some(value as i64),
    }
}

/// The finite values of an expression; an expression that fails is logged and gives none.
fn vector(store: &dyn MetricStore, expression: &str, now_ms: i64) -> Vec<(Labels, f64)> {
    match store.query_instant(expression, now_ms, &QueryRun::default()).map(|done| done.value) {
        Ok(Value::Vector(samples)) => samples
            .into_iter()
            .filter(|sample| sample.value.is_finite())
            .map(|sample| (sample.labels, sample.value))
            .collect(),
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::error!(expression, %error, "a figure of the fleet could not be computed");
            Vec::new()
        }
    }
}

/// The fullest file system of each host.
fn worst_disks(store: &dyn MetricStore, now_ms: i64) -> BTreeMap<String, Disk> {
    let mut free: BTreeMap<Labels, f64> = keyed(store, "free", now_ms);
    let mut available: BTreeMap<Labels, f64> = keyed(store, "avail", now_ms);
    let mut worst: BTreeMap<String, Disk> = BTreeMap::new();
    for (labels, size) in keyed(store, "size", now_ms) {
        let (Some(free), Some(available)) = (free.remove(&labels), available.remove(&labels))
        else {
            continue;
        };
        let (Some(instance), Some(mountpoint)) = (labels.get("instance"), labels.get("mountpoint"))
        else {
            continue;
        };
        let Some(used_percent) = used_percent(size, free, available) else {
            continue;
        };
        let disk = Disk {
            mountpoint: mountpoint.to_owned(),
            used_percent,
            size_bytes: size,
            available_bytes: available,
        };
        match worst.get(instance) {
            Some(known) if known.used_percent >= used_percent => {}
            _ => {
                worst.insert(instance.to_owned(), disk);
            }
        }
    }
    worst
}

fn keyed(store: &dyn MetricStore, what: &str, now_ms: i64) -> BTreeMap<Labels, f64> {
    vector(store, &disk_expression(what), now_ms)
        .into_iter()
        .map(|(labels, value)| (labels.without_metric_name(), value))
        .collect()
}

/// Used as `df` counts it: blocks kept for root are neither used nor available.
fn used_percent(size: f64, free: f64, available: f64) -> Option<f64> {
    let used = size - free;
    let usable = used + available;
    (size > 0.0 && usable > 0.0).then(|| (100.0 * used / usable).clamp(0.0, 100.0))
}

/// What changed from one list to the next: changed and new hosts, and names that are gone.
pub(crate) fn changes(before: &HostList, after: &HostList) -> HostList {
    let known: BTreeMap<&str, &Host> =
        before.hosts.iter().map(|host| (host.instance.as_str(), host)).collect();
    let present: std::collections::BTreeSet<&str> =
        after.hosts.iter().map(|host| host.instance.as_str()).collect();
    HostList {
        now_ms: after.now_ms,
        hosts: after
            .hosts
            .iter()
            .filter(|host| known.get(host.instance.as_str()) != Some(host))
            .cloned()
            .collect(),
        removed: known
            .into_keys()
            .filter(|instance| !present.contains(instance))
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{HostFacts, Roster};

    fn host(instance: &str, load1: f64) -> Host {
        let roster = Roster::default();
        let hold = roster.hold(instance, HostFacts::default(), 1).unwrap();
        Host { load1: Some(load1), ..bare_host(&hold.entry) }
    }

    fn list(hosts: &[(&str, f64)]) -> HostList {
        let hosts = hosts.iter().map(|(name, load)| host(name, *load)).collect();
        HostList { now_ms: 0, hosts, removed: vec![] }
    }

    #[test]
    fn a_stream_tells_only_what_changed() {
        let changed = changes(
            &list(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]),
            &list(&[("a", 1.0), ("b", 2.0), ("d", 1.0)]),
        );
        let names: Vec<&str> = changed.hosts.iter().map(|host| host.instance.as_str()).collect();
        assert_eq!(names, ["b", "d"]);
        assert_eq!(changed.removed, ["c"]);
    }

    #[test]
    fn used_is_counted_as_df_does() {
        let used = used_percent(100.0, 20.0, 15.0).unwrap();
        assert!((used - 84.210_526).abs() < 1e-6, "{used}");
        assert_eq!(used_percent(0.0, 0.0, 0.0), None);
    }

    #[test]
    fn every_expression_is_valid() {
        let disks = ["size", "free", "avail"].map(disk_expression);
        for text in expressions().into_iter().map(|(_, text)| text).chain(disks) {
            assert!(muster_promql::parse(&text).is_ok(), "{text}");
        }
    }
}

//! What the rules that come with Muster cost: a turn of all of them over the real engine, for many hosts.
//!
//! `cargo test --release -p muster-server --test built_in_cost -- --ignored --nocapture`; `HOSTS=10000` for as many hosts. It
//! prints seconds of processor time, of which a turn takes so many every 15 s, and the dearest expressions.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use muster_alerting::{Context, Judge, Sample, Thresholds, catalogue};
use muster_environment::ManualClock;
use muster_promql::Value;
use muster_series::Labels;
use muster_server::{Embedded, MetricStore, QueryRun};
use muster_tsdb::{Options, SeriesId, WriteBatch};

const NOW_MS: i64 = 1_790_000_000_000;
const MINUTE_MS: i64 = 60_000;

/// A metric of a host: its name, one label with all values that it has, and how its series go on.
type Metric = (&'static str, &'static str, &'static [&'static str], Course);

/// The value of a healthy host's series.
#[derive(Clone, Copy)]
enum Course {
    Still(f64),
    /// Grows by so much a second.
    Grows(f64),
}

use Course::{Grows, Still};

const ONE: &[&str] = &[""];
const DISKS: &[&str] = &["sda", "nvme0n1"];
const MOUNTS: &[&str] = &["/", "/var", "/home"];
const LINKS: &[&str] = &["eth0", "eth1", "lo"];
const CORES: &[&str] = &["0", "1", "2", "3"];
const UNITS: &[&str] = &[
    "ssh.service",
    "cron.service",
    "nginx.service",
    "docker.service",
    "dbus.service",
    "chrony.service",
    "rsyslog.service",
    "web.service",
    "db.service",
    "cache.service",
];

/// What a host tells that the rules read.
const METRICS: &[Metric] = &[
    ("up", "", ONE, Still(1.0)),
    ("muster_host_silent_seconds", "", ONE, Still(0.0)),
    ("muster_agent_outdated", "", ONE, Still(0.0)),
    ("muster_agent_spool_bytes", "", ONE, Still(0.0)),
    ("muster_agent_slowdown", "", ONE, Still(0.0)),
    ("muster_agent_dropped_samples_total", "", ONE, Still(0.0)),
    ("muster_agent_clock_offset_seconds", "", ONE, Still(0.001)),
    ("node_boot_time_seconds", "", ONE, Still(1.78e9)),
    ("node_reboot_required", "", ONE, Still(0.0)),
    ("node_pressure_cpu_waiting_seconds_total", "", ONE, Grows(0.1)),
    ("node_pressure_memory_waiting_seconds_total", "", ONE, Grows(0.01)),
    ("node_load15", "", ONE, Still(1.5)),
    ("node_cpu_seconds_total", "cpu", CORES, Grows(0.8)),
    ("node_memory_MemAvailable_bytes", "", ONE, Still(6e9)),
    ("node_memory_MemTotal_bytes", "", ONE, Still(1e10)),
    ("node_vmstat_pswpin", "", ONE, Grows(1.0)),
    ("node_timex_maxerror_seconds", "", ONE, Still(0.01)),
    ("node_timex_sync_status", "", ONE, Still(1.0)),
    ("node_filefd_allocated", "", ONE, Still(2000.0)),
    ("node_filefd_maximum", "", ONE, Still(1e6)),
    ("node_processes_threads", "", ONE, Still(400.0)),
    ("node_processes_max_processes", "", ONE, Still(4e6)),
    ("node_nf_conntrack_entries", "", ONE, Still(100.0)),
    ("node_nf_conntrack_entries_limit", "", ONE, Still(65536.0)),
    ("node_hwmon_temp_celsius", "sensor", CORES, Still(50.0)),
    ("node_hwmon_temp_crit_celsius", "sensor", CORES, Still(100.0)),
    ("node_filesystem_avail_bytes", "mountpoint", MOUNTS, Still(5e10)),
    ("node_filesystem_size_bytes", "mountpoint", MOUNTS, Still(1e11)),
    ("node_filesystem_files_free", "mountpoint", MOUNTS, Still(5e6)),
    ("node_filesystem_files", "mountpoint", MOUNTS, Still(1e7)),
    ("node_filesystem_readonly", "mountpoint", MOUNTS, Still(0.0)),
    ("node_disk_read_time_seconds_total", "device", DISKS, Grows(0.01)),
    ("node_disk_reads_completed_total", "device", DISKS, Grows(20.0)),
    ("muster_disk_online", "device", DISKS, Still(1.0)),
    ("muster_disk_errors_total", "device", DISKS, Still(0.0)),
    ("node_network_receive_errs_total", "device", LINKS, Still(0.0)),
    ("node_network_receive_packets_total", "device", LINKS, Grows(900.0)),
    ("node_network_carrier_changes_total", "device", LINKS, Still(2.0)),
    ("node_systemd_service_restart_total", "name", UNITS, Still(0.0)),
];
/// Units have a series for each state.
const STATES: [&str; 5] = ["active", "activating", "deactivating", "failed", "inactive"];

fn add(store: &Embedded, pairs: &[(&str, &str)], host: &str) -> SeriesId {
    let pairs = pairs.iter().filter(|(name, _)| !name.is_empty()).copied();
    let labels = Labels::from_pairs(pairs).unwrap().with("instance", host).with("job", "node");
    store.series(&labels).unwrap()
}

fn host_series(store: &Embedded, host: &str) -> Vec<(SeriesId, Course)> {
    let mut all = Vec::new();
    for &(name, label, values, course) in METRICS {
        for value in values {
            let extra = match name {
                "node_cpu_seconds_total" => ("mode", "idle"),
                "muster_disk_errors_total" => ("kind", "timeout"),
                name if name.starts_with("node_filesystem") => ("fstype", "ext4"),
                _ => ("", ""),
            };
            all.push((add(store, &[("__name__", name), (label, value), extra], host), course));
        }
    }
    for unit in UNITS {
        for state in STATES {
            let labels = [
                ("__name__", "node_systemd_unit_state"),
                ("name", unit),
                ("state", state),
                ("type", "simple"),
            ];
            let is_active = f64::from(u8::from(state == "active"));
            all.push((add(store, &labels, host), Still(is_active)));
        }
    }
    all
}

/// Tells all series at an instant.
fn tell(store: &Embedded, series: &[(SeriesId, Course)], at_ms: i64) {
    let value = |course: Course| match course {
        Still(value) => value,
        Grows(pace) => pace * (at_ms - NOW_MS + 2 * 3_600_000) as f64 / 1e3,
    };
    for part in series.chunks(50_000) {
        let (sender, done) = mpsc::channel();
        let samples = part.iter().map(|&(id, course)| (id, value(course)));
        let batch = WriteBatch::scrape(at_ms, samples);
        store.append(batch, Box::new(move |result| sender.send(result).unwrap()));
        done.recv().unwrap().unwrap();
    }
}

/// Processor time of all threads, in seconds, to a hundredth: a query may use several, and what the store does meanwhile
/// counts as well.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|text| text.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

#[test]
#[ignore = "a measurement, not a test"]
fn a_turn_of_all_rules() {
    let hosts: usize = std::env::var("HOSTS").map_or(1_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let (store, _) = Embedded::open(dir.path(), clock, Options::default()).unwrap();
    let series: Vec<_> =
        (0..hosts).flat_map(|host| host_series(&store, &format!("host-{host:05}"))).collect();
    let began = Instant::now();
    tell(&store, &series, NOW_MS - 60 * MINUTE_MS);
    for step in (0..=44).rev() {
        tell(&store, &series, NOW_MS - step * 15_000);
    }
    println!("{} series of {hosts} hosts, told in {:?}", series.len(), began.elapsed());

    let mut judge = Judge::new(Thresholds::default());
    let rules: Vec<_> = catalogue().iter().collect();
    judge.set_rules(&rules, vec![], &|_| BTreeSet::new(), NOW_MS - 15_000);
    let mut spent = Vec::new();
    for turn in judge.due(NOW_MS) {
        let step = &turn.steps[0];
        let began = cpu_seconds();
        let value = store.query_instant(&step.expr, NOW_MS, &QueryRun::default()).unwrap().value;
        let queried = cpu_seconds();
        let Value::Vector(vector) = value else { panic!("{} yields no vector", step.expr) };
        let vector: Vec<Sample> =
            vector.into_iter().map(|s| Sample { labels: s.labels, value: s.value }).collect();
        for step in &turn.steps {
            judge.take(step, Ok(vector.clone()), 0.0, &Context::default());
        }
        spent.push((queried - began, cpu_seconds() - queried, vector.len(), step.expr.clone()));
    }
    let whole: f64 = spent.iter().map(|(query, take, ..)| query + take).sum();
    let scaled = whole * 10_000.0 / hosts as f64;
    println!("{whole:.2} s of processor time every 15 s; for 10,000 hosts {scaled:.1} s");
    spent.sort_by(|one, other| (other.0 + other.1).total_cmp(&(one.0 + one.1)));
    for (query, take, values, expr) in spent.iter().take(15) {
        println!("{query:8.2} s to query, {take:.2} s to judge {values} values: {expr}");
    }
    assert_eq!(spent.len(), judge.groups().len(), "some rules had no turn");
}

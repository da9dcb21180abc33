//! Many hosts at once: the simulator's, whose every figure can be computed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use muster_simulation::{HostModel, SimulatedSeries};
use serde_json::Value;

use crate::http::get;
use crate::server::{Server, wait_for};

const HOSTS: u32 = 50;
const SEED: u64 = 7;
const INTERVAL_MS: i64 = 1_000;
/// Slow series keep a value for so long; they are sampled every 30 s.
const SLOW_MS: i64 = 31_000;
/// The server reads file systems this rarely.
const FILE_SYSTEMS_MS: i64 = 10_000;

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn fifty_hosts_come_show_their_figures_and_fall_silent() {
    let Some(binary) = std::env::var_os("MUSTER_SIMULATION_BIN") else {
        println!("skipped: MUSTER_SIMULATION_BIN is not set");
        return;
    };
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let join = server.token(&["enroll-token", "--uses", &HOSTS.to_string()]);
    let token = server.token(&["token", "create", "fleet"]);
    let fleet = Fleet::start(Path::new(&binary), &server, &join, state.path());

    let list = wait_for("50 hosts with figures", || {
        let list = hosts(&server, &token);
        let all = list["hosts"].as_array()?;
        // File systems are told with the slow ticks, and looked at more seldom.
        let ready = |host: &Value| {
            let figures = [&host["cpu_percent"], &host["worst_disk"]["used_percent"]];
            host["state"] == "up" && figures.iter().all(|figure| figure.is_number())
        };
        (all.len() == HOSTS as usize && all.iter().all(ready)).then_some(list)
    });
    let now_ms = list["now_ms"].as_i64().unwrap();
    let models: Vec<HostModel> = (0..HOSTS).map(|n| HostModel::new(SEED, n)).collect();
    for model in &models {
        let row = row_of(&list, model.instance());
        check_figures(model, row, now_ms);
    }

    drop(fleet);
    let list = wait_for("50 silent hosts", || {
        let list = hosts(&server, &token);
        let silent = |host: &Value| host["state"] == "silent";
        list["hosts"].as_array()?.iter().all(silent).then_some(list)
    });
    for model in &models {
        let row = row_of(&list, model.instance());
        let since_ms = row["state_since_ms"].as_i64().unwrap();
        assert!(since_ms >= now_ms, "silent before it was killed: {row}");
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

fn hosts(server: &Server, token: &str) -> Value {
    get(server.address, "/api/muster/v1/hosts", token).json()
}

#[track_caller]
fn row_of<'a>(list: &'a Value, instance: &str) -> &'a Value {
    let mut rows = list["hosts"].as_array().unwrap().iter();
    rows.find(|row| row["instance"] == instance)
        .unwrap_or_else(|| panic!("no row of {instance} in {list}"))
}

/// Each figure of a row is what the model says of a moment that may have been the newest then.
#[track_caller]
fn check_figures(model: &HostModel, row: &Value, now_ms: i64) {
    let newest_ms = row["last_sample_ms"].as_i64().unwrap();
    let tick = |at_ms: &i64| at_ms % INTERVAL_MS == 0;
    let fresh = now_ms - 30_000..now_ms + INTERVAL_MS;
    assert!(tick(&newest_ms) && fresh.contains(&newest_ms), "at {now_ms}: {row}");
    // A sample may have come before or after a figure was computed, but is of no later time.
    let before_ms = newest_ms.min(now_ms - INTERVAL_MS);
    let fast: Vec<i64> = (before_ms..=now_ms).filter(tick).collect();
    let slow: Vec<i64> = (now_ms - SLOW_MS..=now_ms).filter(tick).collect();
    let of = |name: &str, at_ms| value(model, name, &[], at_ms);
    let memory = |part: &str, at_ms| of(&format!("node_memory_{part}_bytes"), at_ms);

    let idle = named(model, "node_cpu_seconds_total", &[("mode", "idle")]);
    let cpus = idle.len() as f64;
    let check = |figure: &str, moments: &[i64], expected: &dyn Fn(i64) -> f64| {
        let actual = row[figure].as_f64();
        let values: Vec<f64> = moments.iter().map(|&at_ms| expected(at_ms)).collect();
        let agrees = |value: &f64| actual.is_some_and(|actual| near(actual, *value));
        assert!(values.iter().any(agrees), "{figure} is none of {values:?}: {row}");
    };
    check("cpus", &slow, &|_| cpus);
    check("cpu_percent", &fast, &|at_ms| {
        let rates = idle.iter().map(|series| rate(series, at_ms));
        (100.0 * (1.0 - rates.sum::<f64>() / cpus)).clamp(0.0, 100.0)
    });
    check("load1", &fast, &|at_ms| of("node_load1", at_ms));
    check("memory_bytes", &slow, &|at_ms| memory("MemTotal", at_ms));
    check("memory_percent", &fast, &|at_ms| {
        100.0 * (1.0 - memory("MemAvailable", at_ms) / memory("MemTotal", at_ms))
    });
    check("swap_percent", &fast, &|at_ms| {
        100.0 * (1.0 - memory("SwapFree", at_ms) / memory("SwapTotal", at_ms))
    });
    for (figure, direction) in
        [("receive_bytes_per_second", "receive"), ("transmit_bytes_per_second", "transmit")]
    {
        let name = format!("node_network_{direction}_bytes_total");
        let outer = named(model, &name, &[("device", "eth0")]);
        check(figure, &fast, &|at_ms| rate(outer[0], at_ms));
    }
    check("boot_time_ms", &slow, &|at_ms| (of("node_boot_time_seconds", at_ms) * 1_000.0).trunc());
    let slower: Vec<i64> = (now_ms - SLOW_MS - FILE_SYSTEMS_MS..=now_ms).filter(tick).collect();
    check_worst_disk(model, &row["worst_disk"], &slower);
}

/// The fullest file system is the model's fullest, and as full as it is there.
#[track_caller]
fn check_worst_disk(model: &HostModel, disk: &Value, moments: &[i64]) {
    let sizes = named(model, "node_filesystem_size_bytes", &[]);
    let mountpoints: BTreeSet<&str> =
        sizes.iter().map(|series| series.labels().get("mountpoint").unwrap()).collect();
    let used_percent = |mountpoint: &str, at_ms| {
        let part = |name: &str| {
            let name = format!("node_filesystem_{name}_bytes");
            value(model, &name, &[("mountpoint", mountpoint)], at_ms)
        };
        let used = part("size") - part("free");
        100.0 * used / (used + part("avail"))
    };
    let actual = disk["used_percent"].as_f64().unwrap();
    let agrees = |at_ms: &i64| {
        // One that does not answer tells nothing.
        let answers = |mountpoint: &&&str| {
            let labels = [("mountpoint", **mountpoint)];
            value(model, "node_filesystem_device_error", &labels, *at_ms) == 0.0
        };
        let worst = mountpoints
            .iter()
            .filter(answers)
            .max_by(|one, other| used_percent(one, *at_ms).total_cmp(&used_percent(other, *at_ms)))
            .unwrap();
        disk["mountpoint"] == *worst && near(actual, used_percent(worst, *at_ms))
    };
    assert!(moments.iter().any(agrees), "{}: {disk}", model.instance());
}

/// Equal but for the rounding of another order of operations.
fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * one.abs().max(1.0)
}

/// The model's series of this name that have these labels.
fn named<'a>(
    model: &'a HostModel,
    name: &str,
    labels: &[(&str, &str)],
) -> Vec<&'a SimulatedSeries> {
    let found: Vec<_> = model
        .series()
        .iter()
        .filter(|series| {
            let own = series.labels();
            own.metric_name() == Some(name)
                && labels.iter().all(|(label, text)| own.get(label) == Some(text))
        })
        .collect();
    assert!(!found.is_empty(), "the model has no {name}");
    found
}

fn value(model: &HostModel, name: &str, labels: &[(&str, &str)], at_ms: i64) -> f64 {
    named(model, name, labels)[0].value(at_ms)
}

/// How much a counter grew in the second before a tick.
fn rate(series: &SimulatedSeries, at_ms: i64) -> f64 {
    (series.value(at_ms) - series.value(at_ms - INTERVAL_MS)) * 1_000.0 / INTERVAL_MS as f64
}

/// The simulator; killed when dropped.
struct Fleet(Child);

impl Fleet {
    fn start(binary: &Path, server: &Server, token: &str, state: &Path) -> Self {
        let url = format!("http://{}", server.address);
        let (hosts, seed) = (HOSTS.to_string(), SEED.to_string());
        let child = Command::new(binary)
            .args(["--server", &url, "--token", token])
            .args(["--hosts", &hosts, "--seed", &seed, "--interval", "1s"])
            .arg("--state-dir")
            .arg(state)
            // It cannot remove its own temporary folder when it is killed.
            .env("TMPDIR", state)
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulator can be started");
        Self(child)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

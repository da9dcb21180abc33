//! One small tree of files, and all that the collectors make of it: this covers every collector.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect_file;
use muster_collectors::{Cadence, Kind, Registry, Roots, Space, metric_of};
use muster_environment::ManualClock;
use muster_exposition::{Family, write};
use muster_series::is_stale_marker;

fn fixture() -> Roots {
    let host = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let mut roots = Roots::new(&host.join("proc"), &host.join("sys"), &host.join("rootfs"));
    roots.measure_space = Arc::new(|path: &Path| {
        if path.ends_with("srv/my share") {
            return Err(io::ErrorKind::StaleNetworkFileHandle.into());
        }
        let gib = 1 << 30;
        Ok(Space {
            size: 100 * gib,
            free: 40 * gib,
            available: 35 * gib,
            files: 6_553_600,
            files_free: 6_000_000,
        })
    });
    roots
}

#[test]
fn all_collectors_over_the_fixture() {
    let mut registry = Registry::new(&fixture());
    let clock = ManualClock::at(1_795_335_136_731);
    let mut families: Vec<Family> = Vec::new();
    for cadence in Cadence::ALL {
        let out = registry.collect(cadence, &clock);
        assert_eq!(out.new_series.len(), out.samples.len());
        for ((series, labels), (sampled, value)) in out.new_series.into_iter().zip(out.samples) {
            assert_eq!(series, sampled);
            let name = labels.metric_name().unwrap();
            let metric = metric_of(name).unwrap_or_else(|| panic!("{name} is in no table"));
            // How this machine's own clock is kept is not in the tree.
            if name.starts_with("node_timex_") {
                assert!(value.is_finite(), "{name} is {value}");
                continue;
            }
            // How long it took is another number each time.
            if name == "node_scrape_collector_duration_seconds" {
                assert!((0.0..60.0).contains(&value), "{value}");
                continue;
            }
            let kind = match metric.kind {
                Kind::Counter => muster_exposition::Kind::Counter,
                Kind::Gauge | Kind::Info => muster_exposition::Kind::Gauge,
                Kind::Untyped => muster_exposition::Kind::Untyped,
            };
            let at = families.iter().position(|f| f.name == name).unwrap_or_else(|| {
                families.push(Family::new(name, kind, metric.help));
                families.len() - 1
            });
            families[at].push_labels(labels, value);
        }
    }
    // One collector tells where it has read.
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let text = write(&families).replace(&*here.to_string_lossy(), "");
    expect_file!["fixtures/host.prom"].assert_eq(&text);
}

#[test]
fn a_second_collection_names_nothing_new_and_ends_nothing() {
    let mut registry = Registry::new(&fixture());
    let clock = ManualClock::at(0);
    for cadence in Cadence::ALL {
        let first = registry.collect(cadence, &clock);
        let second = registry.collect(cadence, &clock);
        assert!(second.new_series.is_empty(), "{:?}", second.new_series);
        let numbers = |samples: &[(u32, f64)]| samples.iter().map(|s| s.0).collect::<Vec<_>>();
        assert_eq!(numbers(&first.samples), numbers(&second.samples));
        assert!(!second.samples.iter().any(|(_, value)| is_stale_marker(*value)));
    }
}

#[test]
fn a_machine_without_any_of_the_files_is_no_error() {
    let empty = tempfile::tempdir().unwrap();
    let mut registry = Registry::new(&Roots::new(empty.path(), empty.path(), empty.path()));
    let clock = ManualClock::at(0);
    for cadence in Cadence::ALL {
        let out = registry.collect(cadence, &clock);
        for ((_, labels), (_, value)) in out.new_series.iter().zip(&out.samples) {
            let name = labels.metric_name().unwrap();
            // What needs no file: the clock, how it is kept, and that there is no SELinux.
            let own =
                ["node_scrape_collector_", "node_timex_", "node_time_seconds", "node_selinux_"];
            assert!(own.iter().any(|prefix| name.starts_with(prefix)), "{labels}");
            assert!(!name.ends_with("_success") || *value == 1.0, "{labels}");
        }
    }
}

#[test]
fn damaged_files_fail_their_collector_only() {
    let damaged = tempfile::tempdir().unwrap();
    let proc = damaged.path();
    for path in ["stat", "meminfo", "loadavg", "diskstats", "schedstat", "vmstat"] {
        std::fs::write(proc.join(path), b"cpu0 \xff: :\n pgfault x\n").unwrap();
    }
    std::fs::create_dir_all(proc.join("net")).unwrap();
    std::fs::write(proc.join("net/dev"), "a\nb\nlo 1\n").unwrap();
    std::fs::write(proc.join("net/sockstat"), "sockets: used 3\n").unwrap();
    let mut registry = Registry::new(&Roots::new(proc, proc, proc));
    let out = registry.collect(Cadence::Fast, &ManualClock::at(0));
    let success = |collector: &str| {
        let at = out.new_series.iter().position(|(_, labels)| {
            labels.metric_name() == Some("node_scrape_collector_success")
                && labels.get("collector") == Some(collector)
        });
        out.samples[at.unwrap()].1
    };
    for collector in ["stat", "meminfo", "loadavg", "diskstats", "schedstat", "netdev"] {
        assert_eq!(success(collector), 0.0, "{collector}");
    }
    assert_eq!(success("sockstat"), 1.0);
}

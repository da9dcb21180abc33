//! Settings over the small tree of files: collectors that are switched off, and what is left out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_collectors::{
    Cadence, Choice, CollectorSettings, Pattern, Registry, Roots, Space, collector_names,
};
use muster_environment::ManualClock;
use muster_series::{Labels, is_stale_marker};

fn registry() -> Registry {
    let host = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let mut roots = Roots::new(&host.join("proc"), &host.join("sys"), &host.join("rootfs"));
    roots.measure_space = Arc::new(|_: &Path| Ok(Space { size: 4_096, ..Space::default() }));
    Registry::new(&roots)
}

fn pattern(text: &str) -> Option<Pattern> {
    Pattern::whole(text).ok()
}

/// The values of a label in what is named for the first time under `settings`, sorted, each once.
fn named(settings: &CollectorSettings, metric: &str, label: &str) -> Vec<String> {
    let mut registry = registry();
    registry.configure(settings);
    let clock = ManualClock::at(0);
    let mut values: Vec<String> = [Cadence::Fast, Cadence::Slow]
        .iter()
        .flat_map(|cadence| registry.collect(*cadence, &clock).new_series)
        .filter(|(_, labels)| labels.metric_name().is_some_and(|name| name.starts_with(metric)))
        .filter_map(|(_, labels): (u32, Labels)| labels.get(label).map(str::to_owned))
        .collect();
    values.sort();
    values.dedup();
    values
}

#[track_caller]
fn check(settings: &CollectorSettings, metric: &str, label: &str, expected: &[&str]) {
    assert_eq!(named(settings, metric, label), expected);
}

#[test]
fn mounts_and_devices_are_left_out_as_set() {
    let none = CollectorSettings::default();
    check(&none, "node_filesystem_size", "mountpoint", &["/", "/run", "/srv/my share"]);
    let points = Choice { include: None, exclude: pattern("/srv/.*") };
    let settings = CollectorSettings { mount_points: points, ..none.clone() };
    check(&settings, "node_filesystem_size", "mountpoint", &["/", "/run"]);
    let kinds = Choice { include: pattern("nfs4"), exclude: None };
    let settings = CollectorSettings { fs_types: kinds, ..none.clone() };
    check(&settings, "node_filesystem_size", "mountpoint", &["/srv/my share"]);
    let devices = Choice { include: None, exclude: pattern(".*") };
    let settings = CollectorSettings { network_devices: devices, ..none.clone() };
    for metric in ["node_network_receive_bytes", "node_network_up", "node_network_info"] {
        assert!(!named(&none, metric, "device").is_empty(), "{metric}");
        check(&settings, metric, "device", &[]);
    }
}

#[test]
fn the_series_of_a_collector_that_is_switched_off_end_and_come_back() {
    let mut registry = registry();
    let clock = ManualClock::at(0);
    let settings = CollectorSettings { off: ["loadavg".into()].into(), ..Default::default() };
    let all = registry.collect(Cadence::Fast, &clock).samples.len();
    registry.configure(&settings);
    let ended = |registry: &mut Registry| {
        let samples = registry.collect(Cadence::Fast, &clock).samples;
        (samples.iter().filter(|(_, value)| is_stale_marker(*value)).count(), samples.len())
    };
    // Three averages, and the registry's two figures about the collector.
    assert_eq!(ended(&mut registry), (5, all));
    assert_eq!(ended(&mut registry), (0, all - 5));
    registry.configure(&CollectorSettings::default());
    assert_eq!(ended(&mut registry), (0, all));
}

#[test]
fn every_collector_can_be_switched_off() {
    let off = collector_names().into_iter().map(str::to_owned).collect();
    let mut registry = registry();
    registry.configure(&CollectorSettings { off, ..Default::default() });
    for cadence in [Cadence::Fast, Cadence::Slow] {
        assert!(registry.collect(cadence, &ManualClock::at(0)).samples.is_empty());
    }
}

//! Every decoder stands its good input and many changes of it, the same at every run.

use muster_hostile::{TARGETS, mutations};

/// Changes of each seed; a fuzzer tries more.
const CHANGES: usize = 400;
const SEED: u64 = 20_261_122;

#[track_caller]
fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is in the list");
    for seed in (target.seeds)() {
        assert!(!seed.is_empty(), "{name}: a seed without bytes");
        (target.attack)(&seed);
        for bytes in mutations(&seed, SEED, CHANGES) {
            (target.attack)(&bytes);
        }
    }
    (target.attack)(&[]);
}

#[test]
fn log_segments() {
    check("wal_segment");
}

#[test]
fn blocks() {
    check("block");
}

#[test]
fn manifests() {
    check("manifest");
}

#[test]
fn frames() {
    check("frames_to_server");
    check("frames_to_agent");
}

#[test]
fn pushed_requests() {
    check("remote_write_1");
    check("remote_write_2");
    check("otlp");
    check("text_lines");
}

#[test]
fn queries() {
    check("promql_text");
    check("promql_values");
}

#[test]
fn expositions() {
    check("exposition_text");
}

#[test]
fn every_target_has_its_file_for_the_fuzzer() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the fuzz targets are in the repository")
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    files.sort_unstable();
    let mut names: Vec<String> = TARGETS.map(|target| format!("{}.rs", target.name)).into();
    names.sort_unstable();
    assert_eq!(files, names);
}

#[test]
fn remote_reads() {
    check("remote_read");
}

#[test]
fn rules() {
    check("rule_texts");
}

#[test]
fn routes() {
    check("alert_routes");
}

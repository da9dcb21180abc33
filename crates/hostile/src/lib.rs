//! Bytes that nobody should send or store: for each decoder of the program a function that takes any bytes.
//!
//! Such a function panics only where the decoder is broken: where it panics itself, answers with what cannot be, or reads back something
//! else than it wrote. `fuzz/` lets libFuzzer look for such bytes; the tests of this crate, which need no fuzzer, try
//! many changes of good bytes, the same at every run.

mod agent_frames;
mod alert_routes;
mod exposition_text;
mod promql_text;
mod promql_values;
mod pushed;
mod remote_read;
mod rule_texts;
mod store_files;

mod mutate;

pub use mutate::mutations;

/// A decoder under attack.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its fuzz target, `fuzz/fuzz_targets/NAME.rs`.
    pub name: &'static str,
    /// Gives the bytes to the decoder; panics if it does not stand them.
    pub attack: fn(&[u8]),
    /// Good input to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them: `cargo xtask fuzz` runs each, and so do the tests.
pub const TARGETS: [Target; 15] = [
    Target { name: "wal_segment", attack: store_files::wal_segment, seeds: store_files::wal_seeds },
    Target { name: "block", attack: store_files::block, seeds: store_files::block_seeds },
    Target { name: "manifest", attack: store_files::manifest, seeds: store_files::manifest_seeds },
    Target {
        name: "frames_to_server",
        attack: agent_frames::to_server,
        seeds: agent_frames::seeds_to_server,
    },
    Target {
        name: "frames_to_agent",
        attack: agent_frames::to_agent,
        seeds: agent_frames::seeds_to_agent,
    },
    Target { name: "remote_write_1", attack: pushed::remote_write_1, seeds: pushed::seeds_1 },
    Target { name: "remote_write_2", attack: pushed::remote_write_2, seeds: pushed::seeds_2 },
    Target { name: "otlp", attack: pushed::otlp, seeds: pushed::seeds_otlp },
    Target { name: "text_lines", attack: pushed::text_lines, seeds: pushed::seeds_text },
    Target { name: "promql_text", attack: promql_text::query, seeds: promql_text::seeds },
    Target { name: "promql_values", attack: promql_values::values, seeds: promql_values::seeds },
    Target { name: "remote_read", attack: remote_read::request, seeds: remote_read::seeds },
    Target { name: "rule_texts", attack: rule_texts::text, seeds: rule_texts::seeds },
    Target { name: "alert_routes", attack: alert_routes::text, seeds: alert_routes::seeds },
    Target {
        name: "exposition_text",
        attack: exposition_text::text,
        seeds: exposition_text::seeds,
    },
];

/// Attacks the target of this name; for the fuzzer, whose targets are files of one line.
pub fn attack(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a fuzz target has the name of one in the list").attack)(bytes);
}

//! End to end, with the real binary: what a person, an agent and an attacker meet.
//!
//! `cargo xtask test` builds the release binary and names it in `MUSTER_BIN` (and the simulator in
//! `MUSTER_SIMULATION_BIN`). Each test has its own data folder and port.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod booted;
mod http;
mod pusher;
mod server;
mod test_agent;
mod webhook_sink;

mod agent_state;
mod alertmanager;
mod backfill;
mod backup;
mod bad_input;
mod command_line;
mod crash;
mod first_run;
mod fleet;
mod full_disk;
mod install;
mod people;
mod prometheus_api;
mod push;
mod slow_reader;
mod systemd;
mod telling;
mod tls;

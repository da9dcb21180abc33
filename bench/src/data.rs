//! The data of all benchmarks: hosts as `node_exporter` tells them, from a seed, made as they are sent.

mod host;
mod inventory;
mod random;
mod shape;

pub(crate) use host::{Host, INTERVAL_MS, SERIES_PER_HOST, aligned};

//! Prometheus's HTTP API on a running server: odd requests beside Debian's Prometheus, queries of death while others go
//! on, and large answers to clients that read slowly or not at all.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

mod beside_prometheus;
mod death;
mod large_answers;
mod server;

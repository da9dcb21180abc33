//! The suite of all repositories on a real PostgreSQL server, which `cargo xtask test` starts.

mod suite;

const KIND: suite::Kind = suite::Kind::Postgres;

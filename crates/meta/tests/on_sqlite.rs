//! The suite of all repositories on SQLite files.

mod suite;

const KIND: suite::Kind = suite::Kind::Sqlite;

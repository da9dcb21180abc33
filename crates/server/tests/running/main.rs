//! A running server from outside: programs that push to it, and clients that ask for too much. What is stored, what is
//! refused, and what they are told.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

mod encode;
mod server;

mod alerts;
mod backtest;
mod fleet;
mod limits;
mod otlp;
mod permission;
mod remote_write;
mod rules;
mod text;

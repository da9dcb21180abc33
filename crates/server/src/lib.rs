//! The server: takes samples in, keeps them, answers questions and serves the page, on one port.
//!
//! [`start`] opens the store and the metadata database, listens, and returns a [`Running`] server; [`Running::stop`]
//! ends it: connections are told, the store is closed, the port is free.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use muster_environment::SystemClock;
//! use muster_server::{ServerConfig, TlsMode, start};
//!
//! let config = ServerConfig {
//!     data_dir: "/var/lib/muster".into(),
//!     database: None,
//!     listen: "127.0.0.1:6868".parse()?,
//!     tls: TlsMode::Off,
//!     retention_ms: 400 * 86_400_000,
//!     retention_bytes: None,
//!     rules: vec![],
//!     admin_password: None,
//!     oidc: None,
//!     public_url: None,
//!     deadman: None,
//! };
//! let running = start(config, Arc::new(SystemClock::new())).await?;
//! println!("listening on {}", running.address());
//! running.stop().await;
//! # Ok(())
//! # }
//! ```

mod config;
mod database;
mod start;

mod agent_settings;
mod alarms;
mod app;
mod ask;
mod bearers;
mod connection;
mod downloads;
mod fleet;
mod http;
mod ingest;
mod insight;
mod installer;
mod judging;
mod latest;
mod listener;
mod nearest;
mod oidc;
mod outbox;
mod own_names;
mod own_series;
mod refusals;
mod roster;
mod services;
mod shares;
mod tasks;
mod throttle;
mod totp;

pub mod local;
pub mod secrets;
mod store;
mod tls;

pub use config::{Deadman, ServerConfig, data_paths};
pub use database::{DatabaseError, location, move_to_server, open_beside};
pub use http::{Access, Route, openapi_document, routes};
pub use nearest::nearest;
pub use oidc::{OidcConfig, OidcError, TokenError};
pub use start::{FirstSignIn, Running, StartError, start};
pub use store::{Done, Embedded, MetricStore, QueryError, QueryRun, StopOnDrop};
pub use tls::{TlsError, TlsMode, format_fingerprint, stored_ca_fingerprint};

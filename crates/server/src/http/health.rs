//! Whether the server works, and what it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use muster_api::{About, Failure};

use super::authority::Reader;
use crate::app::App;

/// Answers while the process runs.
pub(crate) async fn healthy() -> &'static str {
    "Muster is healthy.\n"
}

/// Answers once samples can be stored and asked for: the server listens only after its store is open.
pub(crate) async fn ready() -> &'static str {
    "Muster is ready.\n"
}

/// Says what this server is and how much it holds.
#[utoipa::path(get, path = "/api/muster/v1/about", responses(
    (status = 200, description = "Version, start, agents, size of the store", body = About),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn about(_: Reader, State(app): State<Arc<App>>) -> Json<About> {
    let stats = app.store.stats();
    let connected = app.roster.all().iter().filter(|entry| entry.presence().connected).count();
    Json(About {
        version: env!("CARGO_PKG_VERSION").into(),
        started_ms: app.started_ms,
        agents: connected as u64,
        series: stats.series,
        bytes_on_disk: stats.block_bytes + stats.wal_bytes_on_disk,
        retention_ms: app.config.retention_ms,
        ca_fingerprint: app.ca_fingerprint.clone(),
    })
}

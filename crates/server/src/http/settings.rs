//! How the server is set up, and what room its data takes.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use muster_api::{DiskUse, Failure, Settings, TlsKind, TlsSettings};

use super::authority::Reader;
use crate::app::App;
use crate::tls::TlsMode;

/// Says how the server is set up, and what room its data takes.
#[utoipa::path(get, path = "/api/muster/v1/settings", responses(
    (status = 200, description = "Settings and disk use", body = Settings),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn show(_: Reader, State(app): State<Arc<App>>) -> Json<Settings> {
    let stats = app.store.stats();
    let config = &app.config;
    let (free_bytes, size_bytes) = room(&config.data_dir).unzip();
    Json(Settings {
        version: env!("CARGO_PKG_VERSION").into(),
        started_ms: app.started_ms,
        data_dir: config.data_dir.display().to_string(),
        listen: config.listen.to_string(),
        tls: TlsSettings {
            kind: match config.tls {
                TlsMode::Off => TlsKind::Off,
                TlsMode::Auto => TlsKind::Auto,
                TlsMode::Files { .. } => TlsKind::Files,
            },
            not_after_ms: app.certificate.as_ref().map(|served| served.not_after_ms()),
            ca_fingerprint: app.ca_fingerprint.clone(),
        },
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        disk: DiskUse {
            block_bytes: stats.block_bytes,
            log_bytes: stats.wal_bytes_on_disk,
            series: stats.series,
            blocks: stats.blocks,
            free_bytes,
            size_bytes,
        },
        database: app.meta.place().to_owned(),
        provider: app.provider_name(),
    })
}

/// How many bytes are free for this user on the file system of a folder, and how many it has.
pub(super) fn room(dir: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(dir).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some((bytes(found.f_bavail), bytes(found.f_blocks)))
}

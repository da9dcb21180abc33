//! The processes of a host as a live table: read by its agent only while somebody looks.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use muster_api::{Failure, ProcessRow, ProcessTable, ProcessesUnavailable};
use tokio::time::Instant;

use super::authority::Reader;
use super::failure::ApiFailure;
use super::live::{Events, send, stream};
use crate::app::App;
use crate::roster::Entry;

/// How long an agent may take to send a table before that is told; it sends one every 2 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked whether the host is there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The processes of a host, about every two seconds.
#[utoipa::path(get, path = "/api/muster/v1/hosts/{instance}/processes", params(("instance" = String, Path,)), responses(
    (status = 200, description = "Events `processes`; an event `unavailable` says why there is none", body = ProcessTable, content_type = "text/event-stream"),
    (status = 401, description = "Not signed in", body = Failure),
    (status = 404, description = "No such host", body = Failure),
))]
pub(crate) async fn processes(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    Path(instance): Path<String>,
) -> Result<Response, ApiFailure> {
    let entry =
        app.roster.get(&instance).ok_or_else(|| ApiFailure::not_found("there is no such host"))?;
    stream(&app, who, |app, events| follow(app, entry, events))
}

async fn follow(app: Arc<App>, entry: Arc<Entry>, events: Events) {
    let _look = entry.look_at_processes();
    let mut tables = entry.processes();
    // What somebody else sees already is shown at once.
    tables.mark_changed();
    let mut heard = Instant::now();
    let mut told = "";
    loop {
        let changed = tokio::time::timeout(LOOK_EVERY, tables.changed()).await;
        let table = match changed {
            Ok(Ok(())) => tables.borrow_and_update().clone(),
            Ok(Err(_)) => return,
            Err(_) => None,
        };
        if let Some(table) = table {
            (heard, told) = (Instant::now(), "");
            if !send(&events, "processes", &shown(&table)).await {
                return;
            }
            continue;
        }
        // A host that was removed or renamed is another entry, or none.
        let same = app.roster.get(&entry.instance).is_some_and(|now| Arc::ptr_eq(&now, &entry));
        if !same {
            return;
        }
        let reason = match entry.presence().connected {
            false => "host_silent",
            true if heard.elapsed() >= ANSWER_LIMIT => "no_answer",
            true => continue,
        };
        if reason != told {
            told = reason;
            let unavailable = ProcessesUnavailable { reason: reason.into() };
            if !send(&events, "unavailable", &unavailable).await {
                return;
            }
        }
    }
}

fn shown(table: &muster_wire::ProcessTable) -> ProcessTable {
    let finite = |rate: Option<f64>| rate.filter(|rate| rate.is_finite());
    let row = |row: &muster_wire::ProcessRow| ProcessRow {
        pid: row.pid,
        parent: row.parent,
        user: row.user.clone(),
        program: row.program.clone(),
        command: row.command.clone(),
        state: row.state.into(),
        threads: row.threads,
        started_ms: row.started_ms,
        cpu_ratio: if row.cpu_ratio.is_finite() { row.cpu_ratio } else { 0.0 },
        memory_bytes: row.memory_bytes,
        read_bytes_per_second: finite(row.read_bytes_per_second),
        written_bytes_per_second: finite(row.written_bytes_per_second),
    };
    ProcessTable {
        time_ms: table.timestamp_ms,
        rows: table.rows.iter().map(row).collect(),
        truncated: table.truncated,
    }
}

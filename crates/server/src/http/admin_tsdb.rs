//! Prometheus's API for the administrator of a store: delete series, free their room, make a snapshot.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_meta::Target;
use muster_tsdb::TsdbError;
use serde::Serialize;
use serde_json::json;

use super::authority::{Administrator, SignedIn};
use super::failure::ApiFailure;
use super::prometheus_params::Params;
use super::prometheus_reply::{PromFailure, data_reply};
use crate::app::App;
use crate::store::MetricStore;

/// Selectors of one deletion; each costs every query something until the blocks are written anew.
const MOST_SELECTORS: usize = 100;

/// What a snapshot is called, below the folder of snapshots.
#[derive(Serialize)]
struct SnapshotName {
    name: String,
}

/// Lets the store work on a thread that may block. The work goes on where the client does not wait for its end.
async fn work<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&dyn MetricStore) -> Result<T, TsdbError> + Send + 'static,
) -> Result<T, PromFailure> {
    match tokio::task::spawn_blocking(move || work(&*app.store)).await {
        Ok(result) => Ok(result?),
        Err(error) => {
            tracing::error!(%error, "a change of the store failed in a way it should not");
            Err(PromFailure::internal())
        }
    }
}

/// Writes into the audit log what is about to be done; what cannot be written there is not done.
async fn note(
    app: &App,
    who: &SignedIn,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), PromFailure> {
    let target = Target::new("samples", "", "samples");
    let noted =
        app.meta.record_deed(&who.actor, action, target, Some(detail), app.clock.now_ms()).await;
    noted.map_err(|error| ApiFailure::from(error).into())
}

/// Deletes the samples between `start` and `end` of the series that pass one of the `match[]`.
pub(crate) async fn delete_series(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<StatusCode, PromFailure> {
    let (sets, range) = (params.required_selectors()?, params.range()?);
    if sets.len() > MOST_SELECTORS {
        return Err(PromFailure::bad_data(&format!(
            "at most {MOST_SELECTORS} match[] may be given at once; join some of them as regular expressions"
        )));
    }
    let (start_ms, end_ms) = (range.start_ms, range.end_ms);
    tracing::warn!(by = who.actor.name, ?sets, start_ms, end_ms, "series are deleted");
    let described: Vec<Vec<String>> =
        sets.iter().map(|set| set.iter().map(ToString::to_string).collect()).collect();
    let detail = json!({ "match": described, "start_ms": start_ms, "end_ms": end_ms });
    note(&app, &who, "samples.delete", detail).await?;
    work(app, move |store| store.delete_series(&sets, range)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Frees the room of what was deleted.
pub(crate) async fn clean_tombstones(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
) -> Result<StatusCode, PromFailure> {
    note(&app, &who, "samples.clean", json!({})).await?;
    work(app, MetricStore::clean_tombstones).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a snapshot; `skip_head=true` leaves out what is not in blocks yet.
pub(crate) async fn snapshot(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let with_head = match params.get("skip_head") {
        None | Some("false" | "0") => true,
        Some("true" | "1") => false,
        Some(_) => return Err(PromFailure::bad_data("skip_head must be true or false")),
    };
    let number = u64::from_le_bytes(crate::secrets::random_bytes());
    let name = snapshot_name(app.clock.now_ms(), number);
    note(&app, &who, "samples.snapshot", json!({ "name": name })).await?;
    let folder = name.clone();
    let report = work(app, move |store| store.snapshot(&folder, with_head)).await?;
    tracing::info!(by = who.actor.name, name, blocks = report.blocks, "a snapshot was made");
    Ok(data_reply(&SnapshotName { name }))
}

/// The time and a number, so that two snapshots of one second differ.
fn snapshot_name(now_ms: i64, number: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    format!("{}-{number:016x}", time.strftime("%Y%m%dT%H%M%SZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_named_as_in_prometheus() {
        assert_eq!(snapshot_name(1_788_249_600_000, 10), "20260901T080000Z-000000000000000a");
    }
}

//! What else changed on an alert's host when it began: a look over the host's series, as a person's query.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use muster_api::{Failure, UnusualList};

use super::alerts::no_alert;
use super::authority::Reader;
use super::failure::ApiFailure;
use crate::alarms::{self, spans};
use crate::app::App;
use crate::store::QueryRun;

/// How long it waits for its turn among queries.
const TURN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it looks then.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// Says which series of the alert's host changed most when it began.
#[utoipa::path(get, path = "/api/muster/v1/alerts/{id}/unusual", params(("id" = String, Path, description = "The alert's number")), responses(
    (status = 200, description = "The series; none if the alert belongs to no host", body = UnusualList),
    (status = 404, description = "No such alert is there now", body = Failure),
    (status = 503, description = "Too many others compute", body = Failure),
))]
pub(crate) async fn show(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<UnusualList>, ApiFailure> {
    let alert = app.alarms.look(|core| core.alert(&id).map(|alert| alarms::shown(&alert)));
    let alert = alert.ok_or_else(no_alert)?;
    let spans = spans(alert.active_at_ms, app.clock.now_ms());
    let Some(instance) = alert.instance else { return Ok(Json(spans)) };
    let turn = tokio::time::timeout(TURN_TIMEOUT, app.queries.acquire(&who.principal())).await;
    let turn = turn.map_err(|_| ApiFailure::busy("others are computing; try again later"))?;
    let run = QueryRun::default();
    // The look ends soon when the client goes away.
    let _stop = run.stop_on_drop();
    let working = Arc::clone(&app);
    let work = move || {
        let _turn = turn;
        let until = Instant::now() + LOOK_LIMIT;
        alarms::unusual(spans, &instance, &*working.store, &run, until)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(list)) => Ok(Json(list)),
        Ok(Err(error)) => {
            tracing::warn!(alert = id, %error, "what is unusual about an alert could not be read");
            Err(ApiFailure::internal())
        }
        Err(error) => {
            app.counters.panics.add(1);
            tracing::error!(%error, "a look at an alert's host failed in a way it should not");
            Err(ApiFailure::internal())
        }
    }
}

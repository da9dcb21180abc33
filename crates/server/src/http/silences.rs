//! Silences and maintenance windows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_api::{AlertCounts, AlertList, Failure, Silence, SilenceList, SilenceSpec};

use super::authority::{Operator, Reader};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::alarms;
use crate::app::App;
use crate::secrets::random_bytes;

/// Lists silences, those that hide first.
#[utoipa::path(get, path = "/api/muster/v1/silences", responses(
    (status = 200, description = "All silences; those that are over stay for five days", body = SilenceList),
))]
pub(crate) async fn list(_: Reader, State(app): State<Arc<App>>) -> Json<SilenceList> {
    let now_ms = app.clock.now_ms();
    let mut silences: Vec<Silence> = app.alarms.look(|core| {
        let mut hidden = core.hidden_by_silences();
        core.silences()
            .map(|one| {
                let hides = hidden.remove(one.id.as_str()).unwrap_or_default();
                alarms::shown_silence(one, hides, now_ms)
            })
            .collect()
    });
    let rank = |silence: &Silence| match silence.state {
        muster_api::SilenceState::Active => 0,
        muster_api::SilenceState::Pending => 1,
        muster_api::SilenceState::Expired => 2,
    };
    silences.sort_by(|a, b| {
        (rank(a), a.spec.ends_at_ms, &a.id).cmp(&(rank(b), b.spec.ends_at_ms, &b.id))
    });
    Json(SilenceList { silences })
}

/// Makes a silence.
#[utoipa::path(post, path = "/api/muster/v1/silences", request_body = SilenceSpec, responses(
    (status = 201, description = "The silence", body = Silence),
    (status = 400, description = "It makes no sense", body = Failure),
    (status = 403, description = "Not an operator", body = Failure),
))]
pub(crate) async fn create(
    Operator(who): Operator,
    State(app): State<Arc<App>>,
    ApiJson(spec): ApiJson<SilenceSpec>,
) -> Result<(StatusCode, Json<Silence>), ApiFailure> {
    let silence = put(&app, &spec, new_id(), &who.actor.name).await?;
    Ok((StatusCode::CREATED, Json(silence)))
}

/// Changes a silence that is not over.
#[utoipa::path(put, path = "/api/muster/v1/silences/{id}", params(("id" = String, Path,)), request_body = SilenceSpec, responses(
    (status = 200, description = "The silence as it is now", body = Silence),
    (status = 400, description = "It makes no sense", body = Failure),
    (status = 403, description = "Not an operator", body = Failure),
    (status = 404, description = "There is no such silence, or it is over", body = Failure),
))]
pub(crate) async fn change(
    Operator(who): Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(spec): ApiJson<SilenceSpec>,
) -> Result<Json<Silence>, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let is_there = app.alarms.look(|core| {
        let silence = core.silence(&id);
        silence.is_some_and(|one| one.state(now_ms) != muster_alerting::SilenceState::Expired)
    });
    if !is_there {
        return Err(no_silence());
    }
    put(&app, &spec, id, &who.actor.name).await.map(Json)
}

/// Ends a silence now.
#[utoipa::path(delete, path = "/api/muster/v1/silences/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "It has ended"),
    (status = 403, description = "Not an operator", body = Failure),
    (status = 404, description = "There is no such silence, or it is over", body = Failure),
))]
pub(crate) async fn expire(
    _: Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    let now_ms = app.clock.now_ms();
    if !app.alarms.change(now_ms, |core| core.expire_silence(&id, now_ms)) {
        return Err(no_silence());
    }
    app.alarms.settled().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows which alerts a silence would hide now.
#[utoipa::path(post, path = "/api/muster/v1/silences/preview", request_body = SilenceSpec, responses(
    (status = 200, description = "The alerts", body = AlertList),
    (status = 400, description = "It makes no sense", body = Failure),
))]
pub(crate) async fn preview(
    _: Reader,
    State(app): State<Arc<App>>,
    ApiJson(spec): ApiJson<SilenceSpec>,
) -> Result<Json<AlertList>, ApiFailure> {
    let matchers = alarms::matchers_of(&spec.matchers)
        .map_err(|error| ApiFailure::bad_request(error.to_string()))?;
    let now_ms = app.clock.now_ms();
    let alerts = app
        .alarms
        .look(|core| core.hidden_by(&matchers).map(|view| alarms::shown(&view)).collect());
    Ok(Json(AlertList { alerts, counts: AlertCounts::default(), at_ms: now_ms }))
}

fn no_silence() -> ApiFailure {
    ApiFailure::not_found("there is no such silence, or it is over; make a new one")
}

/// A number in the form that Alertmanager's have.
pub(super) fn new_id() -> String {
    let mut bytes: [u8; 16] = random_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let number = u128::from_be_bytes(bytes);
    let text = format!("{number:032x}");
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    parts.join("-")
}

/// Makes or changes a silence, and waits until that is written down.
pub(super) async fn put(
    app: &App,
    spec: &SilenceSpec,
    id: String,
    by: &str,
) -> Result<Silence, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let refused = |error: String| ApiFailure::bad_request(error);
    let silence = alarms::silence_of(spec, id, by, now_ms).map_err(|e| refused(e.to_string()))?;
    let shown = alarms::shown_silence(&silence, Vec::new(), now_ms);
    let id = silence.id.clone();
    app.alarms
        .change(now_ms, |core| core.put_silence(silence, now_ms))
        .map_err(|error| refused(error.to_string()))?;
    app.alarms.settled().await?;
    let hides =
        app.alarms.look(|core| core.hidden_by_silences().remove(id.as_str()).unwrap_or_default());
    Ok(Silence { hides, ..shown })
}

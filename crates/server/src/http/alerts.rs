//! Alerts: what there is, what happened to it, and what people do about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use muster_alerting::Acknowledgement;
use muster_api::{Acknowledge, AlertDetail, AlertHistory, AlertList, AssignAlert, Failure, WhyNot};
use muster_meta::EpisodeFilter;

use super::authority::{Operator, Reader};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use super::live::{send, stream};
use crate::alarms::{self, AlertFilter, Question};
use crate::app::App;

/// The longest note or name of who cares, in bytes.
const MAX_NOTE: usize = 1_000;
/// How far back the detail of an alert tells.
const TRAIL_MS: i64 = 30 * 86_400_000;
/// How many earlier firings the detail tells of.
const EARLIER: u64 = 20;
/// How many firings a page of the history has, if nothing is said.
const HISTORY_PAGE: u64 = 100;
/// The shortest time between two events of a stream.
const STREAM_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Lists alerts, the most urgent and newest first.
#[utoipa::path(get, path = "/api/muster/v1/alerts", params(
    ("state" = Option<Vec<String>>, Query, description = "`pending`, `firing` or `resolved`; may be given several times"),
    ("severity" = Option<Vec<String>>, Query, description = "`critical`, `warning` or `info`; may be given several times"),
    ("instance" = Option<String>, Query, description = "Only alerts of this host"),
    ("search" = Option<String>, Query, description = "Words that all occur in labels or texts"),
    ("hushed" = Option<bool>, Query, description = "Only alerts that nobody is told of, or only others"),
), responses(
    (status = 200, description = "The alerts", body = AlertList),
    (status = 400, description = "A parameter is unknown or cannot be read", body = Failure),
))]
pub(crate) async fn list(
    _: Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<AlertList>, ApiFailure> {
    let filter = AlertFilter::read(&query.unwrap_or_default()).map_err(ApiFailure::bad_request)?;
    let now_ms = app.clock.now_ms();
    // Ten thousand alerts take too long for a thread that serves others.
    let work = move || app.alarms.look(|core| alarms::list(core, &filter, now_ms));
    let list = tokio::task::spawn_blocking(work).await;
    list.map(Json).map_err(|_| ApiFailure::internal())
}

/// How many alerts there are, and a word whenever something has changed.
#[utoipa::path(get, path = "/api/muster/v1/alerts/stream", responses(
    (status = 200, description = "Events `counts`, first at once; an event `changed` before each, when alerts or silences changed", body = muster_api::AlertCounts, content_type = "text/event-stream"),
))]
pub(crate) async fn follow(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiFailure> {
    stream(&app, who, |app, events| async move {
        let mut changes = app.alarms.changes();
        let mut number = *changes.borrow_and_update();
        loop {
            let counts = app.alarms.look(alarms::counts);
            if !send(&events, "counts", &counts).await || changes.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(STREAM_PAUSE).await;
            number = number.max(*changes.borrow_and_update());
            if !send(&events, "changed", &number).await {
                return;
            }
        }
    })
}

/// Shows an alert with all that happened to it.
#[utoipa::path(get, path = "/api/muster/v1/alerts/{id}", params(("id" = String, Path, description = "The alert's number")), responses(
    (status = 200, description = "The alert", body = AlertDetail),
    (status = 404, description = "No such alert is there now; its past firings are in the history", body = Failure),
))]
pub(crate) async fn show(
    _: Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<AlertDetail>, ApiFailure> {
    let found = app.alarms.look(|core| {
        let mut alert = alarms::shown(&core.alert(&id)?);
        alert.expression = alarms::of_its_host(&alert);
        let related = alarms::related(core, &alert);
        Some((alert, related))
    });
    let (alert, related) = found.ok_or_else(no_alert)?;
    let now_ms = app.clock.now_ms();
    let trail = app.meta.trail_of(&id, now_ms - TRAIL_MS, i64::MAX).await?;
    let filter = EpisodeFilter { alert: Some(id), ..EpisodeFilter::default() };
    let (episodes, _) = app.meta.episodes(&filter, EARLIER).await?;
    Ok(Json(AlertDetail {
        trail: trail.into_iter().filter_map(alarms::shown_step).collect(),
        episodes: episodes.into_iter().map(alarms::shown_episode).collect(),
        alert,
        related,
    }))
}

pub(super) fn no_alert() -> ApiFailure {
    ApiFailure::not_found("there is no such alert now; look in the history of alerts")
}

/// Lists past firings, the newest first.
#[utoipa::path(get, path = "/api/muster/v1/alerts/history", params(
    ("search" = Option<String>, Query, description = "Text in the name, host, labels or texts"),
    ("alert" = Option<String>, Query, description = "Only firings of the alert with this number"),
    ("instance" = Option<String>, Query, description = "Only firings on this host"),
    ("name" = Option<String>, Query, description = "Only alerts of this name"),
    ("severity" = Option<String>, Query, description = "`critical`, `warning` or `info`"),
    ("from_ms" = Option<i64>, Query, description = "Only what fired at this time or later"),
    ("to_ms" = Option<i64>, Query, description = "Only what began at this time or earlier"),
    ("before" = Option<String>, Query, description = "What the page before gave as `before`"),
    ("limit" = Option<u64>, Query, description = "At most so many, up to 5,000; 100 if absent"),
), responses(
    (status = 200, description = "A page of firings", body = AlertHistory),
    (status = 400, description = "A parameter is unknown or cannot be read", body = Failure),
))]
pub(crate) async fn history(
    _: Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<AlertHistory>, ApiFailure> {
    let mut filter = EpisodeFilter::default();
    let mut limit = HISTORY_PAGE;
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let text = || Some(value.to_string());
        match &*name {
            "search" => filter.search = text(),
            "alert" => filter.alert = text(),
            "instance" => filter.instance = text(),
            "name" => filter.name = text(),
            "severity" => filter.severity = text(),
            "before" => filter.before = text(),
            "from_ms" => filter.from_ms = Some(number("from_ms", &value)?),
            "to_ms" => filter.to_ms = Some(number("to_ms", &value)?),
            "limit" => limit = number("limit", &value)?.unsigned_abs(),
            other => return Err(unknown(other)),
        }
    }
    let (episodes, before) = app.meta.episodes(&filter, limit).await?;
    let episodes = episodes.into_iter().map(alarms::shown_episode).collect();
    Ok(Json(AlertHistory { episodes, before }))
}

fn number(name: &str, text: &str) -> Result<i64, ApiFailure> {
    text.parse().map_err(|_| ApiFailure::bad_request(format!("{name}={text:?} is no number")))
}

fn unknown(name: &str) -> ApiFailure {
    ApiFailure::bad_request(format!("unknown parameter {name:?}"))
}

/// Says why somebody was told of an alert at a moment, or not.
#[utoipa::path(get, path = "/api/muster/v1/alerts/why-not", params(
    ("alert" = Option<String>, Query, description = "The alert's number; else `instance`, `name` or both"),
    ("instance" = Option<String>, Query, description = "The host"),
    ("name" = Option<String>, Query, description = "The alert's name"),
    ("at_ms" = Option<i64>, Query, description = "The moment; now if absent"),
    ("receiver" = Option<String>, Query, description = "Only what concerns this receiver or channel"),
), responses(
    (status = 200, description = "The answer, with the facts it stands on", body = WhyNot),
    (status = 400, description = "A parameter is unknown or cannot be read", body = Failure),
))]
pub(crate) async fn why_not(
    _: Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<WhyNot>, ApiFailure> {
    let mut question = Question { at_ms: app.clock.now_ms(), ..Question::default() };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "alert" => question.alert = Some(value.into_owned()),
            "instance" => question.instance = Some(value.into_owned()),
            "name" => question.name = Some(value.into_owned()),
            "receiver" => question.receiver = Some(value.into_owned()),
            "at_ms" => question.at_ms = number("at_ms", &value)?,
            other => return Err(unknown(other)),
        }
    }
    if question.alert.is_none() && question.instance.is_none() && question.name.is_none() {
        return Err(ApiFailure::bad_request("say which alert: alert=, or instance= and name="));
    }
    if let Some(receiver) =
        question.receiver.as_deref().filter(|name| !alarms::is_receiver(&app, name))
    {
        return Err(ApiFailure::bad_request(format!(
            "there is no receiver or channel named {receiver:?}; the names stand under Rules › Routing and Rules › Channels"
        )));
    }
    Ok(Json(alarms::why_not(&app, &question).await?))
}

/// Takes note of an alert: it is neither repeated nor escalated.
#[utoipa::path(post, path = "/api/muster/v1/alerts/{id}/acknowledge", params(("id" = String, Path,)), request_body = Acknowledge, responses(
    (status = 204, description = "Done"),
    (status = 403, description = "Not an operator", body = Failure),
    (status = 404, description = "No such alert fires or is pending", body = Failure),
))]
pub(crate) async fn acknowledge(
    Operator(who): Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<Acknowledge>,
) -> Result<StatusCode, ApiFailure> {
    if request.note.len() > MAX_NOTE {
        return Err(ApiFailure::bad_request("a note has at most 1,000 bytes"));
    }
    let now_ms = app.clock.now_ms();
    let ack = Acknowledgement { by: who.actor.name, at_ms: now_ms, note: request.note };
    change(&app, |core| core.acknowledge(&id, Some(ack), now_ms)).await
}

/// Takes an acknowledgement back.
#[utoipa::path(delete, path = "/api/muster/v1/alerts/{id}/acknowledge", params(("id" = String, Path,)), responses(
    (status = 204, description = "Done"),
    (status = 403, description = "Not an operator", body = Failure),
    (status = 404, description = "No such alert fires or is pending", body = Failure),
))]
pub(crate) async fn take_back(
    _: Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    let now_ms = app.clock.now_ms();
    change(&app, |core| core.acknowledge(&id, None, now_ms)).await
}

/// Gives an alert to somebody, or to nobody.
#[utoipa::path(post, path = "/api/muster/v1/alerts/{id}/assign", params(("id" = String, Path,)), request_body = AssignAlert, responses(
    (status = 204, description = "Done"),
    (status = 400, description = "There is no such account", body = Failure),
    (status = 403, description = "Not an operator", body = Failure),
    (status = 404, description = "No such alert", body = Failure),
))]
pub(crate) async fn assign(
    Operator(who): Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<AssignAlert>,
) -> Result<StatusCode, ApiFailure> {
    if let Some(name) = &request.to
        && app.meta.user_by_name(name).await?.is_none()
    {
        return Err(ApiFailure::bad_request(format!("there is no account named {name:?}")));
    }
    let now_ms = app.clock.now_ms();
    change(&app, |core| core.assign(&id, request.to, &who.actor.name, now_ms)).await
}

async fn change(
    app: &App,
    change: impl FnOnce(&mut muster_alerting::Dispatcher) -> bool,
) -> Result<StatusCode, ApiFailure> {
    if !app.alarms.change(app.clock.now_ms(), change) {
        return Err(no_alert());
    }
    app.alarms.settled().await?;
    Ok(StatusCode::NO_CONTENT)
}

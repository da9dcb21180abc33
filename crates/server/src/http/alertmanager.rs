//! Alertmanager's API v2: what `amtool`, Grafana and a Prometheus that sends alerts here speak.
//!
//! The source is Alertmanager's OpenAPI document; failures are JSON strings, as there.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muster_alerting::{AlertView, Matchers, PostedState};
use regex::Regex;
use serde_json::{Value, json};

use super::alertmanager_body::{Body, Refusal, bad};
use super::alertmanager_json::{
    GettableAlert, PostableAlert, PostableSilence, gettable_silence, time,
};
use super::authority::{Operator, Reader};
use super::push_authority::Pusher;
use super::silences;
use crate::app::App;

/// Which alerts are asked for.
struct Wanted {
    active: bool,
    silenced: bool,
    inhibited: bool,
    matchers: Vec<Matchers>,
    receiver: Option<Regex>,
}

impl Wanted {
    fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let mut wanted = Self {
            active: true,
            silenced: true,
            inhibited: true,
            matchers: Vec::new(),
            receiver: None,
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let flag = || {
                value.parse().map_err(|_| bad(format!("{name} is true or false, not {value:?}")))
            };
            match &*name {
                "active" => wanted.active = flag()?,
                "silenced" => wanted.silenced = flag()?,
                "inhibited" => wanted.inhibited = flag()?,
                // Nothing waits here to be looked at.
                "unprocessed" | "muted" => _ = flag()?,
                "filter" => wanted.matchers.push(matchers(&value)?),
                "receiver" => {
                    let whole = Regex::new(&format!("^(?:{value})$"));
                    wanted.receiver = Some(whole.map_err(|error| bad(error.to_string()))?);
                }
                // As in Alertmanager, what is not known does not matter.
                _ => {}
            }
        }
        Ok(wanted)
    }

    fn lets(&self, view: &AlertView<'_>) -> bool {
        let (is_silenced, is_inhibited) =
            (!view.silenced_by.is_empty(), !view.inhibited_by.is_empty());
        let by_receiver = self
            .receiver
            .as_ref()
            .is_none_or(|wanted| view.receivers.iter().any(|receiver| wanted.is_match(receiver)));
        view.state == PostedState::Firing
            && (self.active || is_silenced || is_inhibited)
            && (self.silenced || !is_silenced)
            && (self.inhibited || !is_inhibited)
            && by_receiver
            && self.matchers.iter().all(|one| one.matches(&view.posted.labels))
    }
}

fn matchers(text: &str) -> Result<Matchers, Refusal> {
    Matchers::parse(text).map_err(|error| bad(format!("bad matcher format: {text}: {error}")))
}

/// What this is, and its routes.
pub(crate) async fn status(_: Reader, State(app): State<Arc<App>>) -> Json<Value> {
    let channels = app.alarms.channel_names();
    let original = app.alarms.look(|core| core.routing().to_alertmanager(&channels));
    Json(json!({
        "cluster": { "name": "muster", "peers": [], "status": "ready" },
        "config": { "original": original.to_string() },
        "uptime": time(app.started_ms),
        "versionInfo": {
            "branch": "", "buildDate": "", "buildUser": "muster", "goVersion": "",
            "revision": "", "version": env!("CARGO_PKG_VERSION"),
        },
    }))
}

/// All receivers.
pub(crate) async fn receivers(_: Reader, State(app): State<Arc<App>>) -> Json<Value> {
    let mut names = app.alarms.channel_names();
    names.extend(app.alarms.look(|core| core.routing().receivers()));
    Json(names.into_iter().map(|name| json!({ "name": name })).collect())
}

/// The alerts that fire.
pub(crate) async fn alerts(
    _: Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<GettableAlert>>, Refusal> {
    let wanted = Wanted::read(query.as_deref())?;
    let now_ms = app.clock.now_ms();
    Ok(Json(app.alarms.look(|core| {
        let views = core.alerts().filter(|view| wanted.lets(view));
        views.map(|view| GettableAlert::new(&view, now_ms)).collect()
    })))
}

/// Takes alerts of other programs. One that makes no sense is told, and the others are taken all the same.
pub(crate) async fn post_alerts(
    _: Pusher,
    State(app): State<Arc<App>>,
    Body(alerts): Body<Vec<PostableAlert>>,
) -> Result<Response, Refusal> {
    let now_ms = app.clock.now_ms();
    let (mut posted, mut refused) = (Vec::new(), Vec::new());
    for alert in alerts {
        match alert.posted(now_ms) {
            Ok(alert) => posted.push(alert),
            Err(error) => refused.push(error),
        }
    }
    app.alarms.post(posted);
    // Who sent them sends them again if this fails.
    app.alarms
        .settled()
        .await
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    if refused.is_empty() {
        Ok(StatusCode::OK.into_response())
    } else {
        Err(bad(refused.join("; ")))
    }
}

/// The alerts that fire, by group.
pub(crate) async fn groups(
    _: Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Value>>, Refusal> {
    let wanted = Wanted::read(query.as_deref())?;
    let now_ms = app.clock.now_ms();
    Ok(Json(app.alarms.look(|core| {
        let of_group = |group: muster_alerting::GroupView<'_>| {
            let is_wanted =
                wanted.receiver.as_ref().is_none_or(|regex| regex.is_match(group.receiver));
            let views = group.alerts.iter().filter_map(|id| core.alert(id));
            let alerts: Vec<GettableAlert> = views
                .filter(|view| is_wanted && wanted.lets(view))
                .map(|view| GettableAlert::new(&view, now_ms))
                .collect();
            (!alerts.is_empty()).then(|| GettableAlert::group(&group, &alerts))
        };
        core.groups().filter_map(of_group).collect()
    })))
}

/// Silences, those that hide first.
pub(crate) async fn silences(
    _: Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Value>>, Refusal> {
    let filters = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == "filter")
        .map(|(_, text)| matchers(&text))
        .collect::<Result<Vec<_>, _>>()?;
    let now_ms = app.clock.now_ms();
    Ok(Json(app.alarms.look(|core| {
        let mut found: Vec<_> = core
            .silences()
            .filter(|silence| {
                // A silence fits if a filter holds for one of its values, as in Alertmanager.
                filters.iter().flat_map(Matchers::iter).all(|filter| {
                    silence
                        .matchers
                        .iter()
                        .any(|own| own.name() == filter.name() && filter.matches(own.value()))
                })
            })
            .map(|silence| (silence.state(now_ms), silence))
            .collect();
        found.sort_by_key(|(state, silence)| {
            let rank = match state {
                muster_alerting::SilenceState::Active => 0,
                muster_alerting::SilenceState::Pending => 1,
                muster_alerting::SilenceState::Expired => 2,
            };
            (rank, silence.ends_at_ms)
        });
        found.into_iter().map(|(_, silence)| gettable_silence(silence, now_ms)).collect()
    })))
}

/// Makes a silence, or replaces one.
pub(crate) async fn post_silence(
    Operator(who): Operator,
    State(app): State<Arc<App>>,
    Body(silence): Body<PostableSilence>,
) -> Result<Response, Response> {
    let now_ms = app.clock.now_ms();
    let id = match silence.id.clone().filter(|id| !id.is_empty()) {
        None => silences::new_id(),
        Some(id) => {
            let is_over = app.alarms.look(|core| {
                let found = core.silence(&id);
                found.map(|one| one.state(now_ms) == muster_alerting::SilenceState::Expired)
            });
            match is_over {
                None => {
                    let error = "silence not found".to_owned();
                    return Err(Refusal::new(StatusCode::NOT_FOUND, error).into_response());
                }
                // What is over stays so; who changes it gets a new one.
                Some(true) => silences::new_id(),
                Some(false) => id,
            }
        }
    };
    let by =
        if silence.created_by.is_empty() { who.actor.name } else { silence.created_by.clone() };
    let made = silences::put(&app, &silence.spec(now_ms), id, &by).await;
    let made = made.map_err(IntoResponse::into_response)?;
    Ok(Json(json!({ "silenceID": made.id })).into_response())
}

/// One silence.
pub(crate) async fn silence(
    _: Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let now_ms = app.clock.now_ms();
    let found =
        app.alarms.look(|core| core.silence(&id).map(|silence| gettable_silence(silence, now_ms)));
    found.map(Json).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "silence not found"))
}

/// Ends a silence.
pub(crate) async fn delete_silence(
    who: Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Response> {
    let ended = silences::expire(who, State(app), Path(id)).await;
    ended.map(|_| StatusCode::OK).map_err(IntoResponse::into_response)
}

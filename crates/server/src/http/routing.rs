//! Routes: who hears of what.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use muster_api::{CheckRules, Failure, Routing, RuleProblem, RuleProblems, SetRouting};
use serde_json::json;

use super::authority::{Administrator, Operator, Reader};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::alarms::{ROUTING_SETTING, stored_routing};
use crate::app::App;

/// The longest text of routes, in bytes.
const MAX_YAML: usize = 256 << 10;

/// Shows the routes.
#[utoipa::path(get, path = "/api/muster/v1/routing", responses(
    (status = 200, description = "The routes in force", body = Routing),
))]
pub(crate) async fn show(
    _: Reader,
    State(app): State<Arc<App>>,
) -> Result<Json<Routing>, ApiFailure> {
    let setting = app.meta.setting(ROUTING_SETTING).await?;
    let is_default = setting.as_ref().is_none_or(|setting| setting.value["yaml"].is_null());
    let (routing, version) = stored_routing(&app.meta).await?;
    Ok(Json(Routing { yaml: routing.to_yaml().to_owned(), is_default, version }))
}

/// Sets the routes, or goes back to those that Muster has by itself.
#[utoipa::path(put, path = "/api/muster/v1/routing", request_body = SetRouting, responses(
    (status = 200, description = "The routes as they are now", body = Routing),
    (status = 400, description = "The text cannot be used", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 409, description = "Somebody else changed them meanwhile (`changed`)", body = Failure),
))]
pub(crate) async fn set(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<SetRouting>,
) -> Result<Json<Routing>, ApiFailure> {
    let routing = match &request.yaml {
        None => muster_alerting::Routing::built_in(),
        Some(yaml) => parsed(&app, yaml).map_err(ApiFailure::bad_request)?,
    };
    let now_ms = app.clock.now_ms();
    let value = json!({ "yaml": request.yaml });
    let set = app
        .meta
        .set_setting(&who.actor, ROUTING_SETTING, &value, Some(request.version), now_ms)
        .await?;
    app.alarms.refresh(&app.meta, now_ms).await?;
    Ok(Json(Routing {
        yaml: routing.to_yaml().to_owned(),
        is_default: request.yaml.is_none(),
        version: set.version,
    }))
}

/// Checks a text of routes.
#[utoipa::path(post, path = "/api/muster/v1/routing/check", request_body = CheckRules, responses(
    (status = 200, description = "What is wrong with it; `rules` is the number of receivers", body = RuleProblems),
    (status = 403, description = "Not an operator", body = Failure),
))]
pub(crate) async fn check(
    _: Operator,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<CheckRules>,
) -> Json<RuleProblems> {
    let problem = |text: String| RuleProblem { place: String::new(), text };
    Json(match parsed(&app, &request.yaml) {
        Ok(routing) => RuleProblems {
            problems: routing.warnings().iter().cloned().map(problem).collect(),
            rules: routing.receivers().len() as u64,
        },
        Err(error) => RuleProblems { problems: vec![problem(error)], rules: 0 },
    })
}

fn parsed(app: &App, yaml: &str) -> Result<muster_alerting::Routing, String> {
    if yaml.len() > MAX_YAML {
        return Err("routes have at most 256 KiB of text".to_owned());
    }
    let routing = muster_alerting::Routing::parse(yaml).map_err(|error| error.to_string())?;
    let unknown = routing.unknown_receivers(&app.alarms.channel_names());
    if unknown.is_empty() {
        return Ok(routing);
    }
    let names: Vec<String> = unknown.into_iter().collect();
    Err(format!(
        "there is no receiver or channel named {}; add it to `receivers`, or make such a channel",
        names.join(", ")
    ))
}

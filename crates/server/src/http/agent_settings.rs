//! Settings that agents are given: for all, for a group, for one host. They are data; an agent has no way to run anything.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_api::{
    EffectiveSettings, Failure, SetAgentSettings, SettingsLayer, SettingsLayers, SettingsScope,
};
use muster_collectors::collector_names;

use super::authority::{Administrator, Operator};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::agent_settings::check::check;
use crate::agent_settings::layers::{Layer, Scope, configuration};
use crate::agent_settings::set_layer;
use crate::app::App;

/// The longest name of a group, in characters.
const MAX_GROUP: usize = 64;

/// Lists the settings of agents, and what can be set.
#[utoipa::path(get, path = "/api/muster/v1/agent-settings", responses(
    (status = 200, description = "All layers", body = SettingsLayers),
    (status = 403, description = "Not an operator", body = Failure),
))]
pub(crate) async fn list(_: Operator, State(app): State<Arc<App>>) -> Json<SettingsLayers> {
    let central = app.central.now();
    Json(SettingsLayers {
        layers: central.layers.set().filter_map(|(layer, _)| shown(layer.clone())).collect(),
        groups: central.all_groups(),
        collectors: collector_names().into_iter().map(str::to_owned).collect(),
    })
}

/// Sets what all agents are told, but for what their groups and hosts say.
#[utoipa::path(put, path = "/api/muster/v1/agent-settings/all", request_body = SetAgentSettings, responses(
    (status = 200, description = "The settings as they are now", body = SettingsLayer),
    (status = 400, description = "A setting cannot be given to agents", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 409, description = "Somebody else changed them meanwhile (`changed`)", body = Failure),
))]
pub(crate) async fn set_all(
    who: Administrator,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<SetAgentSettings>,
) -> Result<Json<SettingsLayer>, ApiFailure> {
    set(&app, &who, Scope::All, request).await
}

/// Sets what the agents of a group are told.
#[utoipa::path(put, path = "/api/muster/v1/agent-settings/groups/{group}", params(("group" = String, Path,)), request_body = SetAgentSettings, responses(
    (status = 200, description = "The settings as they are now", body = SettingsLayer),
    (status = 400, description = "A setting cannot be given to agents, or that is no name of a group", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 409, description = "Somebody else changed them meanwhile (`changed`)", body = Failure),
))]
pub(crate) async fn set_group(
    who: Administrator,
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    ApiJson(request): ApiJson<SetAgentSettings>,
) -> Result<Json<SettingsLayer>, ApiFailure> {
    let fits = (1..=MAX_GROUP).contains(&group.chars().count());
    if !fits || group.trim() != group || group.chars().any(char::is_control) {
        return Err(ApiFailure::bad_request("a group's name has 1 to 64 characters"));
    }
    set(&app, &who, Scope::Group(group), request).await
}

/// Sets what one agent is told.
#[utoipa::path(put, path = "/api/muster/v1/agent-settings/hosts/{id}", params(("id" = String, Path, description = "The agent's number")), request_body = SetAgentSettings, responses(
    (status = 200, description = "The settings as they are now", body = SettingsLayer),
    (status = 400, description = "A setting cannot be given to agents", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such agent", body = Failure),
    (status = 409, description = "Somebody else changed them meanwhile (`changed`)", body = Failure),
))]
pub(crate) async fn set_host(
    who: Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<SetAgentSettings>,
) -> Result<Json<SettingsLayer>, ApiFailure> {
    super::agents::find(&app, &id).await?;
    set(&app, &who, Scope::Host(id), request).await
}

/// Removes what all agents are told.
#[utoipa::path(delete, path = "/api/muster/v1/agent-settings/all", responses(
    (status = 204, description = "Removed, or there was nothing"),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn remove_all(
    who: Administrator,
    State(app): State<Arc<App>>,
) -> Result<StatusCode, ApiFailure> {
    remove(&app, &who, Scope::All).await
}

/// Removes what the agents of a group are told.
#[utoipa::path(delete, path = "/api/muster/v1/agent-settings/groups/{group}", params(("group" = String, Path,)), responses(
    (status = 204, description = "Removed, or there was nothing"),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn remove_group(
    who: Administrator,
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    remove(&app, &who, Scope::Group(group)).await
}

/// Removes what one agent is told.
#[utoipa::path(delete, path = "/api/muster/v1/agent-settings/hosts/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Removed, or there was nothing"),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn remove_host(
    who: Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    remove(&app, &who, Scope::Host(id)).await
}

/// Says what one agent is told, all layers together.
#[utoipa::path(get, path = "/api/muster/v1/agents/{id}/settings", params(("id" = String, Path,)), responses(
    (status = 200, description = "The settings in force", body = EffectiveSettings),
    (status = 403, description = "Not an operator", body = Failure),
    (status = 404, description = "No such agent", body = Failure),
))]
pub(crate) async fn effective(
    _: Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<EffectiveSettings>, ApiFailure> {
    let agent = super::agents::find(&app, &id).await?;
    let settings = app.central.now().layers.resolve(&agent.id, &agent.groups);
    let revision = configuration(settings.clone()).revision;
    Ok(Json(EffectiveSettings { settings, revision }))
}

async fn set(
    app: &App,
    Administrator(who): &Administrator,
    scope: Scope,
    request: SetAgentSettings,
) -> Result<Json<SettingsLayer>, ApiFailure> {
    check(&request.settings).map_err(ApiFailure::bad_request)?;
    let priority = if matches!(scope, Scope::Group(_)) { request.priority } else { 0 };
    let layer = Some((priority, &request.settings));
    let set = set_layer(app, &who.actor, &scope, layer, request.version).await?;
    shown(set).map(Json).ok_or_else(ApiFailure::internal)
}

async fn remove(
    app: &App,
    Administrator(who): &Administrator,
    scope: Scope,
) -> Result<StatusCode, ApiFailure> {
    if app.central.now().layers.set().any(|(layer, _)| layer.scope == scope) {
        set_layer(app, &who.actor, &scope, None, None).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn shown(layer: Layer) -> Option<SettingsLayer> {
    let (scope, target) = match layer.scope {
        Scope::All => (SettingsScope::All, String::new()),
        Scope::Group(group) => (SettingsScope::Group, group),
        Scope::Host(id) => (SettingsScope::Host, id),
    };
    Some(SettingsLayer {
        scope,
        target,
        priority: layer.priority,
        settings: layer.settings?,
        version: layer.version,
        changed_ms: layer.changed_ms,
    })
}

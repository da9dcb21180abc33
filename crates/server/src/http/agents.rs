//! Agents: their connections, and the list of them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muster_api::{Agent, AgentList, AgentUpdate, ChangeAgent, Failure, UpdateOutcome};
use muster_wire::{Limits, UpdateReport, Version};

use super::authority::{Administrator, Reader};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::agent_settings;
use crate::app::App;
use crate::ingest::admission::{BAD_HOST_NAME, is_host_name};
use crate::ingest::session;
use crate::roster::Entry;

/// Frames of a second's samples are smaller; a larger buffer costs memory for each agent, and time to clear it.
const READ_BUFFER: usize = 8 << 10;

/// An agent's connection. It needs no permission: the agent proves itself inside it.
pub(crate) async fn connect(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(place) = Arc::clone(&app.agents).try_acquire_owned() else {
        return ApiFailure::busy("too many agents are connected").into_response();
    };
    let frame_bytes = Limits::default().frame_bytes;
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_frame_size(frame_bytes)
        .max_message_size(frame_bytes)
        .on_upgrade(move |socket| async move {
            session::serve(socket, app, address).await;
            drop(place);
        })
}

/// Lists the agents that have joined.
#[utoipa::path(get, path = "/api/muster/v1/agents", responses(
    (status = 200, description = "All agents, by host", body = AgentList),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn list(
    _: Reader,
    State(app): State<Arc<App>>,
) -> Result<Json<AgentList>, ApiFailure> {
    let agents = app.meta.list_agents().await?;
    let agents = agents.into_iter().map(|agent| shown(&app, agent)).collect();
    Ok(Json(AgentList { agents }))
}

/// Changes an agent's host name, groups or tags. One that is renamed connects anew, under its new name.
#[utoipa::path(patch, path = "/api/muster/v1/agents/{id}", params(("id" = String, Path,)), request_body = ChangeAgent, responses(
    (status = 200, description = "The agent as it is now", body = Agent),
    (status = 400, description = "The name, a group or a tag cannot be given", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such agent", body = Failure),
    (status = 409, description = "Another agent has the name (`name_taken`)", body = Failure),
))]
pub(crate) async fn change(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ChangeAgent>,
) -> Result<Json<Agent>, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let before = find(&app, &id).await?;
    let former = before.instance.clone();
    let mut agent = before;
    if request.groups.is_some() || request.tags.is_some() {
        let groups = request.groups.unwrap_or(agent.groups);
        let tags = request.tags.unwrap_or(agent.tags);
        agent = app.meta.set_agent_groups(&who.actor, &id, groups, tags, now_ms).await?;
        agent_settings::changed(&app).await;
    }
    if let Some(instance) = &request.instance {
        if !is_host_name(instance) {
            return Err(ApiFailure::bad_request(BAD_HOST_NAME));
        }
        agent = app.meta.rename_agent(&who.actor, &id, instance, now_ms).await?;
    }
    if agent.instance != former {
        app.roster.rename(&former, &agent.instance, now_ms);
    }
    Ok(Json(shown(&app, agent)))
}

/// Revokes an agent: its connection ends at once and it is not let in again.
#[utoipa::path(delete, path = "/api/muster/v1/agents/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Revoked"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such agent, or it is revoked already", body = Failure),
))]
pub(crate) async fn revoke(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    find(&app, &id).await?;
    let agent = app.meta.revoke_agent(&who.actor, &id, app.clock.now_ms()).await?;
    app.roster.revoke(&agent.instance);
    tracing::info!(by = who.actor.name, instance = agent.instance, "agent revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets an agent that was revoked. Its samples stay, and what the audit log says of it.
#[utoipa::path(post, path = "/api/muster/v1/agents/{id}/forget", params(("id" = String, Path,)), responses(
    (status = 204, description = "Forgotten"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such agent, or it is not revoked", body = Failure),
))]
pub(crate) async fn forget(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    app.meta.remove_agent(&who.actor, &id, app.clock.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An agent that is not revoked.
pub(super) async fn find(app: &App, id: &str) -> Result<muster_meta::Agent, ApiFailure> {
    let agent = app.meta.agent(id).await?.filter(|agent| !agent.revoked);
    agent.ok_or_else(|| ApiFailure::not_found("there is no such agent"))
}

fn shown(app: &App, agent: muster_meta::Agent) -> Agent {
    let entry = app.roster.get(&agent.instance).filter(|_| !agent.revoked);
    Agent {
        connected: entry.as_ref().is_some_and(|entry| entry.presence().connected),
        offered_version: entry.as_ref().and_then(|entry| newer_release(app, entry, &agent.version)),
        update: entry.and_then(|entry| entry.update()).map(update),
        id: agent.id,
        instance: agent.instance,
        asked_instance: agent.asked_instance,
        groups: agent.groups,
        tags: agent.tags,
        version: agent.version,
        created_ms: agent.created_ms,
        last_seen_ms: agent.last_seen_ms,
        revoked: agent.revoked,
    }
}

/// The version of the release for the host's machine, if it is newer than what runs there.
fn newer_release(app: &App, entry: &Entry, running: &str) -> Option<String> {
    let offer = app.downloads.offer(&entry.presence().facts?.os.arch)?;
    let version = offer.signed.release.version;
    (version > running.parse::<Version>().ok()?).then(|| version.to_string())
}

fn update(report: UpdateReport) -> AgentUpdate {
    use muster_wire::UpdateOutcome as Told;
    let outcome = match report.outcome {
        Told::Installed => UpdateOutcome::Installed,
        Told::RolledBack => UpdateOutcome::RolledBack,
        Told::Refused => UpdateOutcome::Refused,
        Told::NotAllowed => UpdateOutcome::NotAllowed,
        Told::Failed | Told::Other => UpdateOutcome::Failed,
    };
    AgentUpdate { version: report.version, outcome, message: report.message }
}

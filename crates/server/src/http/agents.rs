//! Agents: their connections, and the list of them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muster_api::{Agent, AgentList, Failure};
use muster_wire::Limits;

use super::authority::{Administrator, Reader};
use super::failure::ApiFailure;
use crate::app::App;
use crate::ingest::session;

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
    let agents = agents
        .into_iter()
        .map(|agent| {
            let entry = app.roster.get(&agent.instance);
            Agent {
                connected: entry.is_some_and(|entry| entry.presence().connected),
                id: agent.id,
                instance: agent.instance,
                groups: agent.groups,
                created_ms: agent.created_ms,
                last_seen_ms: agent.last_seen_ms,
                revoked: agent.revoked,
            }
        })
        .collect();
    Ok(Json(AgentList { agents }))
}

/// Revokes an agent: its connection ends at once and it is not let in again.
#[utoipa::path(delete, path = "/api/muster/v1/agents/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Revoked"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such agent", body = Failure),
))]
pub(crate) async fn revoke(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    let agents = app.meta.list_agents().await?;
    let Some(agent) = agents.into_iter().find(|agent| agent.id == id && !agent.revoked) else {
        return Err(ApiFailure::not_found("there is no such agent"));
    };
    app.meta.revoke_agent(&who.actor(), &id, app.clock.now_ms()).await?;
    app.roster.revoke(&agent.instance);
    tracing::info!(by = who.name, instance = agent.instance, "agent revoked");
    Ok(StatusCode::NO_CONTENT)
}

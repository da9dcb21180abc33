//! One's own account: its password and its sessions.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use muster_api::{Account, ChangePassword, Failure, OpenSession, OpenSessionList};

use super::authority::Person;
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use super::passwords;
use super::sign_in::confirm;
use crate::app::App;
use crate::local::api_role;

/// Shows one's own account.
#[utoipa::path(get, path = "/api/muster/v1/account", responses(
    (status = 200, description = "The account", body = Account),
    (status = 401, description = "Not signed in", body = Failure),
    (status = 403, description = "A token has no account", body = Failure),
))]
pub(crate) async fn show(
    person: Person,
    State(app): State<Arc<App>>,
) -> Result<Json<Account>, ApiFailure> {
    let user = person.user;
    let recovery_codes_left = app.meta.recovery_codes_left(&user.id).await?;
    Ok(Json(Account {
        has_password: !user.password_hash.is_empty(),
        user: user.name,
        role: api_role(user.role),
        second_factor: user.second_factor,
        recovery_codes_left,
        provider: user.identity.map(|identity| identity.issuer),
    }))
}

/// Changes one's own password; all other sessions of the account end.
#[utoipa::path(post, path = "/api/muster/v1/account/password", request_body = ChangePassword, responses(
    (status = 204, description = "Changed"),
    (status = 400, description = "The new password may not be chosen", body = Failure),
    (status = 403, description = "The old password is wrong (`bad_password`)", body = Failure),
    (status = 409, description = "The account has no password (`no_password`)", body = Failure),
    (status = 429, description = "Too many failed attempts", body = Failure),
))]
pub(crate) async fn change_password(
    person: Person,
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    ApiJson(request): ApiJson<ChangePassword>,
) -> Result<StatusCode, ApiFailure> {
    let Person { actor, user, session } = person;
    passwords::check(&request.new_password, &user.name)?;
    confirm(&app, address.ip(), &user, &request.old_password).await?;
    let hash = passwords::hash(&app, request.new_password).await?;
    let now_ms = app.clock.now_ms();
    app.meta.set_password_hash(&actor, &user.id, &hash, Some(&session.id), now_ms).await?;
    app.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Lists one's own sessions.
#[utoipa::path(get, path = "/api/muster/v1/account/sessions", responses(
    (status = 200, description = "The sessions, the newest first", body = OpenSessionList),
    (status = 403, description = "A token has no sessions", body = Failure),
))]
pub(crate) async fn sessions(
    person: Person,
    State(app): State<Arc<App>>,
) -> Result<Json<OpenSessionList>, ApiFailure> {
    list_sessions(&app, &person.user.id, Some(&person.session.id)).await
}

/// The sessions of an account; `current` is the number of the one that asks.
pub(super) async fn list_sessions(
    app: &App,
    user_id: &str,
    current: Option<&str>,
) -> Result<Json<OpenSessionList>, ApiFailure> {
    let sessions = app.meta.sessions_of_user(user_id, app.clock.now_ms()).await?;
    let sessions = sessions
        .into_iter()
        .map(|session| OpenSession {
            current: Some(session.id.as_str()) == current,
            id: session.id,
            created_ms: session.created_ms,
            last_seen_ms: session.last_seen_ms,
            expires_ms: session.expires_ms,
            address: session.address,
            user_agent: session.user_agent,
        })
        .collect();
    Ok(Json(OpenSessionList { sessions }))
}

/// Ends all of one's own sessions but this one.
#[utoipa::path(delete, path = "/api/muster/v1/account/sessions", responses(
    (status = 204, description = "Ended"),
    (status = 403, description = "A token has no sessions", body = Failure),
))]
pub(crate) async fn end_other_sessions(
    person: Person,
    State(app): State<Arc<App>>,
) -> Result<StatusCode, ApiFailure> {
    let (now_ms, keep) = (app.clock.now_ms(), Some(person.session.id.as_str()));
    app.meta.delete_sessions_of_user(&person.actor, &person.user.id, keep, now_ms).await?;
    app.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of one's own sessions.
#[utoipa::path(delete, path = "/api/muster/v1/account/sessions/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Ended"),
    (status = 404, description = "No such session of one's own", body = Failure),
))]
pub(crate) async fn end_session(
    person: Person,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    end_session_of(&app, &person.actor, &person.user.id, &id).await
}

/// Ends a session if it is this account's.
pub(super) async fn end_session_of(
    app: &App,
    by: &muster_meta::Actor,
    user_id: &str,
    id: &str,
) -> Result<StatusCode, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let own = app.meta.sessions_of_user(user_id, now_ms).await?;
    if own.iter().all(|session| session.id != id) {
        return Err(ApiFailure::not_found("there is no such session"));
    }
    app.meta.delete_session(by, id, now_ms).await?;
    app.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

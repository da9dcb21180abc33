//! The accounts of people, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_api::{
    ChangePerson, CreatePerson, Failure, NewPassword, OpenSessionList, Person, PersonList,
    SetPassword,
};
use muster_meta::{NewUser, User};

use super::account::{end_session_of, list_sessions};
use super::authority::Administrator;
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use super::passwords;
use super::tokens::meta_role;
use crate::app::App;
use crate::local::api_role;
use crate::secrets::generate_password;

/// Lists all accounts.
#[utoipa::path(get, path = "/api/muster/v1/people", responses(
    (status = 200, description = "All accounts, by name", body = PersonList),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn list(
    _: Administrator,
    State(app): State<Arc<App>>,
) -> Result<Json<PersonList>, ApiFailure> {
    let users = app.meta.list_users().await?;
    Ok(Json(PersonList { people: users.into_iter().map(person).collect() }))
}

/// Makes an account. A password that is made here is shown this once.
#[utoipa::path(post, path = "/api/muster/v1/people", request_body = CreatePerson, responses(
    (status = 200, description = "The account, and its password if it was made here", body = NewPassword),
    (status = 400, description = "Name, role or password may not be chosen", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 409, description = "The name is taken (`name_taken`)", body = Failure),
))]
pub(crate) async fn create(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<CreatePerson>,
) -> Result<Json<NewPassword>, ApiFailure> {
    let (hash, made) = new_password(&app, request.password, &request.name).await?;
    let new = NewUser {
        name: request.name,
        password_hash: hash,
        role: meta_role(request.role),
        identity: None,
    };
    let user = app.meta.create_user(&who.actor, new, app.clock.now_ms()).await?;
    Ok(Json(NewPassword { person: person(user), password: made }))
}

/// Changes an account's role, or shuts it out, at once.
#[utoipa::path(patch, path = "/api/muster/v1/people/{id}", params(("id" = String, Path,)), request_body = ChangePerson, responses(
    (status = 200, description = "The account as it is now", body = Person),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such account", body = Failure),
    (status = 409, description = "It is the last administrator who can sign in (`last_administrator`)", body = Failure),
))]
pub(crate) async fn change(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ChangePerson>,
) -> Result<Json<Person>, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let mut user = find(&app, &id).await?;
    if let Some(role) = request.role {
        user = app.meta.set_role(&who.actor, &id, meta_role(role), now_ms).await?;
    }
    if let Some(disabled) = request.disabled {
        user = app.meta.set_disabled(&who.actor, &id, disabled, now_ms).await?;
    }
    app.rights_changed();
    Ok(Json(person(user)))
}

/// Removes an account, with its sessions.
#[utoipa::path(delete, path = "/api/muster/v1/people/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Removed"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such account", body = Failure),
    (status = 409, description = "It is the last administrator who can sign in (`last_administrator`)", body = Failure),
))]
pub(crate) async fn remove(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    app.meta.remove_user(&who.actor, &id, app.clock.now_ms()).await?;
    app.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Gives somebody another password; all their sessions end. One that is made here is shown this once.
#[utoipa::path(post, path = "/api/muster/v1/people/{id}/password", params(("id" = String, Path,)), request_body = SetPassword, responses(
    (status = 200, description = "The account, and its password if it was made here", body = NewPassword),
    (status = 400, description = "The password may not be chosen", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such account", body = Failure),
))]
pub(crate) async fn set_password(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<SetPassword>,
) -> Result<Json<NewPassword>, ApiFailure> {
    let user = find(&app, &id).await?;
    let (hash, made) = new_password(&app, request.password, &user.name).await?;
    app.meta.set_password_hash(&who.actor, &id, &hash, None, app.clock.now_ms()).await?;
    app.rights_changed();
    Ok(Json(NewPassword { person: person(find(&app, &id).await?), password: made }))
}

/// Takes somebody's second factor away, as when their device is lost.
#[utoipa::path(delete, path = "/api/muster/v1/people/{id}/second-factor", params(("id" = String, Path,)), responses(
    (status = 204, description = "Off from now on"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such account", body = Failure),
))]
pub(crate) async fn remove_second_factor(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    app.meta.remove_totp(&who.actor, &id, app.clock.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists somebody's sessions.
#[utoipa::path(get, path = "/api/muster/v1/people/{id}/sessions", params(("id" = String, Path,)), responses(
    (status = 200, description = "The sessions, the newest first", body = OpenSessionList),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such account", body = Failure),
))]
pub(crate) async fn sessions(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<OpenSessionList>, ApiFailure> {
    let user = find(&app, &id).await?;
    list_sessions(&app, &user.id, who.session_id()).await
}

/// Ends all of somebody's sessions.
#[utoipa::path(delete, path = "/api/muster/v1/people/{id}/sessions", params(("id" = String, Path,)), responses(
    (status = 204, description = "Ended"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such account", body = Failure),
))]
pub(crate) async fn end_sessions(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    let user = find(&app, &id).await?;
    app.meta.delete_sessions_of_user(&who.actor, &user.id, None, app.clock.now_ms()).await?;
    app.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of somebody's sessions.
#[utoipa::path(delete, path = "/api/muster/v1/people/{id}/sessions/{session}", params(("id" = String, Path,), ("session" = String, Path,)), responses(
    (status = 204, description = "Ended"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such session of that account", body = Failure),
))]
pub(crate) async fn end_session(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path((id, session)): Path<(String, String)>,
) -> Result<StatusCode, ApiFailure> {
    end_session_of(&app, &who.actor, &id, &session).await
}

async fn find(app: &App, id: &str) -> Result<User, ApiFailure> {
    let user = app.meta.user(id).await?;
    user.ok_or_else(|| ApiFailure::not_found("there is no such account"))
}

/// The hash of the password that was chosen, or of one that is made and returned.
async fn new_password(
    app: &App,
    chosen: Option<String>,
    account: &str,
) -> Result<(String, Option<String>), ApiFailure> {
    if let Some(chosen) = &chosen {
        passwords::check(chosen, account)?;
    }
    let made = chosen.is_none().then(generate_password);
    let password = chosen.or_else(|| made.clone()).unwrap_or_default();
    Ok((passwords::hash(app, password).await?, made))
}

fn person(user: User) -> Person {
    Person {
        id: user.id,
        name: user.name,
        role: api_role(user.role),
        disabled: user.disabled,
        has_password: !user.password_hash.is_empty(),
        second_factor: user.second_factor,
        provider: user.identity.map(|identity| identity.issuer),
        created_ms: user.created_ms,
        last_sign_in_ms: user.last_sign_in_ms,
    }
}

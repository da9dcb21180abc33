//! Signing in and out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::{Failure, Session, SignIn, SignInWays};
use muster_meta::{MetaError, NewSession, User};

use super::authority::{
    Person, SESSION_IDLE_MS, SESSION_LIFE_MS, SignedIn, cookie_name, is_same_site, session_secret,
};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use super::sign_in::{authenticate, note_success};
use crate::app::App;
use crate::local::api_role;
use crate::secrets::{Secret, SecretKind, hash_secret};

/// Says in which ways people may sign in.
#[utoipa::path(get, path = "/api/muster/v1/sign-in", responses(
    (status = 200, description = "The ways beside name and password", body = SignInWays),
))]
pub(crate) async fn ways(State(app): State<Arc<App>>) -> Json<SignInWays> {
    Json(SignInWays { provider: app.provider_name() })
}

/// Signs in with name and password, and with a code where the account needs one.
#[utoipa::path(post, path = "/api/muster/v1/session", request_body = SignIn, responses(
    (status = 200, description = "Signed in; the session's cookie is set", body = Session),
    (status = 401, description = "Wrong name, password or code (`bad_credentials`), or a code is needed (`second_factor_needed`)", body = Failure),
    (status = 429, description = "Too many failed attempts; `Retry-After` says how long to wait", body = Failure),
))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<SignIn>,
) -> Result<Response, ApiFailure> {
    if !is_same_site(&Method::POST, &headers) {
        return Err(ApiFailure::forbidden("this request came from another site"));
    }
    let user = authenticate(&app, address.ip(), &request).await?;
    let (session, cookie) = open_session(&app, &user, address, &headers).await?;
    note_success(&app, address.ip(), &user);
    let mut response = Json(session).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Begins a session; what the browser had before ends, so nobody can know its secret beforehand.
pub(super) async fn open_session(
    app: &App,
    user: &User,
    address: SocketAddr,
    headers: &HeaderMap,
) -> Result<(Session, HeaderValue), ApiFailure> {
    let now_ms = app.clock.now_ms();
    let expires_ms = now_ms + SESSION_IDLE_MS;
    let secret = Secret::generate(SecretKind::Session);
    let replaces = session_secret(headers, app.is_secure()).map(hash_secret);
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let session = NewSession {
        secret_hash: secret.hash(),
        user_id: user.id.clone(),
        expires_ms,
        ends_ms: now_ms + SESSION_LIFE_MS,
        address: address.ip().to_canonical().to_string(),
        user_agent: agent.unwrap_or_default().to_owned(),
        replaces,
    };
    match app.meta.create_session(session, now_ms).await {
        Ok(_) => {}
        // The account was removed or disabled a moment ago.
        Err(MetaError::NotFound { .. }) => return Err(ApiFailure::not_signed_in()),
        Err(error) => return Err(error.into()),
    }
    if replaces.is_some() {
        app.authority_changed.notify_waiters();
    }
    app.meta.delete_expired_sessions(now_ms).await?;
    let (user, role) = (user.name.clone(), api_role(user.role));
    let cookie = cookie(app.is_secure(), secret.text(), SESSION_LIFE_MS / 1_000);
    Ok((Session { user, role, expires_ms: Some(expires_ms) }, cookie))
}

/// Says who is signed in.
#[utoipa::path(get, path = "/api/muster/v1/session", responses(
    (status = 200, description = "Who is signed in", body = Session),
    (status = 401, description = "Nobody", body = Failure),
))]
pub(crate) async fn show(who: SignedIn) -> Json<Session> {
    let (user, role) = (who.actor.name, api_role(who.role));
    Json(Session { user, role, expires_ms: who.expires_ms })
}

/// Signs out: the session's cookie is worth nothing from now on.
#[utoipa::path(delete, path = "/api/muster/v1/session", responses(
    (status = 204, description = "Signed out"),
    (status = 401, description = "Nobody was signed in", body = Failure),
    (status = 403, description = "A token cannot sign out", body = Failure),
))]
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    person: Person,
) -> Result<Response, ApiFailure> {
    let now_ms = app.clock.now_ms();
    app.meta.delete_session(&person.actor, &person.session.id, now_ms).await?;
    app.authority_changed.notify_waiters();
    let cookie = cookie(app.is_secure(), "", 0);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn cookie(secure: bool, value: &str, max_age_s: i64) -> HeaderValue {
    let name = cookie_name(secure);
    let secure = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::try_from(cookie).expect("a cookie of base64 text is a header value")
}

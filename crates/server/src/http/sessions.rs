//! Signing in and out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::{Failure, Session, SignIn};
use muster_meta::{NewSession, User};

use super::authority::{
    SESSION_IDLE_MS, SESSION_LIFE_MS, SignedIn, cookie_name, is_same_site, session_secret,
};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::app::App;
use crate::local::api_role;
use crate::secrets::{Secret, SecretKind, hash_secret, verify_password};

/// The longest name or password that is looked at.
const MAX_CREDENTIAL_BYTES: usize = 1_024;
/// A hash of no password: unknown accounts take as long as known ones.
const NO_ACCOUNT: &str = "$argon2id$v=19$m=19456,t=2,p=1$bXVzdGVyLW5vLWFjY291bnQ$\
                          0000000000000000000000000000000000000000000";

/// Signs in with name and password.
#[utoipa::path(post, path = "/api/muster/v1/session", request_body = SignIn, responses(
    (status = 200, description = "Signed in; the session's cookie is set", body = Session),
    (status = 401, description = "Wrong name or password", body = Failure),
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
    open_session(&app, &user, address, &headers).await
}

/// The account of this name and password. Attempts are counted and slowed down, by address and account.
pub(super) async fn authenticate(
    app: &Arc<App>,
    ip: IpAddr,
    request: &SignIn,
) -> Result<User, ApiFailure> {
    if request.user.len() > MAX_CREDENTIAL_BYTES || request.password.len() > MAX_CREDENTIAL_BYTES {
        return Err(ApiFailure::bad_request("name and password may have 1,024 bytes at most"));
    }
    let _waiting = app
        .waiting_sign_ins
        .try_acquire()
        .map_err(|_| ApiFailure::busy("too many people sign in at this moment; try again"))?;
    {
        // The attempt counts as failed until it has succeeded, so that parallel ones cannot slip through.
        let mut throttle = app.throttle.lock();
        let now = app.clock.monotonic_ms();
        let wait_ms = throttle.wait_ms(ip, &request.user, now);
        if wait_ms > 0 {
            return Err(ApiFailure::too_many_attempts(wait_ms));
        }
        throttle.failed(ip, &request.user, now);
    }
    let Some(user) = check_password(app, request).await? else {
        app.counters.failed_sign_ins.add(1);
        tracing::warn!(address = %ip, user = request.user, "sign-in failed");
        let error = "the name or the password is wrong";
        return Err(ApiFailure::new(StatusCode::UNAUTHORIZED, "bad_credentials", error));
    };
    app.throttle.lock().succeeded(ip, &request.user);
    app.counters.sign_ins.add(1);
    tracing::info!(address = %ip, user = user.name, "signed in");
    Ok(user)
}

/// The account, if the password is right.
async fn check_password(app: &Arc<App>, request: &SignIn) -> Result<Option<User>, ApiFailure> {
    let user = app.meta.user_by_name(&request.user).await?;
    let hash =
        user.as_ref().map_or_else(|| NO_ACCOUNT.to_owned(), |user| user.password_hash.clone());
    let password = request.password.clone();
    let turn = Arc::clone(&app.hashing).acquire_owned().await;
    let hashing = tokio::task::spawn_blocking(move || {
        // The turn lasts as long as the hashing, which goes on when the client has gone.
        let _turn = turn;
        verify_password(&password, &hash)
    });
    let right = hashing.await.map_err(|_| ApiFailure::internal())?;
    Ok(user.filter(|user| right && !user.disabled))
}

async fn open_session(
    app: &App,
    user: &User,
    address: SocketAddr,
    headers: &HeaderMap,
) -> Result<Response, ApiFailure> {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let now_ms = app.clock.now_ms();
    let expires_ms = now_ms + SESSION_IDLE_MS;
    let secret = Secret::generate(SecretKind::Session);
    let session = NewSession {
        secret_hash: secret.hash(),
        user_id: user.id.clone(),
        expires_ms,
        ends_ms: now_ms + SESSION_LIFE_MS,
        address: address.ip().to_string(),
        user_agent: user_agent.unwrap_or_default().to_owned(),
        replaces: session_secret(headers, app.secure).map(hash_secret),
    };
    app.meta.create_session(session, now_ms).await?;
    app.meta.delete_expired_sessions(now_ms).await?;
    let body = Session {
        user: user.name.clone(),
        role: api_role(user.role),
        expires_ms: Some(expires_ms),
    };
    let mut response = Json(body).into_response();
    set_cookie(&mut response, app.secure, secret.text(), 7 * 86_400);
    Ok(response)
}

/// Says who is signed in.
#[utoipa::path(get, path = "/api/muster/v1/session", responses(
    (status = 200, description = "Who is signed in", body = Session),
    (status = 401, description = "Nobody", body = Failure),
))]
pub(crate) async fn show(who: SignedIn) -> Json<Session> {
    Json(Session { user: who.name, role: api_role(who.role), expires_ms: who.expires_ms })
}

/// Signs out: the session's cookie is worth nothing from now on.
#[utoipa::path(delete, path = "/api/muster/v1/session", responses(
    (status = 204, description = "Signed out"),
    (status = 401, description = "Nobody was signed in", body = Failure),
))]
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    who: SignedIn,
) -> Result<Response, ApiFailure> {
    let actor = who.actor();
    let Some(session) = who.session else {
        return Err(ApiFailure::bad_request("a token cannot sign out; revoke it instead"));
    };
    app.meta.delete_session(&actor, &session, app.clock.now_ms()).await?;
    app.authority_changed.notify_waiters();
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, app.secure, "", 0);
    Ok(response)
}

fn set_cookie(response: &mut Response, secure: bool, value: &str, max_age_s: u32) {
    let name = cookie_name(secure);
    let secure = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    let value = HeaderValue::try_from(cookie).expect("a cookie of base64 text is a header value");
    response.headers_mut().insert(header::SET_COOKIE, value);
}

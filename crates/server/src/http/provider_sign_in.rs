//! Signing in at the identity provider: the browser goes there, and comes back with a code.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::Failure;
use muster_meta::{Actor, Identity, MetaError, NewUser, Role, Target, User};
use serde_json::{Map, Value, json};

use super::authority::cookie_value;
use super::failure::ApiFailure;
use super::sessions::open_session;
use crate::app::App;
use crate::oidc::{Answer, Attempt, Now, Provider};

/// The cookie that holds the attempt, until the browser is back.
const COOKIE: &str = "muster_provider";

/// Sends the browser to the identity provider.
#[utoipa::path(get, path = "/api/muster/v1/sign-in/provider", params(
    ("return_to" = Option<String>, Query, description = "The path of the page to go to afterwards"),
), responses(
    (status = 303, description = "Go on at the provider"),
    (status = 404, description = "There is no identity provider", body = Failure),
    (status = 503, description = "The provider does not answer", body = Failure),
))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiFailure> {
    let provider = provider(&app)?;
    let query = query.unwrap_or_default();
    let return_to = parameter(&query, "return_to").unwrap_or_default();
    let attempt = Attempt::begin(&return_to, app.clock.now_ms());
    let url = provider.sign_in_url(&attempt, now(&app)).await.map_err(|error| {
        tracing::error!(%error, "nobody can sign in at the identity provider");
        ApiFailure::busy("the identity provider does not answer; the server's log says why")
    })?;
    Ok(go(&url, &[cookie(&app, &attempt.cookie(), 600)]))
}

/// The browser comes back from the identity provider.
#[utoipa::path(get, path = "/api/muster/v1/sign-in/provider/callback", params(
    ("code" = Option<String>, Query, description = "The provider's code"),
    ("state" = Option<String>, Query, description = "What ties it to the browser"),
    ("iss" = Option<String>, Query, description = "The provider"),
    ("error" = Option<String>, Query, description = "Why the provider refuses"),
), responses(
    (status = 303, description = "Signed in: go on at the page. Else at `/?sign_in_failed=WORD`"),
    (status = 404, description = "There is no identity provider", body = Failure),
))]
pub(crate) async fn callback(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiFailure> {
    let provider = provider(&app)?;
    let over = cookie(&app, "", 0);
    match finish(&app, provider, address, &headers, &query.unwrap_or_default()).await {
        Ok((return_to, session)) => {
            app.counters.sign_ins.add(1);
            Ok(go(&return_to, &[over, session]))
        }
        Err(word) => {
            app.counters.failed_sign_ins.add(1);
            Ok(go(&format!("/?sign_in_failed={word}"), &[over]))
        }
    }
}

/// Where to go, and the new session's cookie; or a word for what went wrong, of which the log says more.
async fn finish(
    app: &Arc<App>,
    provider: &Provider,
    address: SocketAddr,
    headers: &HeaderMap,
    query: &str,
) -> Result<(String, HeaderValue), &'static str> {
    let failed = |word: &'static str, why: &dyn std::fmt::Display| {
        tracing::warn!(address = %address.ip(), %why, "sign-in at the identity provider failed");
        word
    };
    let name = cookie_name(app);
    let attempt = cookie_value(headers, &name)
        .and_then(|cookie| Attempt::from_cookie(cookie, app.clock.now_ms()));
    let attempt = attempt.ok_or_else(|| failed("expired", &"this browser began none"))?;
    let state = parameter(query, "state").unwrap_or_default();
    if !attempt.is_answered_by(&state) {
        return Err(failed("expired", &"the state is not that of this browser"));
    }
    if let Some(error) = parameter(query, "error") {
        return Err(failed("refused", &format!("the provider says {error:?}")));
    }
    let code = parameter(query, "code").ok_or_else(|| failed("refused", &"there is no code"))?;
    let issuer = parameter(query, "iss");
    let answer = Answer { code: &code, issuer: issuer.as_deref() };
    let claims = provider.claims(&attempt, answer, now(app)).await;
    let claims = claims.map_err(|error| failed("provider", &error))?;
    let Some(role) = provider.config.role(&claims).filter(|role| *role != Role::Writer) else {
        note_refusal(app, provider, &claims, address).await;
        return Err(failed("no_role", &"no value of the claim gives a role"));
    };
    let user = account(app, provider, &claims, role).await;
    let user = user.map_err(|error| failed("account", &error))?;
    if user.disabled {
        return Err(failed("disabled", &"the account is disabled"));
    }
    let opened = open_session(app, &user, address, headers).await;
    let (_, cookie) = opened.map_err(|_| failed("account", &"the session cannot be opened"))?;
    tracing::info!(address = %address.ip(), user = user.name, "signed in at the identity provider");
    Ok((attempt.return_to, cookie))
}

/// The account of the person whom the provider knows; it is made at the first time, and gets the role that the provider
/// gives each time.
async fn account(
    app: &App,
    provider: &Provider,
    claims: &Map<String, Value>,
    role: Role,
) -> Result<User, MetaError> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str).map(str::trim);
    let subject = text("sub").unwrap_or_default().to_owned();
    let identity = Identity { issuer: provider.config.issuer.clone(), subject };
    let (actor, now_ms) = (Actor::server(), app.clock.now_ms());
    if let Some(user) = app.meta.user_by_identity(&identity).await? {
        if user.role == role || user.disabled {
            return Ok(user);
        }
        let changed = app.meta.set_role(&actor, &user.id, role, now_ms).await;
        app.rights_changed();
        return match changed {
            Err(error @ MetaError::LastAdministrator { .. }) => {
                tracing::warn!(%error, "an account keeps its role, whatever the identity provider says");
                Ok(user)
            }
            changed => changed,
        };
    }
    let named = ["preferred_username", "email", "name", "sub"].into_iter().find_map(text);
    let name: String = named.unwrap_or_default().chars().take(60).collect();
    let new = |name: String| NewUser {
        name,
        password_hash: String::new(),
        role,
        identity: Some(identity.clone()),
    };
    match app.meta.create_user(&actor, new(name.clone()), now_ms).await {
        // A name is no proof: an account that has it already stays whose it is.
        Err(MetaError::NameTaken { .. }) => {
            let other = format!("{name} ({})", provider.config.name);
            app.meta.create_user(&actor, new(other), now_ms).await
        }
        made => made,
    }
}

async fn note_refusal(
    app: &App,
    provider: &Provider,
    claims: &Map<String, Value>,
    address: SocketAddr,
) {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let actor = Actor::nobody(subject, &address.ip().to_string());
    let target = Target::new("user", "", subject);
    let detail = Some(json!({ "wrong": "no role", "issuer": provider.config.issuer }));
    let now_ms = app.clock.now_ms();
    if let Err(error) =
        app.meta.record_deed(&actor, "session.refused", target, detail, now_ms).await
    {
        tracing::warn!(%error, "a failed sign-in is not in the audit log");
    }
}

fn provider(app: &App) -> Result<&Provider, ApiFailure> {
    app.provider.as_ref().ok_or_else(|| ApiFailure::not_found("there is no identity provider"))
}

fn now(app: &App) -> Now {
    Now { wall_ms: app.clock.now_ms(), monotonic_ms: app.clock.monotonic_ms() }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

fn cookie_name(app: &App) -> String {
    if app.is_secure() { format!("__Host-{COOKIE}") } else { COOKIE.to_owned() }
}

/// The browser sends it when it comes back, as that is a person's way from page to page (`Lax`).
fn cookie(app: &App, value: &str, max_age_s: u32) -> HeaderValue {
    let (name, secure) = (cookie_name(app), if app.is_secure() { "; Secure" } else { "" });
    let cookie =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::try_from(cookie).expect("a cookie of base64 text is a header value")
}

fn go(to: &str, cookies: &[HeaderValue]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let to = HeaderValue::try_from(to).expect("an address that was checked is a header value");
    response.headers_mut().insert(header::LOCATION, to);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}

//! Authority as a value: a handler that may do something takes the permission to do it as an argument.
//!
//! [`Reader`] may read, [`Administrator`] may change what everybody depends on, [`SignedIn`] is anyone known.
//! A permission comes from a session cookie or a bearer token; there is no other way to make one, and so no
//! route that forgets to check.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_meta::{Actor, ActorKind, Permission, Role};

use super::failure::ApiFailure;
use crate::app::App;
use crate::secrets::hash_secret;

/// The session cookie's name without TLS; with TLS it has the prefix `__Host-`, which browsers tie to this host.
const COOKIE: &str = "muster_session";
/// How often the last use of a session or token is noted.
const TOUCH_EVERY_MS: i64 = 60_000;
/// How long a session lasts after its last use.
pub(crate) const SESSION_IDLE_MS: i64 = 12 * 3_600_000;
/// How long a session lasts at most.
pub(crate) const SESSION_LIFE_MS: i64 = 7 * 86_400_000;

/// Somebody known.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    /// Name of the account or token.
    pub(crate) name: String,
    /// Number of the account or token.
    pub(crate) id: String,
    /// Where the request comes from; empty where that does not matter.
    pub(crate) address: String,
    pub(crate) role: Role,
    pub(crate) expires_ms: Option<i64>,
    /// The number of the session; none for a token.
    pub(crate) session: Option<String>,
    /// SHA-256 of the secret that proved it.
    secret_hash: [u8; 32],
}

impl SignedIn {
    /// Who takes a share of what is scarce: all sessions of an account are one.
    pub(crate) fn principal(&self) -> String {
        let kind = if self.session.is_some() { "account" } else { "token" };
        format!("{kind} {}", self.name)
    }

    /// How the audit log names them.
    pub(crate) fn actor(&self) -> Actor {
        let kind = if self.session.is_some() { ActorKind::User } else { ActorKind::Token };
        Actor::new(kind, &self.id, &self.name, &self.address)
    }

    /// Whether the session or token still lets somebody read. A database that does not answer ends nothing.
    pub(crate) async fn still_reads(&self, app: &App) -> bool {
        let found = if self.session.is_some() {
            by_session(app, self.secret_hash).await
        } else {
            by_token(app, self.secret_hash).await
        };
        match found {
            Ok(who) => who.role.permits(Permission::Read),
            Err(failure) => !failure.is_not_signed_in(),
        }
    }
}

/// Somebody who may read everything but secrets.
#[derive(Debug, Clone)]
pub(crate) struct Reader(pub(crate) SignedIn);

/// Somebody who may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Administrator(pub(crate) SignedIn);

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let address = address.map(|ConnectInfo(address)| address.ip().to_string());
        let address = address.unwrap_or_default();
        if let Some(token) = token(&parts.headers) {
            let who = by_token(app, hash_secret(&token)).await?;
            return Ok(Self { address, ..who });
        }
        let Some(secret) = session_secret(&parts.headers, app.secure) else {
            return Err(ApiFailure::not_signed_in());
        };
        if !is_same_site(&parts.method, &parts.headers) {
            return Err(ApiFailure::forbidden("this request came from another site"));
        }
        let who = by_session(app, hash_secret(secret)).await?;
        Ok(Self { address, ..who })
    }
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let who = SignedIn::from_request_parts(parts, app).await?;
        if who.role.permits(Permission::Read) {
            Ok(Self(who))
        } else {
            Err(ApiFailure::forbidden("this token may only push samples"))
        }
    }
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let who = SignedIn::from_request_parts(parts, app).await?;
        if who.role.permits(Permission::Administer) {
            Ok(Self(who))
        } else {
            Err(ApiFailure::forbidden("only an administrator may do this"))
        }
    }
}

pub(super) async fn by_token(app: &App, secret_hash: [u8; 32]) -> Result<SignedIn, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let found = app.meta.api_token_by_hash(&secret_hash, now_ms).await?;
    let Some(token) = found else {
        return Err(ApiFailure::not_signed_in());
    };
    if token.last_used_ms.is_none_or(|at| now_ms - at > TOUCH_EVERY_MS) {
        // A full disk must not keep anybody from reading.
        if let Err(error) = app.meta.touch_api_token(&token.id, now_ms).await {
            tracing::warn!(%error, "the last use of a token is not noted");
        }
    }
    Ok(SignedIn {
        name: token.name,
        id: token.id,
        address: String::new(),
        role: token.role,
        expires_ms: token.expires_ms,
        session: None,
        secret_hash,
    })
}

async fn by_session(app: &App, secret_hash: [u8; 32]) -> Result<SignedIn, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let Some((session, user)) = app.meta.session_by_hash(&secret_hash, now_ms).await? else {
        return Err(ApiFailure::not_signed_in());
    };
    let extended = (now_ms + SESSION_IDLE_MS).min(session.ends_ms);
    let expires_ms = session.expires_ms.max(extended);
    if extended - session.expires_ms > TOUCH_EVERY_MS
        && let Err(error) = app.meta.touch_session(&session, expires_ms, now_ms).await
    {
        tracing::warn!(%error, "a session is not extended");
    }
    Ok(SignedIn {
        name: user.name,
        id: user.id,
        address: String::new(),
        role: user.role,
        expires_ms: Some(expires_ms),
        session: Some(session.id),
        secret_hash,
    })
}

/// The token of `Authorization: Bearer TOKEN`, or the password of `Basic`, whatever the name before it: many clients
/// know no other way.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    let bytes = STANDARD.decode(rest.trim()).ok()?;
    let pair = String::from_utf8(bytes).ok()?;
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| pair.split_once(':'))?
        .map(|(_, token)| token.to_owned())
}

/// The name of the session cookie.
pub(crate) fn cookie_name(secure: bool) -> String {
    if secure { format!("__Host-{COOKIE}") } else { COOKIE.to_owned() }
}

pub(super) fn session_secret(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let wanted = cookie_name(secure);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// Whether a request that changes something comes from our own page: browsers say so in `Sec-Fetch-Site`,
/// older ones in `Origin`. A request with neither is no browser's cross-site request.
pub(crate) fn is_same_site(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (text("origin"), text("host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[track_caller]
    fn check_site(method: &Method, pairs: &[(&'static str, &'static str)], expected: bool) {
        assert_eq!(is_same_site(method, &headers(pairs)), expected);
    }

    #[test]
    fn other_sites_cannot_change_anything() {
        check_site(&Method::GET, &[("sec-fetch-site", "cross-site")], true);
        check_site(&Method::POST, &[("sec-fetch-site", "cross-site")], false);
        check_site(&Method::POST, &[("sec-fetch-site", "same-site")], false);
        check_site(&Method::DELETE, &[("sec-fetch-site", "same-origin")], true);
        check_site(&Method::POST, &[("origin", "https://evil"), ("host", "muster:6868")], false);
        check_site(
            &Method::POST,
            &[("origin", "http://muster:6868"), ("host", "muster:6868")],
            true,
        );
        check_site(&Method::POST, &[("origin", "null"), ("host", "muster:6868")], false);
        check_site(&Method::POST, &[], true);
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let found = headers(&[("cookie", "a=b; muster_session=abc; c=d")]);
        assert_eq!(session_secret(&found, false), Some("abc"));
        assert_eq!(session_secret(&found, true), None);
    }

    #[test]
    fn a_token_is_taken_from_its_header_only() {
        let taken = |value| token(&headers(&[("authorization", value)]));
        assert_eq!(taken("bearer  x ").as_deref(), Some("x"));
        // "grafana:x:y"
        assert_eq!(taken("Basic Z3JhZmFuYTp4Onk=").as_deref(), Some("x:y"));
        for value in ["Basic x", "Basic eA==", "Digest Z3JhZmFuYTp4Onk="] {
            assert_eq!(taken(value), None, "{value}");
        }
        assert_eq!(token(&headers(&[("cookie", "authorization=bearer x")])), None);
    }
}

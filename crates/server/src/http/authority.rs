//! Authority as a value: a handler that may do something takes the permission to do it as an argument.
//!
//! [`Reader`] may read, [`Operator`] also how agents are set up, [`Administrator`] may change what everybody depends on, [`SignedIn`] is anyone known, [`Person`]
//! somebody at the page.
//! A permission comes from a session cookie or a bearer token; there is no other way to make one, and so no
//! route that forgets to check.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use muster_meta::{Actor, ActorKind, ApiToken, Permission, Role, Session, User};

use super::bearer::{Credentials, credentials, known, of_token};
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
    /// The account or token, and the address it comes from.
    pub(crate) actor: Actor,
    pub(crate) role: Role,
    pub(crate) expires_ms: Option<i64>,
    /// The session with its account; none for a token.
    session: Option<(Session, User)>,
    /// SHA-256 of the secret that proved it.
    secret_hash: [u8; 32],
}

impl SignedIn {
    /// Who takes a share of what is scarce: all sessions of an account are one.
    pub(crate) fn principal(&self) -> String {
        format!("{} {}", self.actor.kind, self.actor.name)
    }

    /// The number of the session; none for a token.
    pub(crate) fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|(session, _)| session.id.as_str())
    }

    /// Whether the session or token still lets somebody read. A database that does not answer ends nothing.
    pub(crate) async fn still_reads(&self, app: &App) -> bool {
        let role = if self.session.is_some() {
            by_session(app, self.secret_hash, &self.actor.address).await.map(|who| who.role)
        } else {
            by_token(app, self.secret_hash).await.map(|token| token.role)
        };
        match role {
            Ok(role) => role.permits(Permission::Read),
            Err(failure) => !failure.is_not_signed_in(),
        }
    }
}

/// Somebody who has signed in on the page; no token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) actor: Actor,
    pub(crate) user: User,
    pub(crate) session: Session,
}

/// Somebody who may read everything but secrets.
#[derive(Debug, Clone)]
pub(crate) struct Reader(pub(crate) SignedIn);

/// Somebody who may also see how agents are set up, and who deals with alerts.
#[derive(Debug, Clone)]
pub(crate) struct Operator(pub(crate) SignedIn);

/// Somebody who may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Administrator(pub(crate) SignedIn);

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let address = address.map(|at| at.0.ip().to_canonical().to_string()).unwrap_or_default();
        if let Some(header) = parts.headers.get(header::AUTHORIZATION)
            && let Some(who) = by_header(app, header.as_bytes(), &address).await?
        {
            return Ok(who);
        }
        let Some(secret) = session_secret(&parts.headers, app.is_secure()) else {
            return Err(ApiFailure::not_signed_in());
        };
        if !is_same_site(&parts.method, &parts.headers) {
            return Err(ApiFailure::forbidden("this request came from another site"));
        }
        by_session(app, hash_secret(secret), &address).await
    }
}

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let who = SignedIn::from_request_parts(parts, app).await?;
        let error = "a token cannot do this; sign in on the page";
        let (session, user) = who.session.ok_or_else(|| ApiFailure::forbidden(error))?;
        Ok(Self { actor: who.actor, user, session })
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

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let who = SignedIn::from_request_parts(parts, app).await?;
        if who.role.permits(Permission::Operate) {
            Ok(Self(who))
        } else {
            Err(ApiFailure::forbidden("only an operator or administrator may do this"))
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

/// Whose the token in an `Authorization` header is; none if the header is of a kind that says nothing here.
async fn by_header(
    app: &App,
    header: &[u8],
    address: &str,
) -> Result<Option<SignedIn>, ApiFailure> {
    let proof = app.bearers.proof(header);
    let bearer = match known(app, &proof) {
        Some(bearer) => bearer,
        None => match credentials(header) {
            Some(Credentials::Token(token)) => of_token(app, proof, &token).await?,
            Some(Credentials::Account { .. }) => return Err(ApiFailure::not_signed_in()),
            None => return Ok(None),
        },
    };
    // A password is no way to read: who signs in with it has a session.
    let secret_hash = bearer.token_hash.ok_or_else(ApiFailure::not_signed_in)?;
    Ok(Some(SignedIn {
        actor: Actor::new(ActorKind::Token, &bearer.id, &bearer.name, address),
        role: bearer.role,
        expires_ms: bearer.expires_ms,
        session: None,
        secret_hash,
    }))
}

/// The token with this secret; that it is used is noted.
pub(super) async fn by_token(app: &App, secret_hash: [u8; 32]) -> Result<ApiToken, ApiFailure> {
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
    Ok(token)
}

async fn by_session(
    app: &App,
    secret_hash: [u8; 32],
    address: &str,
) -> Result<SignedIn, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let Some((session, user)) = app.meta.session_by_hash(&secret_hash, now_ms).await? else {
        return Err(ApiFailure::not_signed_in());
    };
    let expires_ms = (now_ms + SESSION_IDLE_MS).min(session.ends_ms).max(session.expires_ms);
    if now_ms - session.last_seen_ms > TOUCH_EVERY_MS
        && let Err(error) = app.meta.touch_session(&session, expires_ms, now_ms).await
    {
        tracing::warn!(%error, "a session is not extended");
    }
    Ok(SignedIn {
        actor: Actor::user(&user, address),
        role: user.role,
        expires_ms: Some(expires_ms),
        session: Some((session, user)),
        secret_hash,
    })
}

/// The name of the session cookie.
pub(crate) fn cookie_name(secure: bool) -> String {
    if secure { format!("__Host-{COOKIE}") } else { COOKIE.to_owned() }
}

pub(super) fn session_secret(headers: &HeaderMap, secure: bool) -> Option<&str> {
    cookie_value(headers, &cookie_name(secure))
}

/// The value of a cookie.
pub(super) fn cookie_value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
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
}

//! The permission to push samples: a token of a role that may, or name and password of such an account.
//!
//! Programs that push can say `Authorization: Bearer TOKEN` or use Basic authentication, with an account's password or with
//! a token in its place. A cookie is no way: no page pushes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_api::SignIn;
use muster_meta::{Permission, Role};

use super::authority::by_token;
use super::failure::ApiFailure;
use super::sessions::authenticate;
use crate::app::App;
use crate::pushers::{Found, Proof, RightPassword};
use crate::secrets::{SecretKind, hash_secret};

/// Somebody who may push samples.
#[derive(Debug, Clone)]
pub(crate) struct Pusher {
    /// Name of the account or token.
    pub(crate) name: Arc<str>,
}

/// What an `Authorization` header says.
#[derive(Debug, PartialEq, Eq)]
enum Credentials {
    Token(String),
    Account { user: String, password: String },
}

impl FromRequestParts<Arc<App>> for Pusher {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let header =
            parts.headers.get(header::AUTHORIZATION).ok_or_else(ApiFailure::not_signed_in)?;
        let proof = app.pushers.proof(header.as_bytes());
        if let Found::Pusher(name) = app.pushers.find(&proof, app.clock.monotonic_ms()) {
            return Ok(Self { name });
        }
        let header = header.to_str().map_err(|_| ApiFailure::not_signed_in())?;
        match credentials(header).ok_or_else(ApiFailure::not_signed_in)? {
            Credentials::Token(token) => by_its_token(app, proof, &token).await,
            Credentials::Account { user, password } => {
                let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
                let address = address.ok_or_else(ApiFailure::internal)?.0.ip();
                by_account(app, proof, address, SignIn { user, password }).await
            }
        }
    }
}

fn credentials(header: &str) -> Option<Credentials> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Token(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(if password.starts_with(SecretKind::ApiToken.prefix()) {
        Credentials::Token(password.to_owned())
    } else {
        Credentials::Account { user: user.to_owned(), password: password.to_owned() }
    })
}

async fn by_its_token(app: &App, proof: Proof, token: &str) -> Result<Pusher, ApiFailure> {
    let epoch = app.pushers.epoch();
    let who = by_token(app, hash_secret(token)).await?;
    admit(app, proof, &who.name, who.role, None, epoch)
}

async fn by_account(
    app: &Arc<App>,
    proof: Proof,
    address: IpAddr,
    request: SignIn,
) -> Result<Pusher, ApiFailure> {
    let _waiting = app
        .pushers
        .waiting
        .try_acquire()
        .map_err(|_| ApiFailure::busy("too many sign in at this moment; try again"))?;
    let _turn = app.pushers.hashing.lock().await;
    let epoch = app.pushers.epoch();
    match app.pushers.find(&proof, app.clock.monotonic_ms()) {
        Found::Pusher(name) => return Ok(Pusher { name }),
        Found::Perhaps(right) => {
            let user = app.meta.user_by_name(&right.account).await?;
            if let Some(user) =
                user.filter(|user| !user.disabled && user.password_hash == right.password_hash)
            {
                return admit(app, proof, &user.name, user.role, Some(right), epoch);
            }
        }
        Found::Nothing => {}
    }
    let user = authenticate(app, address, &request).await?;
    let right = RightPassword { account: user.name.clone(), password_hash: user.password_hash };
    admit(app, proof, &user.name, user.role, Some(right), epoch)
}

/// Lets somebody known push if their role may, and remembers it.
fn admit(
    app: &App,
    proof: Proof,
    name: &str,
    role: Role,
    password: Option<RightPassword>,
    epoch: u64,
) -> Result<Pusher, ApiFailure> {
    if !role.permits(Permission::Push) {
        let error = "this role may not push samples; make a token with `muster token create NAME --role writer`";
        return Err(ApiFailure::forbidden(error));
    }
    let name: Arc<str> = name.into();
    app.pushers.remember(proof, &name, password, epoch, app.clock.monotonic_ms());
    Ok(Pusher { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<&Credentials>) {
        assert_eq!(credentials(header).as_ref(), expected);
    }

    #[test]
    fn tokens_and_passwords_are_found_in_the_header() {
        check("Bearer muster_t_x", Some(&Credentials::Token("muster_t_x".into())));
        check("bearer  x ", Some(&Credentials::Token("x".into())));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let account = Credentials::Account { user: "ada".into(), password: "a:b".into() };
        check(&basic("ada:a:b"), Some(&account));
        let token = Credentials::Token("muster_t_y".into());
        check(&basic("anything:muster_t_y"), Some(&token));
        check(&basic("no colon"), None);
        check("Basic !!!", None);
        check("Digest x", None);
        check("Bearer", None);
    }
}

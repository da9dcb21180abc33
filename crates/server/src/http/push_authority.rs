//! The permission to push samples: a token of a role that may, or name and password of such an account.
//!
//! Programs that push can say `Authorization: Bearer TOKEN` or use Basic authentication, with an account's password or with
//! a token in its place. A cookie is no way: no page pushes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use muster_api::SignIn;
use muster_meta::{Permission, User};

use super::bearer::{Credentials, credentials, known, of_token};
use super::failure::ApiFailure;
use super::sign_in::{authenticate, note_success};
use crate::app::App;
use crate::bearers::{Bearer, Found, Proof, RightPassword};

/// Somebody who may push samples.
#[derive(Debug, Clone)]
pub(crate) struct Pusher {
    /// Name of the account or token.
    pub(crate) name: Arc<str>,
}

impl FromRequestParts<Arc<App>> for Pusher {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiFailure> {
        let header =
            parts.headers.get(header::AUTHORIZATION).ok_or_else(ApiFailure::not_signed_in)?;
        let proof = app.bearers.proof(header.as_bytes());
        if let Some(bearer) = known(app, &proof) {
            return admit(&bearer);
        }
        match credentials(header.as_bytes()).ok_or_else(ApiFailure::not_signed_in)? {
            Credentials::Token(token) => admit(&*of_token(app, proof, &token).await?),
            Credentials::Account { user, password } => {
                let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
                let address = address.ok_or_else(ApiFailure::internal)?.0.ip();
                admit(
                    &*of_account(app, proof, address, SignIn { user, password, code: None })
                        .await?,
                )
            }
        }
    }
}

/// Lets somebody known push if their role may.
fn admit(bearer: &Bearer) -> Result<Pusher, ApiFailure> {
    if !bearer.role.permits(Permission::Push) {
        let error = "this role may not push samples; make a token with `muster token create NAME --role writer`";
        return Err(ApiFailure::forbidden(error));
    }
    Ok(Pusher { name: Arc::clone(&bearer.name) })
}

async fn of_account(
    app: &Arc<App>,
    proof: Proof,
    address: IpAddr,
    request: SignIn,
) -> Result<Arc<Bearer>, ApiFailure> {
    let _waiting = app
        .bearers
        .waiting
        .try_acquire()
        .map_err(|_| ApiFailure::busy("too many sign in at this moment; try again"))?;
    let _turn = app.bearers.hashing.lock().await;
    let epoch = app.bearers.epoch();
    match app.bearers.find(&proof, app.clock.monotonic_ms()) {
        Found::Bearer(bearer) => return Ok(bearer),
        Found::Perhaps(right) => {
            let user = app.meta.user_by_name(&right.account).await?;
            let still_right = |user: &User| {
                let same = user.password_hash == right.password_hash;
                same && !user.disabled && !user.second_factor
            };
            if let Some(user) = user.filter(still_right) {
                return Ok(remember(app, proof, &user, right, epoch));
            }
        }
        Found::Nothing => {}
    }
    let user = authenticate(app, address, &request).await?;
    note_success(app, address, &user);
    let right =
        RightPassword { account: user.name.clone(), password_hash: user.password_hash.clone() };
    Ok(remember(app, proof, &user, right, epoch))
}

fn remember(
    app: &App,
    proof: Proof,
    user: &User,
    password: RightPassword,
    epoch: u64,
) -> Arc<Bearer> {
    let bearer = Arc::new(Bearer {
        id: user.id.as_str().into(),
        name: user.name.as_str().into(),
        role: user.role,
        expires_ms: None,
        token_hash: None,
    });
    app.bearers.remember(proof, &bearer, Some(password), epoch, app.clock.monotonic_ms());
    bearer
}

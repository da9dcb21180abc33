//! Who somebody is who gives a name and a password, and a code where the account needs one.
//!
//! Attempts are counted and slowed down by address, by account and by both; where an account was signed in to before, the
//! failures of others do not count (`throttle.rs` says what that is good for). Codes have six digits, so they are counted by account too, wherever they come from: only who knows
//! the password gets so far.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use muster_api::SignIn;
use muster_meta::{Actor, Target, User};
use serde_json::json;

use super::failure::ApiFailure;
use super::passwords::{self, MAX_CREDENTIAL_BYTES};
use crate::app::App;
use crate::secrets::hash_secret;
use crate::totp;

/// The most failed attempts a minute that get into the audit log; the log of the server has them all.
const AUDITED_A_MINUTE: u32 = 30;

/// The account of this name and password, and of the code if it needs one.
pub(super) async fn authenticate(
    app: &Arc<App>,
    ip: IpAddr,
    request: &SignIn,
) -> Result<User, ApiFailure> {
    let code = request.code.as_deref().map(str::trim).filter(|code| !code.is_empty());
    if code.is_some_and(|code| code.len() > MAX_CREDENTIAL_BYTES) {
        return Err(ApiFailure::bad_request("a code may have 1,024 bytes at most"));
    }
    let user = attempt(app, ip, &request.user, &request.password).await?;
    if user.second_factor {
        let Some(code) = code else {
            let error = "this account has a second factor: send its code too; programs use an API token instead";
            return Err(ApiFailure::new(StatusCode::UNAUTHORIZED, "second_factor_needed", error));
        };
        check_code(app, ip, &user, code).await?;
    }
    app.throttle.lock().succeeded(ip, &request.user, app.clock.monotonic_ms());
    Ok(user)
}

/// Counts and tells a sign-in; for when nothing of it can fail any more.
pub(super) fn note_success(app: &App, ip: IpAddr, user: &User) {
    app.counters.sign_ins.add(1);
    tracing::info!(address = %ip, user = user.name, "signed in");
}

/// Asks somebody who is signed in for their password again.
pub(super) async fn confirm(
    app: &Arc<App>,
    ip: IpAddr,
    user: &User,
    password: &str,
) -> Result<(), ApiFailure> {
    if user.password_hash.is_empty() {
        let error = "this account has no password: it signs in at the identity provider";
        return Err(ApiFailure::conflict("no_password", error));
    }
    attempt(app, ip, &user.name, password).await.map_err(|failure| {
        // The session is as good as before, so this must not read as being signed out.
        failure.or_forbidden("bad_password", "the password is wrong")
    })?;
    app.throttle.lock().succeeded(ip, &user.name, app.clock.monotonic_ms());
    Ok(())
}

/// The account, if the password is right. The attempt stays counted until all of it has succeeded.
async fn attempt(
    app: &Arc<App>,
    ip: IpAddr,
    name: &str,
    password: &str,
) -> Result<User, ApiFailure> {
    if name.len() > MAX_CREDENTIAL_BYTES || password.len() > MAX_CREDENTIAL_BYTES {
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
        let wait_ms = throttle.wait_ms(ip, name, now);
        if wait_ms > 0 {
            return Err(ApiFailure::too_many_attempts(wait_ms));
        }
        throttle.failed(ip, name, now);
    }
    let user = app.meta.user_by_name(name).await?.filter(|user| !user.disabled);
    let hash =
        user.as_ref().map(|user| user.password_hash.as_str()).filter(|hash| !hash.is_empty());
    let right = passwords::is_right(app, password, hash).await?;
    match user.filter(|_| right) {
        Some(user) => Ok(user),
        None => Err(refuse(app, ip, name, "password").await),
    }
}

/// Whether the code is the device's, or one of the recovery codes; it is used up.
async fn check_code(app: &Arc<App>, ip: IpAddr, user: &User, code: &str) -> Result<(), ApiFailure> {
    {
        let mut throttle = app.throttle.lock();
        let now = app.clock.monotonic_ms();
        let wait_ms = throttle.code_wait_ms(&user.name, now);
        if wait_ms > 0 {
            return Err(ApiFailure::too_many_attempts(wait_ms));
        }
        throttle.code_failed(&user.name, now);
    }
    let now_ms = app.clock.now_ms();
    let right = if totp::is_code(code) {
        let secret = app.meta.totp(&user.id).await?.filter(|totp| totp.confirmed);
        match secret.and_then(|totp| totp::step_of(code, &totp.secret, now_ms)) {
            Some(step) => app.meta.use_totp_step(&user.id, step).await?,
            None => false,
        }
    } else {
        let actor = Actor::user(user, &ip.to_string());
        let hash = recovery_hash(code);
        app.meta.use_recovery_code(&actor, &user.id, &hash, now_ms).await?
    };
    if !right {
        return Err(refuse(app, ip, &user.name, "code").await);
    }
    app.throttle.lock().code_succeeded(&user.name);
    Ok(())
}

/// What the database keeps of a recovery code, however it was typed.
pub(super) fn recovery_hash(code: &str) -> [u8; 32] {
    let letters: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    hash_secret(&letters.to_ascii_lowercase())
}

/// Counts and tells a failed attempt; the answer says no more than it must.
async fn refuse(app: &App, ip: IpAddr, name: &str, wrong: &'static str) -> ApiFailure {
    app.counters.failed_sign_ins.add(1);
    tracing::warn!(address = %ip, user = name, wrong, "sign-in failed");
    let minute = app.clock.monotonic_ms().div_euclid(60_000);
    if app.audited_refusals.lock().take(minute, AUDITED_A_MINUTE) {
        let actor = Actor::nobody(name, &ip.to_string());
        let target = Target::new("user", "", name);
        let detail = Some(json!({ "wrong": wrong }));
        let now_ms = app.clock.now_ms();
        let noted = app.meta.record_deed(&actor, "session.refused", target, detail, now_ms).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "a failed sign-in is not in the audit log");
        }
    }
    let error = "the name, the password or the code is wrong";
    ApiFailure::new(StatusCode::UNAUTHORIZED, "bad_credentials", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_may_be_typed_in_many_ways() {
        let hash = recovery_hash("abcde-fghjk-mnpqr-stvwx");
        assert_eq!(recovery_hash("ABCDEFGHJKMNPQRSTVWX"), hash);
        assert_eq!(recovery_hash(" abcde fghjk mnpqr stvwx"), hash);
        assert_ne!(recovery_hash("abcde-fghjk-mnpqr-stvwy"), hash);
    }
}

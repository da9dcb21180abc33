//! The second factor of one's own account: a device that shows codes, and recovery codes that stand in for it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use muster_api::{
    ConfirmPassword, ConfirmSecondFactor, Failure, RecoveryCodes, SecondFactorSecret,
};

use super::authority::Person;
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use super::sign_in::{confirm, recovery_hash};
use crate::app::App;
use crate::secrets::generate_password;
use crate::totp;

/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;

/// Makes the secret of a second factor, which guards nothing until one of its codes was shown.
#[utoipa::path(post, path = "/api/muster/v1/account/second-factor", request_body = ConfirmPassword, responses(
    (status = 200, description = "The secret, for the person's device", body = SecondFactorSecret),
    (status = 403, description = "The password is wrong (`bad_password`)", body = Failure),
    (status = 409, description = "There is one already (`second_factor_is_on`), or the account has no password (`no_password`)", body = Failure),
))]
pub(crate) async fn begin(
    person: Person,
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    ApiJson(request): ApiJson<ConfirmPassword>,
) -> Result<Json<SecondFactorSecret>, ApiFailure> {
    confirm(&app, address.ip(), &person.user, &request.password).await?;
    let secret = totp::generate_secret();
    app.meta.begin_totp(&person.user.id, &secret).await?;
    let uri = totp::uri(&person.user.name, &secret);
    Ok(Json(SecondFactorSecret { secret: totp::base32(&secret), uri }))
}

/// Turns the second factor on, by one of its codes; the reply is the only time the recovery codes are shown.
#[utoipa::path(post, path = "/api/muster/v1/account/second-factor/confirm", request_body = ConfirmSecondFactor, responses(
    (status = 200, description = "On from now on; the recovery codes", body = RecoveryCodes),
    (status = 403, description = "The code is wrong (`bad_code`)", body = Failure),
    (status = 409, description = "No secret waits for a code (`nothing_to_confirm`)", body = Failure),
    (status = 429, description = "Too many wrong codes", body = Failure),
))]
pub(crate) async fn turn_on(
    person: Person,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<ConfirmSecondFactor>,
) -> Result<Json<RecoveryCodes>, ApiFailure> {
    let Person { actor, user, session } = person;
    let nothing = || {
        let error = "no second factor waits for a code; begin anew";
        ApiFailure::conflict("nothing_to_confirm", error)
    };
    let waiting = app.meta.totp(&user.id).await?.filter(|totp| !totp.confirmed);
    let waiting = waiting.ok_or_else(nothing)?;
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
    let Some(step) = totp::step_of(request.code.trim(), &waiting.secret, now_ms) else {
        let error = "the code is wrong; check the clock of the device, and that the whole secret was taken over";
        return Err(ApiFailure::new(StatusCode::FORBIDDEN, "bad_code", error));
    };
    app.throttle.lock().code_succeeded(&user.name);
    let (codes, hashes) = make_codes();
    if !app.meta.confirm_totp(&actor, &user.id, step, &hashes, now_ms).await? {
        return Err(nothing());
    }
    // What was signed in with a password alone does not stay.
    app.meta.delete_sessions_of_user(&actor, &user.id, Some(&session.id), now_ms).await?;
    app.rights_changed();
    Ok(Json(RecoveryCodes { codes }))
}

/// Makes other recovery codes; those until now are worth nothing any more.
#[utoipa::path(post, path = "/api/muster/v1/account/second-factor/recovery-codes", request_body = ConfirmPassword, responses(
    (status = 200, description = "The recovery codes", body = RecoveryCodes),
    (status = 403, description = "The password is wrong (`bad_password`)", body = Failure),
    (status = 409, description = "The account has no second factor (`second_factor_is_off`)", body = Failure),
))]
pub(crate) async fn renew_codes(
    person: Person,
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    ApiJson(request): ApiJson<ConfirmPassword>,
) -> Result<Json<RecoveryCodes>, ApiFailure> {
    if !person.user.second_factor {
        let error = "this account has no second factor";
        return Err(ApiFailure::conflict("second_factor_is_off", error));
    }
    confirm(&app, address.ip(), &person.user, &request.password).await?;
    let (codes, hashes) = make_codes();
    let now_ms = app.clock.now_ms();
    app.meta.replace_recovery_codes(&person.actor, &person.user.id, &hashes, now_ms).await?;
    Ok(Json(RecoveryCodes { codes }))
}

/// Turns the second factor off.
#[utoipa::path(post, path = "/api/muster/v1/account/second-factor/remove", request_body = ConfirmPassword, responses(
    (status = 204, description = "Off from now on"),
    (status = 403, description = "The password is wrong (`bad_password`)", body = Failure),
))]
pub(crate) async fn turn_off(
    person: Person,
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    ApiJson(request): ApiJson<ConfirmPassword>,
) -> Result<StatusCode, ApiFailure> {
    confirm(&app, address.ip(), &person.user, &request.password).await?;
    app.meta.remove_totp(&person.actor, &person.user.id, app.clock.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// New recovery codes, and what the database keeps of them.
fn make_codes() -> (Vec<String>, Vec<[u8; 32]>) {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| generate_password()).collect();
    let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
    (codes, hashes)
}

//! API tokens and enrolment tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_api::{ApiTokenList, CreateApiToken, CreateEnrollToken, Failure, NewSecret, Role};
use muster_meta::{MetaError, NewApiToken, NewEnrollToken};

use super::authority::Administrator;
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::app::App;
use crate::local::api_tokens;
use crate::secrets::{Secret, SecretKind};

/// The longest a token may live, in milliseconds: ten years.
const MAX_LIFE_MS: i64 = 3_650 * 86_400_000;
/// The most agents that one token lets in.
const MAX_USES: u32 = 100_000;

/// Lists the API tokens, without their secrets.
#[utoipa::path(get, path = "/api/muster/v1/tokens", responses(
    (status = 200, description = "All API tokens", body = ApiTokenList),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn list(
    _: Administrator,
    State(app): State<Arc<App>>,
) -> Result<Json<ApiTokenList>, ApiFailure> {
    Ok(Json(api_tokens(&app.meta).await?))
}

/// Makes an API token; the reply is the only time its secret is shown.
#[utoipa::path(post, path = "/api/muster/v1/tokens", request_body = CreateApiToken, responses(
    (status = 200, description = "The secret", body = NewSecret),
    (status = 400, description = "The name is taken or the life too long", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn create(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<CreateApiToken>,
) -> Result<Json<NewSecret>, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.len() > 100 {
        return Err(ApiFailure::bad_request("give the token a name of 1 to 100 bytes"));
    }
    let expires_ms = request.expires_in_ms.map(|life| end(now_ms, life)).transpose()?;
    let secret = Secret::generate(SecretKind::ApiToken);
    let new = NewApiToken {
        name: name.clone(),
        role: role_in(request.role),
        secret_hash: secret.hash(),
        expires_ms,
    };
    match app.meta.create_api_token(&who.actor(), new, now_ms).await {
        Ok(token) => {
            app.pushers.forget();
            tracing::info!(by = who.name, name, "API token made");
            let token_text = secret.text().to_owned();
            Ok(Json(NewSecret {
                id: token.id,
                token: token_text,
                expires_ms,
                ca_fingerprint: None,
            }))
        }
        Err(MetaError::NameTaken { .. }) => {
            Err(ApiFailure::bad_request(format!("there is a token named {name:?} already")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Revokes an API token, at once.
#[utoipa::path(delete, path = "/api/muster/v1/tokens/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Revoked"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such token", body = Failure),
))]
pub(crate) async fn revoke(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    match app.meta.revoke_api_token(&who.actor(), &id, app.clock.now_ms()).await {
        Ok(_) => {}
        Err(MetaError::NotFound { .. }) => {
            return Err(ApiFailure::not_found("there is no such token"));
        }
        Err(error) => return Err(error.into()),
    }
    app.pushers.forget();
    app.authority_changed.notify_waiters();
    tracing::info!(by = who.name, id, "API token revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a token with which agents join.
#[utoipa::path(post, path = "/api/muster/v1/enroll-tokens", request_body = CreateEnrollToken, responses(
    (status = 200, description = "The secret, and the fingerprint of the CA", body = NewSecret),
    (status = 400, description = "No use, or too many, or the life too long", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn create_enroll(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<CreateEnrollToken>,
) -> Result<Json<NewSecret>, ApiFailure> {
    let now_ms = app.clock.now_ms();
    if !(1..=MAX_USES).contains(&request.uses) {
        return Err(ApiFailure::bad_request(format!("uses must be 1 to {MAX_USES}")));
    }
    let expires_ms = end(now_ms, request.expires_in_ms)?;
    let secret = Secret::generate(SecretKind::EnrollToken);
    let new = NewEnrollToken {
        secret_hash: secret.hash(),
        uses: request.uses,
        expires_ms,
        groups: request.groups,
        tags: Vec::new(),
    };
    let token = app.meta.create_enroll_token(&who.actor(), new, now_ms).await?;
    tracing::info!(by = who.name, uses = request.uses, "enrolment token made");
    Ok(Json(NewSecret {
        id: token.id,
        token: secret.text().to_owned(),
        expires_ms: Some(expires_ms),
        ca_fingerprint: app.ca_fingerprint.clone(),
    }))
}

fn end(now_ms: i64, life_ms: i64) -> Result<i64, ApiFailure> {
    if (1..=MAX_LIFE_MS).contains(&life_ms) {
        Ok(now_ms + life_ms)
    } else {
        Err(ApiFailure::bad_request("a token may live from now on for ten years at most"))
    }
}

/// A role as the database names it.
fn role_in(role: Role) -> muster_meta::Role {
    match role {
        Role::Viewer => muster_meta::Role::Viewer,
        Role::Operator => muster_meta::Role::Operator,
        Role::Admin => muster_meta::Role::Admin,
        Role::Writer => muster_meta::Role::Writer,
    }
}

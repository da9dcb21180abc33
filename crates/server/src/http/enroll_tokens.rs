//! The tokens with which agents join.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_api::{CreateEnrollToken, EnrollToken, EnrollTokenList, Failure, NewSecret};
use muster_meta::NewEnrollToken;

use super::authority::Administrator;
use super::downloads::install_sha256;
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use super::tokens::end;
use crate::app::App;
use crate::secrets::{Secret, SecretKind};

/// The most agents that one token lets in.
const MAX_USES: u32 = 100_000;

/// Lists the enrolment tokens, without their secrets.
#[utoipa::path(get, path = "/api/muster/v1/enroll-tokens", responses(
    (status = 200, description = "All enrolment tokens, the newest first", body = EnrollTokenList),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn list(
    _: Administrator,
    State(app): State<Arc<App>>,
) -> Result<Json<EnrollTokenList>, ApiFailure> {
    let tokens = app.meta.list_enroll_tokens().await?;
    let tokens = tokens
        .into_iter()
        .map(|token| EnrollToken {
            id: token.id,
            uses: token.uses,
            used: token.used,
            created_ms: token.created_ms,
            expires_ms: token.expires_ms,
            revoked: token.revoked,
            groups: token.groups,
            tags: token.tags,
            made_by: token.made_by,
        })
        .collect();
    Ok(Json(EnrollTokenList { tokens }))
}

/// Makes a token with which agents join; the reply is the only time its secret is shown.
#[utoipa::path(post, path = "/api/muster/v1/enroll-tokens", request_body = CreateEnrollToken, responses(
    (status = 200, description = "The secret, and the fingerprint of the CA", body = NewSecret),
    (status = 400, description = "No use, or too many, or the life too long", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn create(
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
        tags: request.tags,
    };
    let token = app.meta.create_enroll_token(&who.actor, new, now_ms).await?;
    Ok(Json(NewSecret {
        id: token.id,
        token: secret.text().to_owned(),
        expires_ms: Some(expires_ms),
        ca_fingerprint: app.ca_fingerprint.clone(),
        install_sha256: Some(install_sha256(&app).await?),
    }))
}

/// Revokes an enrolment token, at once; agents that joined with it stay.
#[utoipa::path(delete, path = "/api/muster/v1/enroll-tokens/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Revoked"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such token", body = Failure),
))]
pub(crate) async fn revoke(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    app.meta.revoke_enroll_token(&who.actor, &id, app.clock.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

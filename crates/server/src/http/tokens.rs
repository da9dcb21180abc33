//! API tokens, for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_api::{ApiTokenList, CreateApiToken, Failure, NewSecret, Role};
use muster_meta::NewApiToken;

use super::authority::Administrator;
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::app::App;
use crate::local::api_tokens;
use crate::secrets::{Secret, SecretKind};

/// The longest a token may live, in milliseconds: ten years.
const MAX_LIFE_MS: i64 = 3_650 * 86_400_000;

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
    (status = 400, description = "The name cannot be given, or the life is too long", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 409, description = "The name is taken (`name_taken`)", body = Failure),
))]
pub(crate) async fn create(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    ApiJson(request): ApiJson<CreateApiToken>,
) -> Result<Json<NewSecret>, ApiFailure> {
    let now_ms = app.clock.now_ms();
    let expires_ms = request.expires_in_ms.map(|life| end(now_ms, life)).transpose()?;
    let secret = Secret::generate(SecretKind::ApiToken);
    let new = NewApiToken {
        name: request.name.trim().to_owned(),
        role: meta_role(request.role),
        secret_hash: secret.hash(),
        expires_ms,
    };
    let token = app.meta.create_api_token(&who.actor, new, now_ms).await?;
    app.bearers.forget();
    let text = secret.text().to_owned();
    Ok(Json(NewSecret {
        id: token.id,
        token: text,
        expires_ms,
        ca_fingerprint: None,
        install_sha256: None,
    }))
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
    app.meta.revoke_api_token(&who.actor, &id, app.clock.now_ms()).await?;
    app.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// When a token ends that lives so long from now on.
pub(super) fn end(now_ms: i64, life_ms: i64) -> Result<i64, ApiFailure> {
    if (1..=MAX_LIFE_MS).contains(&life_ms) {
        Ok(now_ms + life_ms)
    } else {
        Err(ApiFailure::bad_request("a token may live from now on for ten years at most"))
    }
}

/// A role as the database names it.
pub(super) fn meta_role(role: Role) -> muster_meta::Role {
    match role {
        Role::Viewer => muster_meta::Role::Viewer,
        Role::Operator => muster_meta::Role::Operator,
        Role::Admin => muster_meta::Role::Admin,
        Role::Writer => muster_meta::Role::Writer,
    }
}

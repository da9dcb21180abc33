//! The OpenAPI document of Muster's own API, from which the page's types are made.

use axum::Json;
use utoipa::OpenApi;

use super::{agents, health, hosts, live, sessions, tokens};

#[derive(OpenApi)]
#[openapi(
    info(title = "Muster", description = "Muster's own HTTP API. Prometheus's is at /api/v1."),
    paths(
        sessions::show,
        sessions::sign_in,
        sessions::sign_out,
        health::about,
        hosts::list,
        live::hosts,
        live::query,
        tokens::list,
        tokens::create,
        tokens::revoke,
        tokens::create_enroll,
        agents::list,
        agents::revoke,
    ),
    components(schemas(muster_api::LiveFailure))
)]
struct Document;

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Serves the document; it describes the product and needs no permission.
pub(crate) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

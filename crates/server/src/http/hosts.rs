//! The fleet.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use muster_api::{Failure, HostList};

use super::authority::Reader;
use crate::app::App;

/// Lists all hosts with their newest figures.
#[utoipa::path(get, path = "/api/muster/v1/hosts", responses(
    (status = 200, description = "All hosts, by name", body = HostList),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn list(_: Reader, State(app): State<Arc<App>>) -> Response {
    let hosts = app.fleet.hosts(&app).await;
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], hosts.json).into_response()
}

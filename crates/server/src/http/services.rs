//! Services over the fleet.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use muster_api::{Failure, ServiceList};

use super::authority::Reader;
use super::failure::ApiFailure;
use crate::app::App;
use crate::services::Wanted;

/// Lists services, worst first: a page of those that match, or of their groups.
#[utoipa::path(get, path = "/api/muster/v1/services", params(
    ("q" = Option<String>, Query, description = "Words that all occur in the name, the host or the result"),
    ("instance" = Option<String>, Query, description = "Only services of this host"),
    ("name" = Option<String>, Query, description = "Only services of this name"),
    ("health" = Option<Vec<String>>, Query, description = "Only services of this health; may be given several times"),
    ("group" = Option<String>, Query, description = "Groups instead of services: `name` or `host`"),
    ("offset" = Option<u64>, Query, description = "How many to leave out at the begin"),
    ("limit" = Option<u64>, Query, description = "How many, up to 500; 100 if absent"),
), responses(
    (status = 200, description = "A page of services or groups", body = ServiceList),
    (status = 400, description = "A parameter is unknown or cannot be read", body = Failure),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn list(
    _: Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<ServiceList>, ApiFailure> {
    let wanted = Wanted::read(&query.unwrap_or_default()).map_err(ApiFailure::bad_request)?;
    let list = app.services.list(&app, wanted).await;
    list.map(Json).ok_or_else(ApiFailure::internal)
}

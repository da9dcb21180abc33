//! The fleet: its hosts now or at a moment of the past, their last minute, and all file systems.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use muster_api::{Failure, FileSystemList, HostList, RecentList};

use super::authority::Reader;
use super::failure::ApiFailure;
use crate::app::App;

/// Lists all hosts with their newest figures, or as they were at a moment.
#[utoipa::path(get, path = "/api/muster/v1/hosts", params(
    ("time_ms" = Option<i64>, Query, description = "A moment of the past, rounded down to five seconds: the hosts that were known then, by what is stored of it. Groups and tags are those of today, agents' versions are not told"),
), responses(
    (status = 200, description = "All hosts, by name", body = HostList),
    (status = 400, description = "No moment of the past", body = Failure),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn list(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiFailure> {
    let Some(at_ms) = moment(query.as_deref().unwrap_or_default(), app.clock.now_ms())? else {
        return Ok(json(app.fleet.hosts(&app).await.json));
    };
    // The past is a query as any other, and takes its turn.
    let _turn = app.queries.acquire(&who.principal()).await;
    let hosts = app.fleet.hosts_at(&app, at_ms).await.ok_or_else(ApiFailure::internal)?;
    Ok(json(hosts))
}

/// The last minute of all hosts, for the small lines beside their figures.
#[utoipa::path(get, path = "/api/muster/v1/fleet/recent", responses(
    (status = 200, description = "By host", body = RecentList),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn recent(_: Reader, State(app): State<Arc<App>>) -> Response {
    json(app.fleet.recent(&app).await)
}

/// Lists all file systems that hold data, with the day on which each will be full.
#[utoipa::path(get, path = "/api/muster/v1/file-systems", responses(
    (status = 200, description = "By host and mountpoint", body = FileSystemList),
    (status = 401, description = "Not signed in", body = Failure),
))]
pub(crate) async fn file_systems(_: Reader, State(app): State<Arc<App>>) -> Response {
    json(app.fleet.file_systems(&app).await.json)
}

fn json(body: Bytes) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], body).into_response()
}

/// The moment that a query asks for, if it asks for one.
fn moment(query: &str, now_ms: i64) -> Result<Option<i64>, ApiFailure> {
    let mut moment = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "time_ms" {
            continue;
        }
        let at_ms = value.parse().ok().filter(|at_ms| (0..=now_ms).contains(at_ms));
        moment = Some(at_ms.ok_or_else(|| {
            ApiFailure::bad_request(
                "time_ms is a moment of the past, in milliseconds since 1970-01-01 UTC",
            )
        })?);
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Result<Option<i64>, ()>) {
        assert_eq!(moment(query, 1_000).map_err(drop), expected, "{query}");
    }

    #[test]
    fn only_the_past_is_a_moment() {
        check("", Ok(None));
        check("other=7", Ok(None));
        check("time_ms=0", Ok(Some(0)));
        check("time_ms=1000", Ok(Some(1_000)));
        check("time_ms=1001", Err(()));
        check("time_ms=-1", Err(()));
        check("time_ms=yesterday", Err(()));
    }
}

//! Everything that is served over HTTP: the route table, and a file for each group of routes.

mod admin_tsdb;
mod agents;
mod answer;
mod assets;
mod authority;
mod bearer;
mod failure;
mod federate;
mod health;
mod hosts;
mod json_body;
mod live;
mod openapi;
mod prometheus;
mod prometheus_inventory;
mod prometheus_json;
mod prometheus_params;
mod prometheus_reply;
mod prometheus_stats;
mod prometheus_status;
mod prometheus_work;
mod push;
mod push_authority;
mod push_body;
mod push_metrics;
mod remote_read;
mod self_metrics;
mod sessions;
mod tokens;

pub use openapi::document as openapi_document;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _};
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use failure::ApiFailure;

/// The most bytes of a request's body.
const MAX_BODY: usize = 1 << 20;
/// How long a request other than a stream may take.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Every route of the server.
pub(crate) fn router(app: Arc<App>) -> Router {
    let answers = Router::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .route("/metrics", get(self_metrics::metrics))
        .merge(prometheus_routes())
        .route("/api/muster/openapi.json", get(openapi::serve))
        .route(
            "/api/muster/v1/session",
            get(sessions::show).post(sessions::sign_in).delete(sessions::sign_out),
        )
        .route("/api/muster/v1/about", get(health::about))
        .route("/api/muster/v1/hosts", get(hosts::list))
        .route("/api/muster/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/muster/v1/tokens/{id}", delete(tokens::revoke))
        .route("/api/muster/v1/enroll-tokens", post(tokens::create_enroll))
        .route("/api/muster/v1/agents", get(agents::list))
        .route("/api/muster/v1/agents/{id}", delete(agents::revoke))
        .fallback(assets::serve)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(
            // Answers are compressed as they are sent, between others' work: only what is quick will do.
            CompressionLayer::new().no_br().quality(CompressionLevel::Fastest).compress_when(
                DefaultPredicate::new().and(
                    |status: StatusCode, _, headers: &axum::http::HeaderMap, _: &_| {
                        // What comes compressed from the binary is left alone.
                        status == StatusCode::OK && !headers.contains_key(header::CONTENT_ENCODING)
                    },
                ),
            ),
        );
    let streams = Router::new()
        .route("/api/muster/v1/live/hosts", get(live::hosts))
        .route("/api/muster/v1/live/query", get(live::query))
        .route(muster_wire::CONNECT_PATH, get(agents::connect));
    // Their bodies have limits of their own, and their answers are too short to be compressed.
    let pushes = Router::new()
        .route("/api/v1/write", post(push::remote_write))
        .route("/api/v1/otlp/v1/metrics", post(push::otlp))
        .route("/api/v1/import/prometheus", post(push::text))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(DefaultBodyLimit::disable());
    let counting = Arc::clone(&app);
    answers
        .merge(streams)
        .merge(pushes)
        .layer(middleware::from_fn(security_headers))
        .layer(CatchPanicLayer::custom(move |_| {
            counting.counters.panics.add(1);
            ApiFailure::internal().into_response()
        }))
        .with_state(app)
}

/// Prometheus's HTTP API, but for what pushes.
fn prometheus_routes() -> Router<Arc<App>> {
    use prometheus_inventory as inventory;
    use prometheus_status as status;
    Router::new()
        .route("/api/v1/query", get(prometheus::query).post(prometheus::query))
        .route("/api/v1/query_range", get(prometheus::query_range).post(prometheus::query_range))
        .route("/api/v1/query_exemplars", get(prometheus::exemplars).post(prometheus::exemplars))
        .route("/api/v1/format_query", get(prometheus::format_query).post(prometheus::format_query))
        .route(
            "/api/v1/parse_query",
            get(prometheus::parse_query_tree).post(prometheus::parse_query_tree),
        )
        .route("/api/v1/series", get(prometheus::series).post(prometheus::series))
        .route("/api/v1/labels", get(prometheus::labels).post(prometheus::labels))
        .route(
            "/api/v1/label/{name}/values",
            get(prometheus::label_values).post(prometheus::label_values),
        )
        .route("/api/v1/read", post(remote_read::read))
        .route("/federate", get(federate::federate))
        .route("/api/v1/metadata", get(inventory::metadata))
        .route("/api/v1/targets", get(inventory::targets))
        .route("/api/v1/targets/metadata", get(inventory::nothing))
        .route("/api/v1/scrape_pools", get(inventory::scrape_pools))
        .route("/api/v1/rules", get(inventory::rules))
        .route("/api/v1/alerts", get(inventory::alerts))
        .route("/api/v1/alertmanagers", get(inventory::alertmanagers))
        .route("/api/v1/notifications", get(inventory::nothing))
        .route("/api/v1/features", get(status::features))
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/runtimeinfo", get(status::runtime_info))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/status/walreplay", get(status::wal_replay))
        .route("/api/v1/admin/tsdb/delete_series", change(admin_tsdb::delete_series))
        .route("/api/v1/admin/tsdb/clean_tombstones", change(admin_tsdb::clean_tombstones))
        .route("/api/v1/admin/tsdb/snapshot", change(admin_tsdb::snapshot))
}

/// A handler of both methods with which Prometheus's API changes something.
fn change<T: 'static>(handler: impl Handler<T, Arc<App>>) -> MethodRouter<Arc<App>> {
    post(handler.clone()).put(handler)
}

/// Headers that every answer carries: the page runs only its own scripts, nobody may frame it.
async fn security_headers(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

//! Everything that is served over HTTP: the route table, and a file for each group of routes.

mod admin_tsdb;
mod agents;
mod answer;
mod assets;
mod authority;
mod bearer;
mod each_request;
mod failure;
mod federate;
mod health;
mod hosts;
mod json_body;
mod live;
mod openapi;
mod prometheus;
mod prometheus_inventory;
mod prometheus_params;
mod prometheus_reply;
mod prometheus_status;
mod prometheus_work;
mod push;
mod push_authority;
mod push_body;
mod push_metrics;
mod remote_read;
mod routes;
mod self_metrics;
mod sessions;
mod tokens;

pub use openapi::document as openapi_document;
pub use routes::{Access, Route};

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse as _;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _};
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use Access::{Administrator, Agent, Anyone, Person, Pusher, Reader, SignedIn};
use failure::ApiFailure;
use routes::Routes;

/// The most bytes of a request's body.
const MAX_BODY: usize = 1 << 20;
/// How long a request other than a stream may take.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Every route of the server, with who may use it. The page's files are served at every other path, to everybody.
pub fn routes() -> Vec<Route> {
    [answers(), streams(), pushes()].into_iter().flat_map(|routes| routes.list).collect()
}

/// What serves every request.
pub(crate) fn router(app: Arc<App>) -> Router {
    let answers = answers()
        .router
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
    // Their bodies have limits of their own, and their answers are too short to be compressed.
    let pushes = pushes()
        .router
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(DefaultBodyLimit::disable());
    let counting = Arc::clone(&app);
    answers
        .merge(streams().router)
        .merge(pushes)
        .layer(CatchPanicLayer::custom(move |_| {
            counting.counters.panics.add(1);
            ApiFailure::internal().into_response()
        }))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), each_request::attend))
        .with_state(app)
}

/// What is answered whole.
fn answers() -> Routes {
    Routes::default()
        .get("/-/healthy", Anyone, health::healthy)
        .get("/-/ready", Anyone, health::ready)
        .get("/metrics", Reader, self_metrics::metrics)
        .merge(prometheus_routes())
        .get("/api/muster/openapi.json", Anyone, openapi::serve)
        .post("/api/muster/v1/session", Anyone, sessions::sign_in)
        .get("/api/muster/v1/session", SignedIn, sessions::show)
        .delete("/api/muster/v1/session", Person, sessions::sign_out)
        .get("/api/muster/v1/about", Reader, health::about)
        .get("/api/muster/v1/hosts", Reader, hosts::list)
        .get("/api/muster/v1/tokens", Administrator, tokens::list)
        .post("/api/muster/v1/tokens", Administrator, tokens::create)
        .delete("/api/muster/v1/tokens/{id}", Administrator, tokens::revoke)
        .post("/api/muster/v1/enroll-tokens", Administrator, tokens::create_enroll)
        .get("/api/muster/v1/agents", Reader, agents::list)
        .delete("/api/muster/v1/agents/{id}", Administrator, agents::revoke)
}

/// What lasts.
fn streams() -> Routes {
    Routes::default()
        .get("/api/muster/v1/live/hosts", Reader, live::hosts)
        .get("/api/muster/v1/live/query", Reader, live::query)
        .get(muster_wire::CONNECT_PATH, Agent, agents::connect)
}

/// Where samples are pushed to.
fn pushes() -> Routes {
    Routes::default()
        .post("/api/v1/write", Pusher, push::remote_write)
        .post("/api/v1/otlp/v1/metrics", Pusher, push::otlp)
        .post("/api/v1/import/prometheus", Pusher, push::text)
}

/// Prometheus's HTTP API, but for what pushes.
fn prometheus_routes() -> Routes {
    use prometheus_inventory as inventory;
    use prometheus_status as status;
    Routes::default()
        .question("/api/v1/query", prometheus::query)
        .question("/api/v1/query_range", prometheus::query_range)
        .question("/api/v1/query_exemplars", prometheus::exemplars)
        .question("/api/v1/format_query", prometheus::format_query)
        .question("/api/v1/parse_query", prometheus::parse_query_tree)
        .question("/api/v1/series", prometheus::series)
        .question("/api/v1/labels", prometheus::labels)
        .question("/api/v1/label/{name}/values", prometheus::label_values)
        .post("/api/v1/read", Reader, remote_read::read)
        .get("/federate", Reader, federate::federate)
        .get("/api/v1/metadata", Reader, inventory::metadata)
        .get("/api/v1/targets", Reader, inventory::targets)
        .get("/api/v1/targets/metadata", Reader, inventory::nothing)
        .get("/api/v1/scrape_pools", Reader, inventory::scrape_pools)
        .get("/api/v1/rules", Reader, inventory::rules)
        .get("/api/v1/alerts", Reader, inventory::alerts)
        .get("/api/v1/alertmanagers", Reader, inventory::alertmanagers)
        .get("/api/v1/notifications", Reader, inventory::nothing)
        .get("/api/v1/features", Reader, status::features)
        .get("/api/v1/status/buildinfo", Reader, status::build_info)
        .get("/api/v1/status/config", Reader, status::config)
        .get("/api/v1/status/flags", Reader, status::flags)
        .get("/api/v1/status/runtimeinfo", Reader, status::runtime_info)
        .get("/api/v1/status/tsdb", Reader, status::tsdb)
        .get("/api/v1/status/walreplay", Reader, status::wal_replay)
        .change("/api/v1/admin/tsdb/delete_series", admin_tsdb::delete_series)
        .change("/api/v1/admin/tsdb/clean_tombstones", admin_tsdb::clean_tombstones)
        .change("/api/v1/admin/tsdb/snapshot", admin_tsdb::snapshot)
}

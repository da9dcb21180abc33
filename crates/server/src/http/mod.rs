//! Everything that is served over HTTP: the route table, and a file for each group of routes.

mod account;
mod admin_tsdb;
mod agent_settings;
mod agents;
mod alert_metrics;
mod alertmanager;
mod alertmanager_body;
mod alertmanager_json;
mod alerts;
mod answer;
mod assets;
mod audit;
mod authority;
mod backtest;
mod bearer;
mod channels;
mod downloads;
mod each_request;
mod enroll_tokens;
mod failure;
mod federate;
mod health;
mod hosts;
mod json_body;
mod live;
mod openapi;
mod passwords;
mod people;
mod processes;
mod prometheus;
mod prometheus_inventory;
mod prometheus_json;
mod prometheus_params;
mod prometheus_reply;
mod prometheus_rules;
mod prometheus_stats;
mod prometheus_status;
mod prometheus_work;
mod provider_sign_in;
mod push;
mod push_authority;
mod push_body;
mod push_metrics;
mod remote_read;
mod routes;
mod routing;
mod rule_metrics;
mod rules;
mod second_factor;
pub(crate) mod self_metrics;
mod services;
mod sessions;
mod settings;
mod sign_in;
mod silences;
mod tokens;
mod unusual;

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
use Access::{Administrator, Agent, Anyone, Operator, Person, Pusher, Reader, SignedIn};
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
        .get("/api/muster/v1/about", Reader, health::about)
        .get("/api/muster/v1/settings", Reader, settings::show)
        .get("/api/muster/v1/hosts", Reader, hosts::list)
        .get("/api/muster/v1/services", Reader, services::list)
        .get("/api/muster/v1/fleet/recent", Reader, hosts::recent)
        .get("/api/muster/v1/file-systems", Reader, hosts::file_systems)
        .merge(account_routes())
        .merge(administration_routes())
        .merge(agent_settings_routes())
        .merge(rule_routes())
        .merge(channel_routes())
        .merge(alert_routes())
        .merge(alertmanager_routes())
}

/// Alerts, what hides them, and whom they are told to.
fn alert_routes() -> Routes {
    Routes::default()
        .get("/api/muster/v1/alerts", Reader, alerts::list)
        .get("/api/muster/v1/alerts/history", Reader, alerts::history)
        .get("/api/muster/v1/alerts/why-not", Reader, alerts::why_not)
        .get("/api/muster/v1/alerts/{id}", Reader, alerts::show)
        .get("/api/muster/v1/alerts/{id}/unusual", Reader, unusual::show)
        .post("/api/muster/v1/alerts/{id}/acknowledge", Operator, alerts::acknowledge)
        .delete("/api/muster/v1/alerts/{id}/acknowledge", Operator, alerts::take_back)
        .post("/api/muster/v1/alerts/{id}/assign", Operator, alerts::assign)
        .get("/api/muster/v1/silences", Reader, silences::list)
        .post("/api/muster/v1/silences", Operator, silences::create)
        .post("/api/muster/v1/silences/preview", Reader, silences::preview)
        .put("/api/muster/v1/silences/{id}", Operator, silences::change)
        .delete("/api/muster/v1/silences/{id}", Operator, silences::expire)
        .get("/api/muster/v1/routing", Reader, routing::show)
        .put("/api/muster/v1/routing", Administrator, routing::set)
        .post("/api/muster/v1/routing/check", Operator, routing::check)
}

/// Alertmanager's API.
fn alertmanager_routes() -> Routes {
    Routes::default()
        .get("/api/v2/status", Reader, alertmanager::status)
        .get("/api/v2/receivers", Reader, alertmanager::receivers)
        .get("/api/v2/alerts", Reader, alertmanager::alerts)
        .post("/api/v2/alerts", Pusher, alertmanager::post_alerts)
        .get("/api/v2/alerts/groups", Reader, alertmanager::groups)
        .get("/api/v2/silences", Reader, alertmanager::silences)
        .post("/api/v2/silences", Operator, alertmanager::post_silence)
        .get("/api/v2/silence/{id}", Reader, alertmanager::silence)
        .delete("/api/v2/silence/{id}", Operator, alertmanager::delete_silence)
}

/// Signing in, and one's own account.
fn account_routes() -> Routes {
    Routes::default()
        .get("/api/muster/v1/sign-in", Anyone, sessions::ways)
        .get("/api/muster/v1/sign-in/provider", Anyone, provider_sign_in::begin)
        .get("/api/muster/v1/sign-in/provider/callback", Anyone, provider_sign_in::callback)
        .post("/api/muster/v1/session", Anyone, sessions::sign_in)
        .get("/api/muster/v1/session", SignedIn, sessions::show)
        .delete("/api/muster/v1/session", Person, sessions::sign_out)
        .get("/api/muster/v1/account", Person, account::show)
        .post("/api/muster/v1/account/password", Person, account::change_password)
        .get("/api/muster/v1/account/sessions", Person, account::sessions)
        .delete("/api/muster/v1/account/sessions", Person, account::end_other_sessions)
        .delete("/api/muster/v1/account/sessions/{id}", Person, account::end_session)
        .post("/api/muster/v1/account/second-factor", Person, second_factor::begin)
        .post("/api/muster/v1/account/second-factor/confirm", Person, second_factor::turn_on)
        .post(
            "/api/muster/v1/account/second-factor/recovery-codes",
            Person,
            second_factor::renew_codes,
        )
        .post("/api/muster/v1/account/second-factor/remove", Person, second_factor::turn_off)
}

/// People, tokens, agents, and what was done to them.
fn administration_routes() -> Routes {
    Routes::default()
        .get("/api/muster/v1/people", Administrator, people::list)
        .post("/api/muster/v1/people", Administrator, people::create)
        .patch("/api/muster/v1/people/{id}", Administrator, people::change)
        .delete("/api/muster/v1/people/{id}", Administrator, people::remove)
        .post("/api/muster/v1/people/{id}/password", Administrator, people::set_password)
        .delete(
            "/api/muster/v1/people/{id}/second-factor",
            Administrator,
            people::remove_second_factor,
        )
        .get("/api/muster/v1/people/{id}/sessions", Administrator, people::sessions)
        .delete("/api/muster/v1/people/{id}/sessions", Administrator, people::end_sessions)
        .delete("/api/muster/v1/people/{id}/sessions/{session}", Administrator, people::end_session)
        .get("/api/muster/v1/tokens", Administrator, tokens::list)
        .post("/api/muster/v1/tokens", Administrator, tokens::create)
        .delete("/api/muster/v1/tokens/{id}", Administrator, tokens::revoke)
        .get("/api/muster/v1/enroll-tokens", Administrator, enroll_tokens::list)
        .post("/api/muster/v1/enroll-tokens", Administrator, enroll_tokens::create)
        .delete("/api/muster/v1/enroll-tokens/{id}", Administrator, enroll_tokens::revoke)
        .get("/api/muster/v1/agents", Reader, agents::list)
        .patch("/api/muster/v1/agents/{id}", Administrator, agents::change)
        .delete("/api/muster/v1/agents/{id}", Administrator, agents::revoke)
        .post("/api/muster/v1/agents/{id}/forget", Administrator, agents::forget)
        .get("/api/muster/v1/agents/{id}/settings", Operator, agent_settings::effective)
        .get("/api/muster/v1/audit", Administrator, audit::list)
        .get("/api/muster/v1/audit.csv", Administrator, audit::export)
}

/// The ways out of messages.
fn channel_routes() -> Routes {
    Routes::default()
        .get("/api/muster/v1/channels", Reader, channels::list)
        .post("/api/muster/v1/channels", Administrator, channels::create)
        .patch("/api/muster/v1/channels/{id}", Administrator, channels::change)
        .delete("/api/muster/v1/channels/{id}", Administrator, channels::remove)
        .post("/api/muster/v1/channels/{id}/test", Administrator, channels::test)
        .get("/api/muster/v1/outbox", Reader, channels::outbox)
}

/// What agents are told.
fn agent_settings_routes() -> Routes {
    Routes::default()
        .get("/api/muster/v1/agent-settings", Operator, agent_settings::list)
        .put("/api/muster/v1/agent-settings/all", Administrator, agent_settings::set_all)
        .delete("/api/muster/v1/agent-settings/all", Administrator, agent_settings::remove_all)
        .put(
            "/api/muster/v1/agent-settings/groups/{group}",
            Administrator,
            agent_settings::set_group,
        )
        .delete(
            "/api/muster/v1/agent-settings/groups/{group}",
            Administrator,
            agent_settings::remove_group,
        )
        .put("/api/muster/v1/agent-settings/hosts/{id}", Administrator, agent_settings::set_host)
        .delete(
            "/api/muster/v1/agent-settings/hosts/{id}",
            Administrator,
            agent_settings::remove_host,
        )
}

/// Rules and their thresholds.
fn rule_routes() -> Routes {
    Routes::default()
        .get("/api/muster/v1/rules", Reader, rules::list)
        .post("/api/muster/v1/rules/check", Reader, rules::check)
        .post("/api/muster/v1/rules/backtest", Reader, backtest::backtest)
        .get("/api/muster/v1/rules/documents/{name}", Reader, rules::document)
        .put("/api/muster/v1/rules/documents/{name}", Administrator, rules::set_document)
        .delete("/api/muster/v1/rules/documents/{name}", Administrator, rules::remove_document)
        .put("/api/muster/v1/rules/built-in/{id}/{scope}/{target}", Administrator, rules::set_layer)
        .delete(
            "/api/muster/v1/rules/built-in/{id}/{scope}/{target}",
            Administrator,
            rules::remove_layer,
        )
}

/// What lasts.
fn streams() -> Routes {
    Routes::default()
        .get("/api/muster/v1/live/hosts", Reader, live::hosts)
        .get("/api/muster/v1/live/query", Reader, live::query)
        .get("/api/muster/v1/alerts/stream", Reader, alerts::follow)
        .get("/api/muster/v1/hosts/{instance}/processes", Reader, processes::processes)
        .get(muster_wire::CONNECT_PATH, Agent, agents::connect)
        .get("/install.sh", Anyone, downloads::install_script)
        .get("/download/{name}", Anyone, downloads::download)
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
        .get("/api/v1/rules", Reader, prometheus_rules::rules)
        .get("/api/v1/alerts", Reader, prometheus_rules::alerts)
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

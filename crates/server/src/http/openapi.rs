//! The OpenAPI document of Muster's own API, from which the page's types are made.

use axum::Json;
use utoipa::OpenApi;

use super::{
    account, agent_settings, agents, alerts, audit, backtest, channels, enroll_tokens, health,
    hosts, live, people, processes, provider_sign_in, routing, rules, second_factor, services,
    sessions, settings, silences, tokens, unusual,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Muster", description = "Muster's own HTTP API. Prometheus's is at /api/v1."),
    components(schemas(muster_api::LiveFailure, muster_api::ProcessesUnavailable,)),
    paths(
        sessions::ways,
        provider_sign_in::begin,
        provider_sign_in::callback,
        sessions::show,
        sessions::sign_in,
        sessions::sign_out,
        account::show,
        account::change_password,
        account::sessions,
        account::end_other_sessions,
        account::end_session,
        second_factor::begin,
        second_factor::turn_on,
        second_factor::renew_codes,
        second_factor::turn_off,
        health::about,
        settings::show,
        hosts::list,
        services::list,
        hosts::recent,
        hosts::file_systems,
        live::hosts,
        live::query,
        people::list,
        people::create,
        people::change,
        people::remove,
        people::set_password,
        people::remove_second_factor,
        people::sessions,
        people::end_sessions,
        people::end_session,
        tokens::list,
        tokens::create,
        tokens::revoke,
        enroll_tokens::list,
        enroll_tokens::create,
        enroll_tokens::revoke,
        agents::list,
        agents::change,
        agents::revoke,
        agents::forget,
        alerts::list,
        alerts::follow,
        alerts::show,
        unusual::show,
        alerts::history,
        alerts::why_not,
        alerts::acknowledge,
        alerts::take_back,
        alerts::assign,
        silences::list,
        silences::create,
        silences::change,
        silences::expire,
        silences::preview,
        routing::show,
        routing::set,
        routing::check,
        agent_settings::list,
        agent_settings::set_all,
        agent_settings::remove_all,
        agent_settings::set_group,
        agent_settings::remove_group,
        agent_settings::set_host,
        agent_settings::remove_host,
        agent_settings::effective,
        processes::processes,
        channels::list,
        channels::create,
        channels::change,
        channels::remove,
        channels::test,
        channels::outbox,
        audit::list,
        audit::export,
        rules::list,
        rules::check,
        backtest::backtest,
        rules::document,
        rules::set_document,
        rules::remove_document,
        rules::set_layer,
        rules::remove_layer,
    )
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

//! Channels, the ways out, and the messages that left by them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_api::{
    Channel, ChannelList, ChannelSpec, ChannelTest, Failure, OutboxMessage, OutboxPage,
};
use muster_delivery::open;
use muster_meta::{Permission, Secrets};

use super::authority::{Administrator, Reader};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::app::App;
use crate::outbox::{spec_of, stored, try_out};

/// How many messages a list holds.
const PAGE: u64 = 200;
/// Receivers that are there without a channel.
const RESERVED: [&str; 2] = ["everyone", "nobody"];

/// Lists the channels, without their secrets; how they are set up is shown to administrators only.
#[utoipa::path(get, path = "/api/muster/v1/channels", responses(
    (status = 200, description = "All channels", body = ChannelList),
    (status = 403, description = "Not allowed to read", body = Failure),
))]
pub(crate) async fn list(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
) -> Result<Json<ChannelList>, ApiFailure> {
    let waiting = app.meta.waiting_messages().await?.by_channel;
    let mut channels = Vec::new();
    for channel in app.meta.list_channels().await? {
        let waiting = waiting.iter().find(|waiting| waiting.channel_id == channel.id);
        let mut shown = shown(channel, waiting.map_or(0, |waiting| waiting.messages))?;
        if !who.role.permits(Permission::Administer) {
            shown.spec.settings.clear();
        }
        channels.push(shown);
    }
    Ok(Json(ChannelList { channels }))
}

/// Makes a channel. Nothing is sent: try it with its test.
#[utoipa::path(post, path = "/api/muster/v1/channels", request_body = ChannelSpec, responses(
    (status = 200, description = "The channel", body = Channel),
    (status = 400, description = "A setting is missing or cannot be used", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 409, description = "The name is taken (`name_taken`)", body = Failure),
))]
pub(crate) async fn create(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    ApiJson(spec): ApiJson<ChannelSpec>,
) -> Result<Json<Channel>, ApiFailure> {
    let spec = checked(&app, spec, &Secrets::new())?;
    let (now_ms, settings) = (app.clock.now_ms(), stored(&spec));
    let secrets = without_empty(spec.secrets);
    let made = app.meta.create_channel(&who.actor, &spec.name, &settings, &secrets, now_ms).await?;
    app.outbox.changed.notify_one();
    Ok(Json(shown(made, 0)?))
}

/// Sets a channel up anew. Secrets that are absent stay as they are, an empty one is removed; what waits is tried at once.
#[utoipa::path(patch, path = "/api/muster/v1/channels/{id}", params(("id" = String, Path,)), request_body = ChannelSpec, responses(
    (status = 200, description = "The channel as it is now", body = Channel),
    (status = 400, description = "A setting is missing or cannot be used", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such channel", body = Failure),
    (status = 409, description = "The name is taken (`name_taken`)", body = Failure),
))]
pub(crate) async fn change(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ApiJson(spec): ApiJson<ChannelSpec>,
) -> Result<Json<Channel>, ApiFailure> {
    let (_, old) = app.meta.channel(&id).await?.ok_or_else(no_such_channel)?;
    let spec = checked(&app, spec, &old)?;
    let (now_ms, settings) = (app.clock.now_ms(), stored(&spec));
    let changed = app
        .meta
        .change_channel(&who.actor, &id, &spec.name, &settings, &spec.secrets, now_ms)
        .await?;
    app.meta.try_now(&id, now_ms).await?;
    app.outbox.set_up_anew(&id);
    Ok(Json(shown(changed, 0)?))
}

/// Removes a channel, with the messages that wait for it.
#[utoipa::path(delete, path = "/api/muster/v1/channels/{id}", params(("id" = String, Path,)), responses(
    (status = 204, description = "Removed"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such channel", body = Failure),
))]
pub(crate) async fn remove(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    app.meta.remove_channel(&who.actor, &id, app.clock.now_ms()).await?;
    app.outbox.changed.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a message by a channel that only says that it arrives, and tells what came of it.
#[utoipa::path(post, path = "/api/muster/v1/channels/{id}/test", params(("id" = String, Path,)), responses(
    (status = 200, description = "What came of it", body = ChannelTest),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such channel", body = Failure),
))]
pub(crate) async fn test(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<ChannelTest>, ApiFailure> {
    let (channel, secrets) = app.meta.channel(&id).await?.ok_or_else(no_such_channel)?;
    let spec = spec_of(&channel).map_err(|_| ApiFailure::internal())?;
    let number = format!("test-{}/{id}", app.clock.now_ms());
    Ok(Json(match try_out(&app, &spec, &secrets, &number).await {
        Ok(answer) => ChannelTest { sent: true, answer },
        Err(answer) => ChannelTest { sent: false, answer },
    }))
}

/// Lists the messages that were queued last, with what became of each.
#[utoipa::path(get, path = "/api/muster/v1/outbox", responses(
    (status = 200, description = "The newest first", body = OutboxPage),
    (status = 403, description = "Not allowed to read", body = Failure),
))]
pub(crate) async fn outbox(
    _: Reader,
    State(app): State<Arc<App>>,
) -> Result<Json<OutboxPage>, ApiFailure> {
    let channels = app.meta.list_channels().await?;
    let names: BTreeMap<&str, &str> =
        channels.iter().map(|channel| (&*channel.id, &*channel.name)).collect();
    let messages = app.meta.list_messages(PAGE).await?.into_iter().map(|message| OutboxMessage {
        channel: names.get(&*message.channel_id).map_or(String::new(), |&name| name.to_owned()),
        id: message.id,
        subject: message.subject,
        queued_ms: message.queued_ms,
        attempts: message.attempts,
        next_try_ms: message.next_try_ms,
        sent_ms: message.sent_ms,
        answer: message.answer,
    });
    let waiting = app.meta.waiting_messages().await?.messages;
    Ok(Json(OutboxPage { messages: messages.collect(), waiting }))
}

/// The settings if a channel can be set up by them, with those secrets that it has already.
fn checked(app: &App, mut spec: ChannelSpec, old: &Secrets) -> Result<ChannelSpec, ApiFailure> {
    spec.name = spec.name.trim().to_owned();
    if RESERVED.contains(&&*spec.name) {
        let error = format!("{:?} is a receiver of its own; choose another name", spec.name);
        return Err(ApiFailure::bad_request(error));
    }
    let mut secrets = old.clone();
    secrets.extend(spec.secrets.clone());
    open(&spec, &without_empty(secrets), &app.outbox.surroundings)
        .map_err(|error| ApiFailure::bad_request(error.to_string()))?;
    Ok(spec)
}

fn without_empty(mut secrets: Secrets) -> Secrets {
    secrets.retain(|_, secret| !secret.is_empty());
    secrets
}

fn no_such_channel() -> ApiFailure {
    ApiFailure::not_found("there is no such channel; it may have been removed")
}

fn shown(channel: muster_meta::Channel, waiting: u64) -> Result<Channel, ApiFailure> {
    let spec = spec_of(&channel).map_err(|error| {
        tracing::error!(channel = channel.name, %error, "a stored channel cannot be read");
        ApiFailure::internal()
    })?;
    Ok(Channel {
        spec,
        id: channel.id,
        secrets_set: channel.secret_names,
        waiting,
        last_sent_ms: channel.last_sent_ms,
        last_failure_ms: channel.last_failure_ms,
        failure: channel.failure,
    })
}

//! A round of one channel: its messages are sent one after the other, and what became of each is written down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_alerting::{ALERT_NAME, Notification};
use muster_api::ChannelSpec;
use muster_delivery::{
    Channel, Message, SendError, SpecError, Then, for_channel, next_try_ms, open,
    sample_notification,
};
use muster_meta::MetaError;
use serde::Deserialize as _;

use super::channels::spec_of;
use super::lane::Lane;
use super::round::{Candidate, Outcome, Round};
use crate::app::App;

/// How many messages a round takes on.
const ROUND: u64 = 100;
/// The name of the built-in alert that a message was given up.
const GIVEN_UP: &str = "MusterMessageGivenUp";
/// How soon it is tried again to write down what became of a message.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// What is known of a channel after a round.
pub(super) struct RoundEnd {
    pub(super) channel_id: String,
    pub(super) lane: Lane,
}

/// A channel that is ready to send.
struct Ready {
    spec: ChannelSpec,
    channel: Result<Box<dyn Channel>, SpecError>,
}

/// Sends what waits for a channel.
pub(super) async fn round(app: Arc<App>, channel_id: String, mut lane: Lane) -> RoundEnd {
    match sent(&app, &channel_id, &lane).await {
        Ok(None) => lane.worked(app.clock.monotonic_ms()),
        Ok(Some(down)) => {
            let now_ms = app.clock.monotonic_ms();
            lane.failed(now_ms + down.wait_ms, down.asked, now_ms);
        }
        Err(error) => {
            tracing::warn!(%error, "the database does not give a channel's messages");
            let now_ms = app.clock.monotonic_ms();
            lane.failed(now_ms + super::DATABASE_AGAIN_MS, false, now_ms);
        }
    }
    RoundEnd { channel_id, lane }
}

/// A channel that does not work now.
struct Down {
    /// How long it is left alone, in milliseconds.
    wait_ms: i64,
    asked: bool,
}

async fn sent(app: &App, channel_id: &str, lane: &Lane) -> Result<Option<Down>, MetaError> {
    let now_ms = app.clock.now_ms();
    // One that works gets what is due; one that failed is tried with the oldest first.
    let until_ms = if lane.is_down() { i64::MAX } else { now_ms };
    let messages = app.meta.due_messages(channel_id, until_ms, ROUND).await?;
    let ready = ready(app, channel_id).await?;
    let candidates = messages
        .iter()
        .map(|message| Candidate { id: message.id.clone(), attempts: message.attempts });
    let mut round = Round::new(candidates.collect::<Vec<_>>());
    let mut messages: BTreeMap<&str, &muster_meta::Message> =
        messages.iter().map(|message| (&*message.id, message)).collect();
    let mut down = None;
    while let Some(candidate) = round.next() {
        let Some(message) = messages.remove(&*candidate.id) else { continue };
        let tried = match &ready {
            Some(ready) => send(app, ready, message).await,
            None => Err(SendError {
                text: "the channel was removed or switched off".into(),
                then: Then::GiveUp,
            }),
        };
        let name = ready.as_ref().map_or(channel_id, |ready| &*ready.spec.name);
        app.outbox.count(name, tried.is_ok());
        let now_ms = app.clock.now_ms();
        let (answer, next) = match &tried {
            Ok(receipt) => (receipt, None),
            Err(error) => {
                let tries = lane.failures_then().max(message.attempts + 1);
                let next = next_try_ms(error.then, tries, message.queued_ms, &message.id, now_ms);
                tracing::warn!(channel = name, message = message.id, %error, "a message was not taken");
                if next.is_none() && ready.is_some() && !tells_of_given_up(message) {
                    app.outbox.count_given_up(name, now_ms);
                }
                (&error.text, next)
            }
        };
        write_down(app, &message.id, answer, tried.is_ok(), next).await;
        round.told(match (&tried, next) {
            (Ok(_), _) => Outcome::Taken,
            (Err(error), _) if error.then == Then::GiveUp => Outcome::Refused,
            (Err(_), None) => Outcome::Refused,
            (Err(error), Some(next_ms)) => {
                let asked = matches!(error.then, Then::TryAgainAfter(_));
                down = Some(Down { wait_ms: next_ms - now_ms, asked });
                Outcome::Failed
            }
        });
    }
    Ok(down.filter(|_| round.is_down()))
}

/// Whether a message only tells that messages were given up: if it is given up itself that is no news, else one channel
/// would bring alerts for ever.
fn tells_of_given_up(message: &muster_meta::Message) -> bool {
    message.notification["common_labels"][ALERT_NAME] == GIVEN_UP
}

/// The channel, set up; none if it is gone or off.
async fn ready(app: &App, channel_id: &str) -> Result<Option<Ready>, MetaError> {
    let Some((channel, secrets)) = app.meta.channel(channel_id).await? else { return Ok(None) };
    let spec = match spec_of(&channel) {
        Ok(spec) if spec.enabled => spec,
        Ok(_) => return Ok(None),
        Err(error) => {
            tracing::error!(channel = channel.name, %error, "a stored channel cannot be read; set it up anew");
            return Ok(None);
        }
    };
    let channel = open(&spec, &secrets, &app.outbox.surroundings);
    Ok(Some(Ready { spec, channel }))
}

async fn send(
    app: &App,
    ready: &Ready,
    message: &muster_meta::Message,
) -> Result<String, SendError> {
    let broken = |text: String, then| SendError { text, then };
    let channel =
        ready.channel.as_ref().map_err(|error| broken(error.to_string(), Then::TryAgain))?;
    let notification = Notification::deserialize(&message.notification)
        .map_err(|error| broken(format!("the message cannot be read: {error}"), Then::GiveUp))?;
    let Some(notification) = for_channel(&notification, ready.spec.send_resolved) else {
        return Ok("not sent: the channel is not told of what is resolved".into());
    };
    let message = Message {
        id: &message.id,
        notification: &notification,
        language: ready.spec.language,
        place: &app.outbox.place,
    };
    channel.send(&message).await
}

/// Writes down what became of a message, however long the database takes: else it would be sent again.
async fn write_down(app: &App, id: &str, answer: &str, taken: bool, next_ms: Option<i64>) {
    loop {
        let now_ms = app.clock.now_ms();
        let written = if taken {
            app.meta.message_taken(id, answer, now_ms).await
        } else {
            app.meta.message_failed(id, answer, next_ms, now_ms).await
        };
        match written {
            // Its channel was removed meanwhile, and the message with it.
            Ok(()) | Err(MetaError::NotFound { .. }) => return,
            Err(error) => {
                tracing::warn!(message = id, %error, "what became of a message is not written down yet");
                tokio::time::sleep(WRITE_AGAIN).await;
            }
        }
    }
}

/// Sends a message that only says that it arrives; what the other side answered.
pub(crate) async fn try_out(
    app: &App,
    spec: &ChannelSpec,
    secrets: &BTreeMap<String, String>,
    id: &str,
) -> Result<String, String> {
    let channel =
        open(spec, secrets, &app.outbox.surroundings).map_err(|error| error.to_string())?;
    let notification = sample_notification(id.to_owned(), &spec.name, app.clock.now_ms());
    let place = &app.outbox.place;
    let message = Message { id, notification: &notification, language: spec.language, place };
    channel.send(&message).await.map_err(|error| error.text)
}

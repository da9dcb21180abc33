//! Messages on their way out. They are queued in the transaction of the change that they tell of
//! ([`crate::Meta::commit_alerting`]), and stay, with what became of them, until they are pruned.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde_json::Value;

use crate::alerting::{TrailLine, add_trail, parsed, statements};
use crate::attempts::Attempts;
use crate::entities::{channel, outbox};
use crate::names::truncated;
use crate::{Meta, MetaError};

/// How many rows are written by one statement.
const ROWS: usize = 200;
/// The most characters of an answer that are kept.
const MAX_ANSWER: usize = 1_000;

/// A message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// Its number: up to 255 characters, the same if the same is queued again.
    pub id: String,
    /// The channel's number.
    pub channel_id: String,
    /// Its first line, for lists.
    pub subject: String,
    /// What it says.
    pub notification: Value,
    /// The fingerprints of the alerts it tells of.
    pub alerts: Vec<String>,
}

/// A message, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its number.
    pub id: String,
    /// The channel's number.
    pub channel_id: String,
    /// Its first line.
    pub subject: String,
    /// What it says.
    pub notification: Value,
    /// The fingerprints of the alerts it tells of.
    pub alerts: Vec<String>,
    /// When it was queued, in milliseconds since 1970.
    pub queued_ms: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is to be tried; none if it is sent or given up.
    pub next_try_ms: Option<i64>,
    /// When it was taken.
    pub sent_ms: Option<i64>,
    /// What the other side said last.
    pub answer: Option<String>,
}

/// How many messages wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// In all.
    pub messages: u64,
    /// When the oldest of them was queued.
    pub oldest_ms: Option<i64>,
    /// When the next one is to be tried.
    pub next_try_ms: Option<i64>,
    /// For each channel that something waits for.
    pub by_channel: Vec<WaitingFor>,
}

/// How many messages wait for a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingFor {
    /// The channel's number.
    pub channel_id: String,
    /// How many.
    pub messages: u64,
    /// When the oldest of them was queued.
    pub oldest_ms: i64,
    /// When the next one is to be tried.
    pub next_try_ms: i64,
    /// When the last one is.
    pub latest_try_ms: i64,
}

/// What became of a try.
enum Fate<'a> {
    Taken { answer: &'a str },
    Failed { answer: &'a str, next_try_ms: Option<i64> },
}

impl Meta {
    /// Messages for a channel that are to be tried at that time or before, those that were queued first first.
    pub async fn due_messages(
        &self,
        channel_id: &str,
        until_ms: i64,
        limit: u64,
    ) -> Result<Vec<Message>, MetaError> {
        let rows = outbox::Entity::find()
            .filter(outbox::Column::ChannelId.eq(channel_id))
            .filter(outbox::Column::NextTryMs.lte(until_ms))
            .order_by_asc(outbox::Column::QueuedMs)
            .order_by_asc(outbox::Column::Id)
            .limit(limit)
            .all(&self.db)
            .await?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// A channel has taken a message; its alerts' trail says so.
    pub async fn message_taken(
        &self,
        id: &str,
        answer: &str,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        self.end_try(id, &Fate::Taken { answer }, now_ms).await
    }

    /// A channel has not taken a message, which is tried again at `next_try_ms`, or given up; its alerts' trail says so.
    pub async fn message_failed(
        &self,
        id: &str,
        answer: &str,
        next_try_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        self.end_try(id, &Fate::Failed { answer, next_try_ms }, now_ms).await
    }

    async fn end_try(&self, id: &str, fate: &Fate<'_>, now_ms: i64) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let result = write_fate(&open, id, fate, now_ms).await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// The messages that were queued last, the newest first.
    pub async fn list_messages(&self, limit: u64) -> Result<Vec<Message>, MetaError> {
        let rows = outbox::Entity::find()
            .order_by_desc(outbox::Column::QueuedMs)
            .order_by_desc(outbox::Column::Id)
            .limit(limit)
            .all(&self.db)
            .await?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// How many messages wait, and since when.
    pub async fn waiting_messages(&self) -> Result<Waiting, MetaError> {
        let rows: Vec<(String, i64, i64, i64, i64)> = outbox::Entity::find()
            .filter(outbox::Column::NextTryMs.is_not_null())
            .select_only()
            .column(outbox::Column::ChannelId)
            .column_as(outbox::Column::Id.count(), "waiting")
            .column_as(outbox::Column::QueuedMs.min(), "oldest")
            .column_as(outbox::Column::NextTryMs.min(), "next")
            .column_as(outbox::Column::NextTryMs.max(), "latest")
            .group_by(outbox::Column::ChannelId)
            .into_tuple()
            .all(&self.db)
            .await?;
        let by_channel = rows.into_iter().map(|row| {
            let (channel_id, messages, oldest_ms, next_try_ms, latest_try_ms) = row;
            let messages = messages as u64;
            WaitingFor { channel_id, messages, oldest_ms, next_try_ms, latest_try_ms }
        });
        let by_channel: Vec<WaitingFor> = by_channel.collect();
        Ok(Waiting {
            messages: by_channel.iter().map(|waiting| waiting.messages).sum(),
            oldest_ms: by_channel.iter().map(|waiting| waiting.oldest_ms).min(),
            next_try_ms: by_channel.iter().map(|waiting| waiting.next_try_ms).min(),
            by_channel,
        })
    }

    /// Lets the messages that wait for a channel be tried now.
    pub async fn try_now(&self, channel_id: &str, now_ms: i64) -> Result<(), MetaError> {
        outbox::Entity::update_many()
            .set(outbox::ActiveModel { next_try_ms: Set(Some(now_ms)), ..Default::default() })
            .filter(outbox::Column::ChannelId.eq(channel_id))
            .filter(outbox::Column::NextTryMs.is_not_null())
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Forgets messages that were queued before a time and do not wait. How many that were.
    pub async fn prune_messages(&self, before_ms: i64) -> Result<u64, MetaError> {
        let done = outbox::Entity::delete_many()
            .filter(outbox::Column::QueuedMs.lt(before_ms))
            .filter(outbox::Column::NextTryMs.is_null())
            .exec(&self.db)
            .await?;
        Ok(done.rows_affected)
    }

    /// How many messages there are, sent ones included.
    pub async fn count_messages(&self) -> Result<u64, MetaError> {
        Ok(outbox::Entity::find().count(&self.db).await?)
    }
}

/// Queues messages, in the transaction of the change that they tell of.
pub(crate) async fn queue(
    tx: &impl ConnectionTrait,
    messages: &[NewMessage],
    now_ms: i64,
) -> Result<(), MetaError> {
    let keep =
        OnConflict::column(outbox::Column::Id).do_nothing_on([outbox::Column::Id]).to_owned();
    let rows = messages.iter().map(|message| outbox::Model {
        id: truncated(&message.id, 255),
        channel_id: truncated(&message.channel_id, 32),
        subject: truncated(&message.subject, 255),
        notification_json: message.notification.to_string(),
        alerts_json: Value::from(message.alerts.clone()).to_string(),
        queued_ms: now_ms,
        attempts: 0,
        next_try_ms: Some(now_ms),
        sent_ms: None,
        answer: None,
    });
    for rows in statements(rows, ROWS, |row| row.notification_json.len()) {
        outbox::Entity::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model))
            .on_conflict(keep.clone())
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

async fn write_fate(
    tx: &impl ConnectionTrait,
    id: &str,
    fate: &Fate<'_>,
    now_ms: i64,
) -> Result<(), MetaError> {
    let not_found = || MetaError::NotFound { what: "message", id: id.to_owned() };
    let row = outbox::Entity::find_by_id(id).one(tx).await?.ok_or_else(not_found)?;
    let channel = channel::Entity::find_by_id(&row.channel_id).one(tx).await?;
    let name = channel.as_ref().map_or_else(|| row.channel_id.clone(), |row| row.name.clone());
    let attempts = row.attempts.saturating_add(1);
    let (answer, next_try_ms, sent_ms) = match *fate {
        Fate::Taken { answer } => (answer, None, Some(now_ms)),
        Fate::Failed { answer, next_try_ms } => (answer, next_try_ms, None),
    };
    let answer = truncated(answer, MAX_ANSWER);
    let set = outbox::ActiveModel {
        attempts: Set(attempts),
        next_try_ms: Set(next_try_ms),
        sent_ms: Set(sent_ms),
        answer: Set(Some(answer.clone())),
        ..Default::default()
    };
    let of_id = outbox::Column::Id.eq(id);
    outbox::Entity::update_many().set(set).filter(of_id).exec(tx).await?;
    let seen = match fate {
        Fate::Taken { .. } => channel::ActiveModel {
            last_sent_ms: Set(Some(now_ms)),
            failure: Set(None),
            ..Default::default()
        },
        Fate::Failed { .. } => channel::ActiveModel {
            last_failure_ms: Set(Some(now_ms)),
            failure: Set(Some(answer.clone())),
            ..Default::default()
        },
    };
    let of_channel = channel::Column::Id.eq(&row.channel_id);
    channel::Entity::update_many().set(seen).filter(of_channel).exec(tx).await?;
    let (kind, text) = match fate {
        Fate::Taken { .. } => ("sent", format!("{name} took the message: {answer}")),
        Fate::Failed { next_try_ms: Some(_), .. } => {
            ("failed", format!("{name} did not take the message (try {attempts}): {answer}"))
        }
        Fate::Failed { next_try_ms: None, .. } => (
            "given_up",
            format!("the message to {name} was given up after {attempts} tries: {answer}"),
        ),
    };
    // What fails for days is told once, and each time that something new is said.
    if kind == "failed" && attempts > 1 && row.answer.as_deref() == Some(&*answer) {
        return Ok(());
    }
    let alerts: Vec<String> = parsed("outbox.alerts_json", &row.alerts_json)?;
    let lines: Vec<TrailLine> = alerts
        .into_iter()
        .map(|alert| TrailLine {
            at_ms: now_ms,
            alert,
            kind: kind.to_owned(),
            receiver: Some(name.clone()),
            message: Some(row.id.clone()),
            subject: None,
            value: None,
            text: text.clone(),
        })
        .collect();
    add_trail(tx, &lines).await
}

impl TryFrom<outbox::Model> for Message {
    type Error = MetaError;

    fn try_from(row: outbox::Model) -> Result<Self, MetaError> {
        Ok(Self {
            notification: parsed("outbox.notification_json", &row.notification_json)?,
            alerts: parsed("outbox.alerts_json", &row.alerts_json)?,
            id: row.id,
            channel_id: row.channel_id,
            subject: row.subject,
            queued_ms: row.queued_ms,
            attempts: row.attempts.unsigned_abs(),
            next_try_ms: row.next_try_ms,
            sent_ms: row.sent_ms,
            answer: row.answer,
        })
    }
}

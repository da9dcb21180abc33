//! What the alerting decides, written down: what it must know again, each step of each alert, past firings.
//!
//! A change is one transaction, with the messages that it brings ([`crate::NewMessage`]): so nothing counts as told that
//! was not queued, and nothing is queued twice.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::Value;

use crate::attempts::Attempts;
use crate::entities::{alert_episode, alert_trail, alerting_record};
use crate::names::truncated;
use crate::outbox::NewMessage;
use crate::{Meta, MetaError, ids};

/// How many rows are written by one statement, and of how many bytes together: MariaDB takes 16 MiB by default, and its
/// way of writing texts makes more of them.
const ROWS: usize = 500;
const BYTES: usize = 2 << 20;
/// The most steps or firings that one question gets.
pub const MAX_ALERTING_PAGE: u64 = 5_000;

/// Something that the alerting must know again after a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What kind of thing it is: up to 64 characters.
    pub kind: String,
    /// Which of its kind: up to 255 characters.
    pub key: String,
    /// What is known of it.
    pub value: Value,
}

/// A step of an alert's paper trail.
#[derive(Debug, Clone, PartialEq)]
pub struct TrailLine {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The alert's fingerprint: 16 hexadecimal digits.
    pub alert: String,
    /// Which step, such as `pending`.
    pub kind: String,
    /// The receiver it is about.
    pub receiver: Option<String>,
    /// The message it is about.
    pub message: Option<String>,
    /// The silence, the other alert, the person it is about.
    pub subject: Option<String>,
    /// The value at that moment.
    pub value: Option<f64>,
    /// What happened, in words.
    pub text: String,
}

/// One firing of an alert; the alert and the start are its identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// The alert's fingerprint: 16 hexadecimal digits.
    pub alert: String,
    /// The alert's name.
    pub name: String,
    /// How urgent it was.
    pub severity: String,
    /// The host, if it belongs to one.
    pub instance: Option<String>,
    /// Its labels.
    pub labels: Value,
    /// Its texts.
    pub annotations: Value,
    /// Since when it fired, in milliseconds since 1970.
    pub starts_at_ms: i64,
    /// Until when; none while it fires.
    pub ends_at_ms: Option<i64>,
    /// How many messages told of it.
    pub messages: u64,
}

/// What is to be written down together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertingChange {
    /// What is to be known again; it replaces what has the same kind and key.
    pub put: Vec<Record>,
    /// Kind and key of what is to be forgotten.
    pub remove: Vec<(String, String)>,
    /// Steps of alerts.
    pub trail: Vec<TrailLine>,
    /// Messages to be sent; one whose number is there already is left as it is.
    pub messages: Vec<NewMessage>,
    /// Firings that began, changed or ended.
    pub episodes: Vec<Episode>,
}

impl AlertingChange {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty()
            && self.remove.is_empty()
            && self.trail.is_empty()
            && self.messages.is_empty()
            && self.episodes.is_empty()
    }
}

impl AlertingChange {
    /// How many things are to be written.
    pub fn len(&self) -> usize {
        self.messages.len()
            + self.episodes.len()
            + self.trail.len()
            + self.put.len()
            + self.remove.len()
    }

    /// The change as two, of which the first is to be written first: messages come before what counts them as told.
    pub fn halved(mut self) -> (Self, Self) {
        let mut left = self.len() / 2;
        let mut first = Self::default();
        take(&mut self.messages, &mut first.messages, &mut left);
        take(&mut self.episodes, &mut first.episodes, &mut left);
        take(&mut self.trail, &mut first.trail, &mut left);
        take(&mut self.put, &mut first.put, &mut left);
        take(&mut self.remove, &mut first.remove, &mut left);
        (first, self)
    }
}

/// Moves the first of a list into another, until none is left to move.
fn take<T>(from: &mut Vec<T>, to: &mut Vec<T>, left: &mut usize) {
    let count = from.len().min(*left);
    to.extend(from.drain(..count));
    *left -= count;
}

/// Which firings are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpisodeFilter {
    /// Those of one alert, by its fingerprint.
    pub alert: Option<String>,
    /// Those whose name, host or labels hold this text.
    pub search: Option<String>,
    /// Those of alerts with this name.
    pub name: Option<String>,
    /// Those of one host.
    pub instance: Option<String>,
    /// Those that are so urgent.
    pub severity: Option<String>,
    /// Those that fired at this time or later.
    pub from_ms: Option<i64>,
    /// Those that began at this time or earlier.
    pub to_ms: Option<i64>,
    /// Those that come after this one in the list: a number that [`Meta::episodes`] gave.
    pub before: Option<String>,
}

impl Meta {
    /// Writes a change down, all of it or nothing.
    pub async fn commit_alerting(
        &self,
        change: &AlertingChange,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        if change.is_empty() {
            return Ok(());
        }
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let result = write(&open, change, now_ms).await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// All that is known of a kind.
    pub async fn records(&self, kind: &str) -> Result<Vec<Record>, MetaError> {
        let of_kind = alerting_record::Column::Kind.eq(kind);
        let rows = alerting_record::Entity::find()
            .filter(of_kind)
            .order_by_asc(alerting_record::Column::RecordKey)
            .all(&self.db)
            .await?;
        rows.into_iter().map(Record::try_from).collect()
    }

    /// The newest steps of an alert within a time, both ends included, the oldest of them first.
    pub async fn trail_of(
        &self,
        alert: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<TrailLine>, MetaError> {
        self.trail(Condition::all().add(alert_trail::Column::Alert.eq(alert)), from_ms, to_ms).await
    }

    /// The newest steps of all alerts within a time, both ends included, the oldest of them first.
    pub async fn trail_between(
        &self,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<TrailLine>, MetaError> {
        self.trail(Condition::all(), from_ms, to_ms).await
    }

    async fn trail(
        &self,
        which: Condition,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<TrailLine>, MetaError> {
        let rows = alert_trail::Entity::find()
            .filter(which)
            .filter(alert_trail::Column::Id.gte(numbered_from(from_ms)))
            .filter(alert_trail::Column::Id.lt(numbered_from(to_ms.saturating_add(1))))
            .order_by_desc(alert_trail::Column::Id)
            .limit(MAX_ALERTING_PAGE)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().rev().map(TrailLine::from).collect())
    }

    /// Firings, those that began last first, with the number after which the next ones come; none after the last.
    pub async fn episodes(
        &self,
        filter: &EpisodeFilter,
        limit: u64,
    ) -> Result<(Vec<Episode>, Option<String>), MetaError> {
        let limit = limit.clamp(1, MAX_ALERTING_PAGE);
        let mut rows = alert_episode::Entity::find()
            .filter(filter.condition())
            .order_by_desc(alert_episode::Column::Id)
            .limit(limit + 1)
            .all(&self.db)
            .await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| row.id.clone());
        let episodes = rows.into_iter().map(Episode::try_from).collect::<Result<_, _>>()?;
        Ok((episodes, next))
    }

    /// Forgets steps and ended firings from before a time. How many rows that were.
    pub async fn prune_alerting(&self, before_ms: i64) -> Result<u64, MetaError> {
        let steps = alert_trail::Entity::delete_many()
            .filter(alert_trail::Column::Id.lt(numbered_from(before_ms)))
            .exec(&self.db)
            .await?;
        let firings = alert_episode::Entity::delete_many()
            .filter(alert_episode::Column::EndsAtMs.lt(before_ms))
            .exec(&self.db)
            .await?;
        Ok(steps.rows_affected + firings.rows_affected)
    }
}

async fn write(
    tx: &impl ConnectionTrait,
    change: &AlertingChange,
    now_ms: i64,
) -> Result<(), MetaError> {
    put_records(tx, &change.put).await?;
    for (kind, key) in &change.remove {
        alerting_record::Entity::delete_by_id((kind.clone(), key.clone())).exec(tx).await?;
    }
    add_trail(tx, &change.trail).await?;
    put_episodes(tx, &change.episodes).await?;
    crate::outbox::queue(tx, &change.messages, now_ms).await
}

async fn put_records(tx: &impl ConnectionTrait, records: &[Record]) -> Result<(), MetaError> {
    use alerting_record::Column;
    // One statement may name a row once only: the last one counts.
    let mut last: BTreeMap<(&str, &str), &Record> = BTreeMap::new();
    last.extend(records.iter().map(|record| ((&*record.kind, &*record.key), record)));
    let records: Vec<&Record> = last.into_values().collect();
    let replace = OnConflict::columns([Column::Kind, Column::RecordKey])
        .update_column(Column::ValueJson)
        .to_owned();
    let rows = records.into_iter().map(|record| alerting_record::Model {
        kind: truncated(&record.kind, 64),
        record_key: truncated(&record.key, 255),
        value_json: record.value.to_string(),
    });
    for rows in statements(rows, ROWS, |row| row.value_json.len()) {
        alerting_record::Entity::insert_many(
            rows.into_iter().map(IntoActiveModel::into_active_model),
        )
        .on_conflict(replace.clone())
        .exec_without_returning(tx)
        .await?;
    }
    Ok(())
}

/// Adds steps; also called where a message's fate is written down.
pub(crate) async fn add_trail(
    tx: &impl ConnectionTrait,
    lines: &[TrailLine],
) -> Result<(), MetaError> {
    for (chunk, lines) in lines.chunks(ROWS).enumerate() {
        let mut rows = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            rows.push(line.to_row(chunk * ROWS + at)?.into_active_model());
        }
        alert_trail::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

async fn put_episodes(tx: &impl ConnectionTrait, episodes: &[Episode]) -> Result<(), MetaError> {
    use alert_episode::Column;
    let mut last: BTreeMap<String, &Episode> = BTreeMap::new();
    last.extend(episodes.iter().map(|episode| (episode.id(), episode)));
    let episodes: Vec<(String, &Episode)> = last.into_iter().collect();
    let changed = [Column::Severity, Column::AnnotationsJson, Column::EndsAtMs, Column::Messages];
    let replace = OnConflict::column(Column::Id).update_columns(changed).to_owned();
    let rows = episodes.into_iter().map(|(id, episode)| alert_episode::Model {
        id,
        alert: truncated(&episode.alert, 64),
        name: truncated(&episode.name, 255),
        severity: truncated(&episode.severity, 64),
        instance: episode.instance.as_ref().map(|instance| truncated(instance, 255)),
        labels_json: episode.labels.to_string(),
        annotations_json: episode.annotations.to_string(),
        starts_at_ms: episode.starts_at_ms,
        ends_at_ms: episode.ends_at_ms,
        messages: episode.messages as i64,
    });
    for rows in statements(rows, ROWS, |row| row.labels_json.len() + row.annotations_json.len()) {
        alert_episode::Entity::insert_many(
            rows.into_iter().map(IntoActiveModel::into_active_model),
        )
        .on_conflict(replace.clone())
        .exec_without_returning(tx)
        .await?;
    }
    Ok(())
}

/// The rows as single statements can write them.
pub(crate) fn statements<T>(
    rows: impl Iterator<Item = T>,
    most: usize,
    bytes: impl Fn(&T) -> usize,
) -> Vec<Vec<T>> {
    let mut statements: Vec<Vec<T>> = Vec::new();
    let mut total = 0;
    for row in rows {
        let more = bytes(&row);
        match statements.last_mut() {
            Some(last) if last.len() < most && total + more <= BYTES => {
                total += more;
                last.push(row);
            }
            _ => {
                total = more;
                statements.push(vec![row]);
            }
        }
    }
    statements
}

/// The least number of what was written at a time or later.
fn numbered_from(at_ms: i64) -> String {
    format!("{:012x}", at_ms.clamp(0, 0xffff_ffff_ffff))
}

impl TrailLine {
    /// `place` orders those of one change.
    fn to_row(&self, place: usize) -> Result<alert_trail::Model, MetaError> {
        let random = ids::new_id()?;
        let optional = |text: &Option<String>| text.as_ref().map(|text| truncated(text, 255));
        Ok(alert_trail::Model {
            id: format!("{}{:06x}{}", numbered_from(self.at_ms), place & 0xff_ffff, &random[..14]),
            at_ms: self.at_ms,
            alert: truncated(&self.alert, 64),
            step: truncated(&self.kind, 64),
            receiver: optional(&self.receiver),
            message: optional(&self.message),
            subject: optional(&self.subject),
            value: self.value.filter(|value| value.is_finite()),
            text: truncated(&self.text, 2_000),
        })
    }
}

impl From<alert_trail::Model> for TrailLine {
    fn from(row: alert_trail::Model) -> Self {
        Self {
            at_ms: row.at_ms,
            alert: row.alert,
            kind: row.step,
            receiver: row.receiver,
            message: row.message,
            subject: row.subject,
            value: row.value,
            text: row.text,
        }
    }
}

impl Episode {
    /// Its number: the start first, so that the order of numbers is the order of starts.
    fn id(&self) -> String {
        format!("{}{}", numbered_from(self.starts_at_ms), truncated(&self.alert, 48))
    }
}

impl EpisodeFilter {
    fn condition(&self) -> Condition {
        use alert_episode::Column;
        let equal = |column: Column, wanted: &Option<String>| {
            wanted.as_ref().map(|wanted| column.eq(wanted.clone()))
        };
        let search = self.search.as_deref().filter(|text| !text.is_empty()).map(|text| {
            // What a person types is text, not a pattern.
            let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
            let pattern = sea_orm::sea_query::LikeExpr::new(format!("%{escaped}%")).escape('!');
            let holds = |column: Column| Expr::col(column).like(pattern.clone());
            Condition::any()
                .add(holds(Column::Name))
                .add(holds(Column::Instance))
                .add(holds(Column::LabelsJson))
                .add(holds(Column::AnnotationsJson))
        });
        let still_fired = self.from_ms.map(|from_ms| {
            Condition::any().add(Column::EndsAtMs.is_null()).add(Column::EndsAtMs.gte(from_ms))
        });
        Condition::all()
            .add_option(equal(Column::Alert, &self.alert))
            .add_option(equal(Column::Name, &self.name))
            .add_option(equal(Column::Instance, &self.instance))
            .add_option(equal(Column::Severity, &self.severity))
            .add_option(search)
            .add_option(still_fired)
            .add_option(self.to_ms.map(|to_ms| Column::StartsAtMs.lte(to_ms)))
            .add_option(self.before.clone().map(|before| Column::Id.lt(before)))
    }
}

impl TryFrom<alerting_record::Model> for Record {
    type Error = MetaError;

    fn try_from(row: alerting_record::Model) -> Result<Self, MetaError> {
        let value = parsed("alerting_records.value_json", &row.value_json)?;
        Ok(Self { kind: row.kind, key: row.record_key, value })
    }
}

impl TryFrom<alert_episode::Model> for Episode {
    type Error = MetaError;

    fn try_from(row: alert_episode::Model) -> Result<Self, MetaError> {
        Ok(Self {
            labels: parsed("alert_episodes.labels_json", &row.labels_json)?,
            annotations: parsed("alert_episodes.annotations_json", &row.annotations_json)?,
            alert: row.alert,
            name: row.name,
            severity: row.severity,
            instance: row.instance,
            starts_at_ms: row.starts_at_ms,
            ends_at_ms: row.ends_at_ms,
            messages: row.messages as u64,
        })
    }
}

/// JSON as a column holds it.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(
    column: &'static str,
    text: &str,
) -> Result<T, MetaError> {
    let malformed = |_| MetaError::Malformed { column, value: truncated(text, 200) };
    serde_json::from_str(text).map_err(malformed)
}

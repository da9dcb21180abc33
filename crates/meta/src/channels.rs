//! Channels: ways out, each with settings that may be seen and secrets that are sealed.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::{Value, json};

use crate::alerting::parsed;
use crate::attempts::Attempts;
use crate::audit::{Change, Target};
use crate::entities::{channel, outbox};
use crate::names::{MAX_NAME, check_name};
use crate::{Actor, Meta, MetaError, ids};

/// A channel; without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// Its name, unique.
    pub name: String,
    /// How it is set up. Secrets do not belong here: the audit log shows it.
    pub settings: Value,
    /// The names of its secrets.
    pub secret_names: Vec<String>,
    /// When it last took a message, in milliseconds since 1970.
    pub last_sent_ms: Option<i64>,
    /// When it last did not.
    pub last_failure_ms: Option<i64>,
    /// What it said then; none if it took one since.
    pub failure: Option<String>,
}

/// Secrets by name.
pub type Secrets = BTreeMap<String, String>;

impl Meta {
    /// Makes a channel; [`MetaError::NameTaken`] if there is one of that name.
    pub async fn create_channel(
        &self,
        by: &Actor,
        name: &str,
        settings: &Value,
        secrets: &Secrets,
        now_ms: i64,
    ) -> Result<Channel, MetaError> {
        check_name("a channel", name, MAX_NAME)?;
        let id = ids::new_id()?;
        let row = channel::Model {
            name: name.to_owned(),
            settings_json: settings.to_string(),
            secrets_sealed: self.seal(&id, secrets),
            secret_names_json: names(secrets),
            id,
            last_sent_ms: None,
            last_failure_ms: None,
            failure: None,
        };
        let made = Channel::try_from(row.clone())?;
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                channel::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await
                    .map_err(|error| MetaError::taken(error, "a channel", name))?;
                let (target, after) = (made.target(), Some(made.audited()));
                let action = "channel.create";
                Change { actor: by, action, target, before: None, after, now_ms }.record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result.map(|()| made);
            }
        }
    }

    /// Sets a channel up anew. Secrets that are not named stay as they are; an empty one is removed.
    pub async fn change_channel(
        &self,
        by: &Actor,
        id: &str,
        name: &str,
        settings: &Value,
        secrets: &Secrets,
        now_ms: i64,
    ) -> Result<Channel, MetaError> {
        check_name("a channel", name, MAX_NAME)?;
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let old = find(tx, id).await?;
                let mut all = self.unseal(&old)?;
                all.extend(secrets.clone());
                all.retain(|_, secret| !secret.is_empty());
                let before = Channel::try_from(old)?;
                let set = channel::ActiveModel {
                    name: Set(name.to_owned()),
                    settings_json: Set(settings.to_string()),
                    secrets_sealed: Set(self.seal(id, &all)),
                    secret_names_json: Set(names(&all)),
                    ..Default::default()
                };
                channel::Entity::update_many()
                    .set(set)
                    .filter(channel::Column::Id.eq(id))
                    .exec(tx)
                    .await
                    .map_err(|error| MetaError::taken(error, "a channel", name))?;
                let changed = Channel::try_from(find(tx, id).await?)?;
                let target = changed.target();
                let (before, after) = (Some(before.audited()), Some(changed.audited()));
                let action = "channel.change";
                Change { actor: by, action, target, before, after, now_ms }.record(tx).await?;
                Ok(changed)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Removes a channel, with the messages that wait for it.
    pub async fn remove_channel(
        &self,
        by: &Actor,
        id: &str,
        now_ms: i64,
    ) -> Result<Channel, MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let removed = Channel::try_from(find(tx, id).await?)?;
                channel::Entity::delete_by_id(id).exec(tx).await?;
                outbox::Entity::delete_many()
                    .filter(outbox::Column::ChannelId.eq(id))
                    .filter(outbox::Column::NextTryMs.is_not_null())
                    .exec(tx)
                    .await?;
                let (target, before) = (removed.target(), Some(removed.audited()));
                let action = "channel.remove";
                Change { actor: by, action, target, before, after: None, now_ms }
                    .record(tx)
                    .await?;
                Ok(removed)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// All channels, by name.
    pub async fn list_channels(&self) -> Result<Vec<Channel>, MetaError> {
        let rows = channel::Entity::find().all(&self.db).await?;
        let mut channels: Vec<Channel> =
            rows.into_iter().map(Channel::try_from).collect::<Result<_, _>>()?;
        channels.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(channels)
    }

    /// A channel with its secrets; none if there is none.
    pub async fn channel(&self, id: &str) -> Result<Option<(Channel, Secrets)>, MetaError> {
        let Some(row) = channel::Entity::find_by_id(id).one(&self.db).await? else {
            return Ok(None);
        };
        let secrets = self.unseal(&row)?;
        Ok(Some((row.try_into()?, secrets)))
    }

    fn seal(&self, id: &str, secrets: &Secrets) -> String {
        self.key.seal(json!(secrets).to_string().as_bytes(), &sealed_at(id))
    }

    fn unseal(&self, row: &channel::Model) -> Result<Secrets, MetaError> {
        let bytes = self.key.open(&row.secrets_sealed, &sealed_at(&row.id))?;
        parsed("channels.secrets_sealed", &String::from_utf8_lossy(&bytes)).map_err(|_| {
            // The text itself must not be told.
            MetaError::Malformed { column: "channels.secrets_sealed", value: String::new() }
        })
    }
}

fn sealed_at(id: &str) -> String {
    format!("channels.secrets_sealed {id}")
}

fn names(secrets: &Secrets) -> String {
    json!(secrets.keys().collect::<Vec<_>>()).to_string()
}

async fn find(tx: &impl sea_orm::ConnectionTrait, id: &str) -> Result<channel::Model, MetaError> {
    let not_found = || MetaError::NotFound { what: "channel", id: id.to_owned() };
    channel::Entity::find_by_id(id).one(tx).await?.ok_or_else(not_found)
}

impl Channel {
    fn target(&self) -> Target {
        Target::new("channel", &self.id, &self.name)
    }

    fn audited(&self) -> Value {
        json!({ "name": self.name, "settings": self.settings, "secrets": self.secret_names })
    }
}

impl TryFrom<channel::Model> for Channel {
    type Error = MetaError;

    fn try_from(row: channel::Model) -> Result<Self, MetaError> {
        Ok(Self {
            settings: parsed("channels.settings_json", &row.settings_json)?,
            secret_names: parsed("channels.secret_names_json", &row.secret_names_json)?,
            id: row.id,
            name: row.name,
            last_sent_ms: row.last_sent_ms,
            last_failure_ms: row.last_failure_ms,
            failure: row.failure,
        })
    }
}

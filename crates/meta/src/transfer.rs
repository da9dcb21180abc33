//! All rows from one database into another: how a backup holds the metadata of a database server, and how a server
//! moves from one kind of database to another.
//!
//! A backup always holds a SQLite file, whichever database it was made of, and goes into whichever is named. Rows pass
//! through the same entities as all else, so nothing here knows a dialect.

use std::path::Path;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    IntoActiveModel, IsolationLevel, ModelTrait, QueryFilter, QueryOrder, QuerySelect,
    TransactionOptions, TransactionTrait, Value,
};

use crate::entities::{
    agent, alert_episode, alert_trail, alerting_record, api_token, audit, channel, enroll_token,
    outbox, recovery_code, session, setting, user,
};
use crate::{Location, Meta, MetaError, SealingKey, copy_database};

/// How many rows are in memory.
const ROWS: u64 = 200;

impl Meta {
    /// Writes what the database holds at one moment to a new SQLite file, which must not be there; it is readable by its
    /// owner only. For a database that is such a file already, [`crate::copy_database`] is quicker.
    pub async fn copy_to_file(&self, to: &Path) -> Result<(), MetaError> {
        if to.exists() {
            let reason = "it is there already".to_owned();
            return Err(MetaError::CannotOpen { place: to.display().to_string(), reason });
        }
        let folder = to.parent().unwrap_or(Path::new("."));
        let name = to.file_name().map(|name| name.display().to_string()).unwrap_or_default();
        let passing = folder.join(format!(".{name}.tmp"));
        let copied = self.copy_through(&passing, to).await;
        for ending in ["", "-wal", "-shm"] {
            let mut file = passing.clone().into_os_string();
            file.push(ending);
            // It is not there where the copy failed early, and in nobody's way.
            let _ = std::fs::remove_file(file);
        }
        copied
    }

    /// The file that rows are written to has a write-ahead log beside it; the copy of that is one whole file.
    async fn copy_through(&self, passing: &Path, to: &Path) -> Result<(), MetaError> {
        // What is sealed stays sealed, so the key does not matter.
        let location = Location::Sqlite(passing.to_owned());
        let copy = Self::open(&location, SealingKey::clone(&self.key)).await?;
        let copied = copy.take_rows(self).await;
        copy.close().await?;
        copied?;
        copy_database(passing, to).await
    }

    /// Brings what a SQLite file of [`Meta::copy_to_file`] or [`crate::copy_database`] holds into this database, all of it or
    /// nothing. [`MetaError::NotEmpty`] if there are rows.
    pub async fn take_from_file(&self, from: &Path) -> Result<(), MetaError> {
        let file =
            Self::open(&Location::Sqlite(from.to_owned()), SealingKey::clone(&self.key)).await?;
        let taken = self.take_rows(&file).await;
        file.close().await?;
        taken
    }

    async fn take_rows(&self, other: &Self) -> Result<(), MetaError> {
        let snapshot = TransactionOptions {
            isolation_level: Some(IsolationLevel::RepeatableRead),
            ..TransactionOptions::default()
        };
        let from = other.db.begin_with_options(snapshot).await?;
        let to = self.begin_write().await?;
        let place = self.place();
        // Tables that others refer to come first.
        copy::<user::Entity>(&from, &to, user::Column::Id, "users", place).await?;
        copy::<recovery_code::Entity>(
            &from,
            &to,
            recovery_code::Column::Id,
            "recovery_codes",
            place,
        )
        .await?;
        copy::<session::Entity>(&from, &to, session::Column::Id, "sessions", place).await?;
        copy::<api_token::Entity>(&from, &to, api_token::Column::Id, "api_tokens", place).await?;
        copy::<enroll_token::Entity>(&from, &to, enroll_token::Column::Id, "enroll_tokens", place)
            .await?;
        copy::<agent::Entity>(&from, &to, agent::Column::Id, "agents", place).await?;
        copy::<setting::Entity>(&from, &to, setting::Column::Name, "settings", place).await?;
        copy::<audit::Entity>(&from, &to, audit::Column::Id, "audit", place).await?;
        copy_alerting(&from, &to, place).await?;
        to.commit().await?;
        Ok(from.rollback().await?)
    }
}

/// The alerting's tables.
async fn copy_alerting(
    from: &impl ConnectionTrait,
    to: &DatabaseTransaction,
    place: &str,
) -> Result<(), MetaError> {
    copy::<channel::Entity>(from, to, channel::Column::Id, "channels", place).await?;
    copy::<outbox::Entity>(from, to, outbox::Column::Id, "outbox", place).await?;
    copy::<alert_trail::Entity>(from, to, alert_trail::Column::Id, "alert_trail", place).await?;
    let id = alert_episode::Column::Id;
    copy::<alert_episode::Entity>(from, to, id, "alert_episodes", place).await?;
    if alerting_record::Entity::find().one(to).await?.is_some() {
        return Err(MetaError::NotEmpty { place: place.to_owned(), table: "alerting_records" });
    }
    // They have a key of two columns, and are few enough to be in memory.
    let rows = alerting_record::Entity::find().all(from).await?;
    for rows in rows.chunks(ROWS as usize) {
        let rows = rows.iter().cloned().map(IntoActiveModel::into_active_model);
        alerting_record::Entity::insert_many(rows).exec_without_returning(to).await?;
    }
    Ok(())
}

/// Copies a table in the order of its primary key into one that must be empty.
async fn copy<E>(
    from: &impl ConnectionTrait,
    to: &DatabaseTransaction,
    key: E::Column,
    table: &'static str,
    place: &str,
) -> Result<(), MetaError>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    if E::find().one(to).await?.is_some() {
        return Err(MetaError::NotEmpty { place: place.to_owned(), table });
    }
    let mut last: Option<Value> = None;
    loop {
        let mut select = E::find().order_by_asc(key).limit(ROWS);
        if let Some(last) = last {
            select = select.filter(key.gt(last));
        }
        let rows = select.all(from).await?;
        let Some(end) = rows.last() else { return Ok(()) };
        last = Some(end.get(key));
        let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
        E::insert_many(rows).exec_without_returning(to).await?;
    }
}

//! What the alerting must know again after a restart, its paper trail, its history, and the ways out: channels and outbox.

use sea_orm_migration::prelude::*;

use super::columns::{add_index, id, long_text, name, table, time, word};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_alerting"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(records(manager)).await?;
        manager.create_table(trail(manager)).await?;
        add_index(manager, "alert_trail", "alert_trail_by_alert", &["alert", "id"], false).await?;
        manager.create_table(episodes(manager)).await?;
        let by_start = ["starts_at_ms"];
        add_index(manager, "alert_episodes", "alert_episodes_by_start", &by_start, false).await?;
        let by_alert = ["alert", "starts_at_ms"];
        add_index(manager, "alert_episodes", "alert_episodes_by_alert", &by_alert, true).await?;
        manager.create_table(channels(manager)).await?;
        manager.create_table(outbox(manager)).await?;
        add_index(manager, "outbox", "outbox_by_next_try", &["next_try_ms"], false).await?;
        add_index(manager, "outbox", "outbox_by_queued", &["queued_ms"], false).await
    }
}

/// Things by kind and key; what they are is their owners' affair.
fn records(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "alerting_records")
        .col(word("kind").not_null())
        .col(name("record_key").not_null())
        .col(long_text(manager, "value_json").not_null())
        .primary_key(Index::create().col("kind").col("record_key"))
        .to_owned()
}

/// Its number begins with its time.
fn trail(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "alert_trail")
        .col(id())
        .col(time("at_ms").not_null())
        .col(word("alert").not_null())
        .col(word("step").not_null())
        .col(name("receiver"))
        .col(name("message"))
        .col(name("subject"))
        .col(ColumnDef::new("value").double())
        .col(long_text(manager, "text").not_null())
        .to_owned()
}

/// One row a firing; its number begins with its start.
fn episodes(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "alert_episodes")
        .col(word("id").not_null().primary_key())
        .col(word("alert").not_null())
        .col(name("name").not_null())
        .col(word("severity").not_null())
        .col(name("instance"))
        .col(long_text(manager, "labels_json").not_null())
        .col(long_text(manager, "annotations_json").not_null())
        .col(time("starts_at_ms").not_null())
        .col(time("ends_at_ms"))
        .col(ColumnDef::new("messages").big_integer().not_null())
        .to_owned()
}

/// `secrets_sealed` holds all secrets of a channel as one JSON object under the sealing key.
fn channels(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "channels")
        .col(id())
        .col(name("name").not_null().unique_key())
        .col(long_text(manager, "settings_json").not_null())
        .col(long_text(manager, "secrets_sealed").not_null())
        .col(long_text(manager, "secret_names_json").not_null())
        .col(time("last_sent_ms"))
        .col(time("last_failure_ms"))
        .col(long_text(manager, "failure"))
        .to_owned()
}

/// A message waits while it has a next try; one that has neither that nor a time of arrival was given up.
fn outbox(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "outbox")
        .col(name("id").not_null().primary_key())
        .col(ColumnDef::new("channel_id").string_len(32).not_null())
        .col(name("subject").not_null())
        .col(long_text(manager, "notification_json").not_null())
        .col(long_text(manager, "alerts_json").not_null())
        .col(time("queued_ms").not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(time("next_try_ms"))
        .col(time("sent_ms"))
        .col(long_text(manager, "answer"))
        .to_owned()
}

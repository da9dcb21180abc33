//! The first tables: people and their sessions, tokens, agents, settings.

use sea_orm_migration::prelude::*;

use super::columns::{add_index, hash, id, long_text, name, table, time};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_people_and_agents"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for create in [users, sessions, api_tokens, enroll_tokens, agents, settings] {
            manager.create_table(create(manager)).await?;
        }
        add_index(manager, "sessions", "sessions_by_user", &["user_id"], false).await
    }
}

fn users(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "users")
        .col(id())
        .col(name("name").not_null().unique_key())
        .col(ColumnDef::new("password_hash").string_len(512).not_null())
        .col(ColumnDef::new("role").string_len(16).not_null())
        .col(time("created_ms").not_null())
        .to_owned()
}

fn sessions(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "sessions")
        .col(id())
        .col(hash("secret_hash").not_null().unique_key())
        .col(ColumnDef::new("user_id").string_len(32).not_null())
        .col(time("created_ms").not_null())
        .col(time("expires_ms").not_null())
        .col(ColumnDef::new("address").string_len(64).not_null())
        .foreign_key(
            ForeignKey::create()
                .name("sessions_user")
                .from("sessions", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn api_tokens(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "api_tokens")
        .col(id())
        .col(name("name").not_null().unique_key())
        .col(ColumnDef::new("role").string_len(16).not_null())
        .col(hash("secret_hash").not_null().unique_key())
        .col(time("created_ms").not_null())
        .col(time("expires_ms"))
        .col(time("last_used_ms"))
        .to_owned()
}

fn enroll_tokens(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "enroll_tokens")
        .col(id())
        .col(hash("secret_hash").not_null().unique_key())
        .col(ColumnDef::new("uses").big_integer().not_null())
        .col(ColumnDef::new("used").big_integer().not_null())
        .col(time("created_ms").not_null())
        .col(time("expires_ms").not_null())
        .col(ColumnDef::new("revoked").boolean().not_null())
        .col(ColumnDef::new("groups_json").text().not_null())
        .to_owned()
}

/// `held_instance` repeats `instance` while the agent is not revoked and is null afterwards: its
/// uniqueness keeps names apart and yet lets a new agent take over the name of a revoked one.
fn agents(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "agents")
        .col(id())
        .col(name("instance").not_null())
        .col(name("held_instance").unique_key())
        .col(hash("public_key").not_null().unique_key())
        .col(ColumnDef::new("groups_json").text().not_null())
        .col(time("created_ms").not_null())
        .col(ColumnDef::new("revoked").boolean().not_null())
        .col(time("last_seen_ms"))
        .to_owned()
}

fn settings(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "settings")
        .col(name("name").not_null().primary_key())
        .col(long_text(manager, "value").not_null())
        .to_owned()
}

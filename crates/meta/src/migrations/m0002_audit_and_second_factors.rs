//! The audit log, second factors, sign-in through OIDC, tags, and when what was last used.

use sea_orm_migration::prelude::*;

use super::columns::{
    add_column, add_index, create_guards, hash, id, long_text, name, table, time, word,
};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_audit_and_second_factors"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_guards(manager).await?;
        manager.create_table(recovery_codes(manager)).await?;
        add_index(manager, "recovery_codes", "recovery_codes_by_user", &["user_id"], false).await?;
        manager.create_table(audit(manager)).await?;
        add_index(manager, "audit", "audit_by_target", &["target_id"], false).await?;
        for (table, columns) in new_columns() {
            for column in columns {
                add_column(manager, table, column).await?;
            }
        }
        let oidc = ["oidc_issuer", "oidc_subject"];
        add_index(manager, "users", "users_by_oidc", &oidc, true).await?;
        end_old_sessions(manager).await
    }
}

fn new_columns() -> [(&'static str, Vec<ColumnDef>); 6] {
    let flag =
        |name: &'static str| ColumnDef::new(name).boolean().not_null().default(false).to_owned();
    let stamp = |name: &'static str| time(name).not_null().default(0).to_owned();
    let list = |name: &'static str| {
        ColumnDef::new(name).string_len(6_000).not_null().default("[]").to_owned()
    };
    [
        (
            "users",
            vec![
                flag("disabled"),
                name("totp_sealed"),
                flag("totp_confirmed"),
                time("totp_last_step"),
                name("oidc_issuer"),
                name("oidc_subject"),
                time("last_sign_in_ms"),
            ],
        ),
        (
            "sessions",
            vec![
                stamp("ends_ms"),
                stamp("last_seen_ms"),
                name("user_agent").not_null().default("").to_owned(),
            ],
        ),
        ("api_tokens", vec![name("made_by").not_null().default("").to_owned()]),
        (
            "enroll_tokens",
            vec![list("tags_json"), name("made_by").not_null().default("").to_owned()],
        ),
        (
            "agents",
            vec![
                list("tags_json"),
                name("asked_instance"),
                word("version").not_null().default("").to_owned(),
            ],
        ),
        (
            "settings",
            vec![
                ColumnDef::new("version").big_integer().not_null().default(1).to_owned(),
                stamp("changed_ms"),
            ],
        ),
    ]
}

/// Only hashes: 32 bytes each.
fn recovery_codes(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "recovery_codes")
        .col(id())
        .col(ColumnDef::new("user_id").string_len(32).not_null())
        .col(hash("code_hash").not_null())
        .foreign_key(
            ForeignKey::create()
                .name("recovery_codes_user")
                .from("recovery_codes", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// Nothing refers to other tables: an entry outlives what it tells of. Its number begins with its time.
fn audit(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table(manager, "audit")
        .col(id())
        .col(time("at_ms").not_null())
        .col(word("actor_kind").not_null())
        .col(name("actor_id").not_null())
        .col(name("actor_name").not_null())
        .col(word("address").not_null())
        .col(word("action").not_null())
        .col(word("target_kind").not_null())
        .col(name("target_id").not_null())
        .col(name("target_name").not_null())
        .col(long_text(manager, "before_json"))
        .col(long_text(manager, "after_json"))
        .to_owned()
}

/// Sessions had no end but their next one: everybody signs in once more.
async fn end_old_sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let old = Expr::col("ends_ms").eq(0);
    manager.execute(Query::delete().from_table("sessions").and_where(old).to_owned()).await
}

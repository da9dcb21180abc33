//! Tables and columns as all three databases understand them alike.
//!
//! Identifiers, hashes and keys are hexadecimal text and times are milliseconds in 64 bits, which every database stores,
//! compares and indexes alike. Everything here looks first what is there: MySQL and MariaDB cannot take back half a step.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;

use crate::guards;

/// A table that compares text byte by byte, as SQLite and PostgreSQL do by themselves.
pub(super) fn table(manager: &SchemaManager<'_>, name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).if_not_exists();
    if manager.get_database_backend() == DbBackend::MySql {
        table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}

pub(super) fn id() -> ColumnDef {
    ColumnDef::new("id").string_len(32).not_null().primary_key().to_owned()
}

/// Text that a person chose, or that is shown to one.
pub(super) fn name(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).string_len(255).to_owned()
}

pub(super) fn word(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).string_len(64).to_owned()
}

/// A 32-byte hash or key.
pub(super) fn hash(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).string_len(64).to_owned()
}

pub(super) fn time(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).big_integer().to_owned()
}

/// Text of up to megabytes: MySQL's `text` ends at 64 KiB.
pub(super) fn long_text(manager: &SchemaManager<'_>, column: &'static str) -> ColumnDef {
    let mut def = ColumnDef::new(column);
    if manager.get_database_backend() == DbBackend::MySql {
        def.custom("mediumtext");
    } else {
        def.text();
    }
    def
}

/// Adds a column if it is not there.
pub(super) async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    let mut column = column;
    if manager.has_column(table, column.get_column_name()).await? {
        return Ok(());
    }
    manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await
}

/// Adds an index if it is not there; it is named after the table and its columns.
pub(super) async fn add_index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    name: &'static str,
    columns: &[&'static str],
    unique: bool,
) -> Result<(), DbErr> {
    if manager.has_index(table, name).await? {
        return Ok(());
    }
    let mut index = Index::create();
    index.name(name).table(table);
    for &column in columns {
        index.col(column);
    }
    if unique {
        index.unique();
    }
    manager.create_index(index).await
}

/// The table of [`guards`] with its rows.
pub(super) async fn create_guards(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut guards = table(manager, "guards");
    guards
        .col(name("name").not_null().primary_key())
        .col(ColumnDef::new("turn").big_integer().not_null());
    manager.create_table(guards).await?;
    guards::insert_rows(manager.get_connection()).await
}

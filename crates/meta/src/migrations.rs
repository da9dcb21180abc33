//! The steps that bring a database of any earlier version up to this one.
//!
//! A step is never changed once it was released; a new one is added at the end of the list. There is no way back: a
//! database of a newer version is refused.

use std::collections::HashSet;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryOrder, Statement,
};
use sea_orm_migration::{
    IntoSchemaManagerConnection, MigrationTrait, MigratorTrait, SchemaManager, seaql_migrations,
};

use crate::guards::Guard;
use crate::{Meta, MetaError};

mod columns;
mod m0001_people_and_agents;
mod m0002_audit_and_second_factors;
mod m0003_alerting;

/// PostgreSQL's number for the turn of whoever migrates: any that no other program is likely to choose.
const ADVISORY_LOCK: i64 = 0x6d75_7374_6572;

struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_people_and_agents::Migration),
            Box::new(m0002_audit_and_second_factors::Migration),
            Box::new(m0003_alerting::Migration),
        ]
    }
}

/// Applies what is missing; `place` is for messages.
///
/// Of two processes that open one database together, the second waits and finds the work done. On SQLite and PostgreSQL
/// all steps are one transaction, so a step that fails leaves nothing half done. MySQL and MariaDB commit each change
/// of the schema by itself; there a step looks what is there already, and one that was cut short is finished by the
/// next start.
pub(crate) async fn apply(meta: &Meta, place: &str) -> Result<(), MetaError> {
    let opening = |error: DbErr| MetaError::opening(place, &error);
    if missing(&meta.db, place).await? == 0 {
        return Ok(());
    }
    let backend = meta.db.get_database_backend();
    if backend == DbBackend::MySql {
        columns::create_guards(&SchemaManager::new(&meta.db)).await.map_err(opening)?;
    }
    let turn = meta.begin_write().await.map_err(opening)?;
    wait_for_turn(&turn).await.map_err(opening)?;
    if backend == DbBackend::MySql {
        if missing(&meta.db, place).await? > 0 {
            Migrations::up(&meta.db, None).await.map_err(opening)?;
        }
    } else if missing(&turn, place).await? > 0 {
        Migrations::up(&turn, None).await.map_err(opening)?;
    }
    turn.commit().await.map_err(opening)
}

/// Waits until nobody else migrates; the turn lasts as long as the transaction.
async fn wait_for_turn(turn: &DatabaseTransaction) -> Result<(), DbErr> {
    match turn.get_database_backend() {
        // The transaction has the write lock of the whole file already.
        DbBackend::Sqlite => {}
        DbBackend::Postgres => {
            let lock = format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})");
            turn.query_one_raw(Statement::from_string(DbBackend::Postgres, lock)).await?;
        }
        _ => Guard::Migrations.take(turn).await?,
    }
    Ok(())
}

/// How many steps are to be done; an error if steps were done that this version does not know.
async fn missing(
    db: impl IntoSchemaManagerConnection<'_>,
    place: &str,
) -> Result<usize, MetaError> {
    let opening = |error: DbErr| MetaError::opening(place, &error);
    let manager = SchemaManager::new(db);
    let table = Migrations::migration_table_name().to_string();
    let steps = Migrations::migrations();
    if !manager.has_table(table).await.map_err(opening)? {
        return Ok(steps.len());
    }
    let done = seaql_migrations::Entity::find()
        .order_by_asc(seaql_migrations::Column::Version)
        .all(manager.get_connection())
        .await
        .map_err(opening)?;
    let known: HashSet<&str> = steps.iter().map(|step| step.name()).collect();
    match done.iter().find(|step| !known.contains(step.version.as_str())) {
        Some(step) => {
            Err(MetaError::Newer { place: place.to_owned(), migration: step.version.clone() })
        }
        None => Ok(steps.len() - done.len()),
    }
}

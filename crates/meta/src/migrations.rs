//! The steps that bring a database of any earlier version up to this one.
//!
//! A step is never changed once it was released; a new one is added at the end of the list.

use std::collections::HashSet;
use std::path::Path;

use sea_orm::{EntityTrait, QueryOrder};
use sea_orm_migration::{
    IntoSchemaManagerConnection, MigrationTrait, MigratorTrait, SchemaManager, seaql_migrations,
};

use crate::{Meta, MetaError};

mod m0001_people_and_agents;

struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_people_and_agents::Migration)]
    }
}

/// Applies what is missing; `path` is for messages.
///
/// All steps run in one write transaction. So a step that fails leaves nothing half done, and of
/// two processes that open a new file together, the second waits and finds the work done.
pub(crate) async fn apply(meta: &Meta, path: &Path) -> Result<(), MetaError> {
    let opening = |error| MetaError::opening(path, &error);
    if missing(&meta.db, path).await? == 0 {
        return Ok(());
    }
    let transaction = meta.begin_write().await.map_err(opening)?;
    if missing(&transaction, path).await? > 0 {
        Migrations::up(&transaction, None).await.map_err(opening)?;
    }
    transaction.commit().await.map_err(opening)
}

/// How many steps are to be done; an error if steps were done that this version does not know.
async fn missing(
    db: impl IntoSchemaManagerConnection<'_>,
    path: &Path,
) -> Result<usize, MetaError> {
    let opening = |error| MetaError::opening(path, &error);
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
            Err(MetaError::Newer { path: path.to_owned(), migration: step.version.clone() })
        }
        None => Ok(steps.len() - done.len()),
    }
}

//! Rows that exist to be changed: a transaction that changes one makes all others that want to wait.
//!
//! A rule over several rows ("one administrator stays") cannot be kept by looking alone: two transactions may each look,
//! see the other's administrator, and remove their own. With the guard changed first, the second looks only after the
//! first has committed. It is a change and no lock, so it holds on a Galera cluster too, whose nodes know nothing of each
//! other's locks: there the second fails when it commits, and is tried again.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use crate::entities::guard;

/// What can be guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Changes of the schema.
    Migrations,
    /// How many administrators can sign in.
    Administrators,
    /// Which names agents hold.
    Instances,
}

impl Guard {
    const ALL: [Self; 3] = [Self::Migrations, Self::Administrators, Self::Instances];

    fn name(self) -> &'static str {
        match self {
            Self::Migrations => "migrations",
            Self::Administrators => "administrators",
            Self::Instances => "instances",
        }
    }

    /// Waits for whoever changed it before; what the transaction reads from now on is what they left.
    pub(crate) async fn take(self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let taken = guard::Entity::update_many()
            .col_expr(guard::Column::Turn, Expr::col(guard::Column::Turn).add(1))
            .filter(guard::Column::Name.eq(self.name()))
            .exec(tx)
            .await?;
        if taken.rows_affected == 0 {
            return Err(DbErr::RecordNotFound(format!("the guard {:?} is missing", self.name())));
        }
        Ok(())
    }
}

/// Makes the rows that are not there.
pub(crate) async fn insert_rows(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    for guard in Guard::ALL {
        let there = guard::Entity::find_by_id(guard.name()).one(db).await?;
        if there.is_some() {
            continue;
        }
        let row = guard::Model { name: guard.name().to_owned(), turn: 0 };
        let keep =
            OnConflict::column(guard::Column::Name).do_nothing_on([guard::Column::Name]).to_owned();
        guard::Entity::insert(guard::ActiveModel::from(row))
            .on_conflict(keep)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

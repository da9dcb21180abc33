//! Accounts of people.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, SqlErr};

use crate::entities::{session, user};
use crate::{Meta, MetaError, Role, ids};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// The name to sign in with; unique, compared exactly.
    pub name: String,
    /// The hash of the password, in the form the server's hash function writes.
    pub password_hash: String,
    /// What the account may do.
    pub role: Role,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name to sign in with.
    pub name: String,
    /// The hash of the password.
    pub password_hash: String,
    /// What the account may do.
    pub role: Role,
}

impl Meta {
    /// Makes an account; [`MetaError::NameTaken`] if the name is in use.
    pub async fn create_user(&self, new: NewUser, now_ms: i64) -> Result<User, MetaError> {
        let row = user::Model {
            id: ids::new_id()?,
            name: new.name,
            password_hash: new.password_hash,
            role: new.role.as_str().to_owned(),
            created_ms: now_ms,
        };
        user::Entity::insert(user::ActiveModel::from(row.clone()))
            .exec_without_returning(&self.db)
            .await
            .map_err(|error| taken(&error, "an account", &row.name))?;
        row.try_into()
    }

    /// The account with this name.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<User>, MetaError> {
        let row = user::Entity::find().filter(user::Column::Name.eq(name)).one(&self.db).await?;
        row.map(User::try_from).transpose()
    }

    /// All accounts, by name.
    pub async fn list_users(&self) -> Result<Vec<User>, MetaError> {
        let rows = user::Entity::find().order_by_asc(user::Column::Name).all(&self.db).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// How many accounts there are; none before the first start.
    pub async fn count_users(&self) -> Result<u64, MetaError> {
        Ok(user::Entity::find().count(&self.db).await?)
    }

    /// Gives an account another password and ends all its sessions: whoever knew the old password
    /// is signed out. [`MetaError::NotFound`] if there is no such account.
    pub async fn set_password_hash(
        &self,
        user_id: &str,
        password_hash: &str,
    ) -> Result<(), MetaError> {
        let transaction = self.begin_write().await?;
        let changed = user::Entity::update_many()
            .set(user::ActiveModel {
                password_hash: Set(password_hash.to_owned()),
                ..Default::default()
            })
            .filter(user::Column::Id.eq(user_id))
            .exec(&transaction)
            .await?;
        if changed.rows_affected == 0 {
            return Err(MetaError::NotFound { what: "account", id: user_id.to_owned() });
        }
        session::Entity::delete_many()
            .filter(session::Column::UserId.eq(user_id))
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}

/// A violated uniqueness as what it means to the user; other errors as they are.
pub(crate) fn taken(error: &DbErr, what: &'static str, name: &str) -> MetaError {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            MetaError::NameTaken { what, name: name.to_owned() }
        }
        _ => MetaError::Database(error.to_string()),
    }
}

impl TryFrom<user::Model> for User {
    type Error = MetaError;

    fn try_from(row: user::Model) -> Result<Self, MetaError> {
        Ok(Self {
            role: parse_role(&row.role, "users.role")?,
            id: row.id,
            name: row.name,
            password_hash: row.password_hash,
            created_ms: row.created_ms,
        })
    }
}

/// A role as the database holds it.
pub(crate) fn parse_role(text: &str, column: &'static str) -> Result<Role, MetaError> {
    text.parse().map_err(|_| MetaError::Malformed { column, value: text.to_owned() })
}

//! Who is signed in, by the hash of the cookie's secret.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entities::{session, user};
use crate::secret_hash::to_hex;
use crate::{Meta, MetaError, User, ids};

/// A session; without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// The account.
    pub user_id: String,
    /// When it began, in milliseconds since 1970.
    pub created_ms: i64,
    /// From when on it is no longer valid, in milliseconds since 1970.
    pub expires_ms: i64,
    /// Where the sign-in came from.
    pub address: String,
}

/// A session to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The hash of its secret.
    pub secret_hash: [u8; 32],
    /// The account.
    pub user_id: String,
    /// From when on it is no longer valid, in milliseconds since 1970.
    pub expires_ms: i64,
    /// Where the sign-in comes from; at most 64 characters.
    pub address: String,
}

impl Meta {
    /// Begins a session.
    pub async fn create_session(&self, new: NewSession, now_ms: i64) -> Result<Session, MetaError> {
        let row = session::Model {
            id: ids::new_id()?,
            secret_hash: to_hex(&new.secret_hash),
            user_id: new.user_id,
            created_ms: now_ms,
            expires_ms: new.expires_ms,
            address: new.address,
        };
        session::Entity::insert(session::ActiveModel::from(row.clone()))
            .exec_without_returning(&self.db)
            .await?;
        Ok(row.into())
    }

    /// The session with this secret, with its account; none once it has expired.
    pub async fn session_by_hash(
        &self,
        secret_hash: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<(Session, User)>, MetaError> {
        let found = session::Entity::find()
            .filter(session::Column::SecretHash.eq(to_hex(secret_hash)))
            .filter(session::Column::ExpiresMs.gt(now_ms))
            .find_also_related(user::Entity)
            .one(&self.db)
            .await?;
        match found {
            Some((session, Some(user))) => Ok(Some((session.into(), user.try_into()?))),
            _ => Ok(None),
        }
    }

    /// The sessions of an account, the newest first, expired ones among them.
    pub async fn sessions_of_user(&self, user_id: &str) -> Result<Vec<Session>, MetaError> {
        let rows = session::Entity::find()
            .filter(session::Column::UserId.eq(user_id))
            .order_by_desc(session::Column::CreatedMs)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// Lets a session end at another time; nothing happens if it is gone.
    pub async fn extend_session(&self, id: &str, expires_ms: i64) -> Result<(), MetaError> {
        session::Entity::update_many()
            .set(session::ActiveModel { expires_ms: Set(expires_ms), ..Default::default() })
            .filter(session::Column::Id.eq(id))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Ends a session; nothing happens if it is gone.
    pub async fn delete_session(&self, id: &str) -> Result<(), MetaError> {
        session::Entity::delete_by_id(id).exec(&self.db).await?;
        Ok(())
    }

    /// Removes sessions that have expired; returns how many.
    pub async fn delete_expired_sessions(&self, now_ms: i64) -> Result<u64, MetaError> {
        let deleted = session::Entity::delete_many()
            .filter(session::Column::ExpiresMs.lte(now_ms))
            .exec(&self.db)
            .await?;
        Ok(deleted.rows_affected)
    }
}

impl From<session::Model> for Session {
    fn from(row: session::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            address: row.address,
        }
    }
}

//! Who is signed in, by the hash of the cookie's secret.
//!
//! A session ends at two times, whichever comes first: `expires_ms`, which is put off while it is used, and `ends_ms`,
//! which nothing puts off.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder,
};
use serde_json::json;

use crate::attempts::Attempts;
use crate::audit::{Change, Target};
use crate::entities::{session, user};
use crate::names::truncated;
use crate::secret_hash::to_hex;
use crate::users::{find, update};
use crate::{Actor, Meta, MetaError, User, ids};

/// A session; without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// The account.
    pub user_id: String,
    /// When it began, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last used, in milliseconds since 1970, as told by [`Meta::touch_session`].
    pub last_seen_ms: i64,
    /// From when on it is no longer valid unless it is used, in milliseconds since 1970; never after `ends_ms`.
    pub expires_ms: i64,
    /// From when on it is no longer valid, in milliseconds since 1970.
    pub ends_ms: i64,
    /// Where the sign-in came from.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
}

/// A session to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The hash of its secret.
    pub secret_hash: [u8; 32],
    /// The account.
    pub user_id: String,
    /// From when on it is no longer valid unless it is used, in milliseconds since 1970.
    pub expires_ms: i64,
    /// From when on it is no longer valid, in milliseconds since 1970.
    pub ends_ms: i64,
    /// Where the sign-in comes from; what exceeds 64 characters is cut off.
    pub address: String,
    /// What the browser calls itself; what exceeds 255 characters is cut off.
    pub user_agent: String,
    /// The hash of the secret that the browser had before, whosever it was: that session ends.
    pub replaces: Option<[u8; 32]>,
}

impl Meta {
    /// Begins a session, in the same transaction as the one it replaces ends. [`MetaError::NotFound`] if there is no
    /// such account, or it is disabled.
    pub async fn create_session(&self, new: NewSession, now_ms: i64) -> Result<Session, MetaError> {
        let row = session::Model {
            id: ids::new_id()?,
            secret_hash: to_hex(&new.secret_hash),
            user_id: new.user_id,
            created_ms: now_ms,
            expires_ms: new.expires_ms.min(new.ends_ms),
            address: truncated(&new.address, 64),
            ends_ms: new.ends_ms,
            last_seen_ms: now_ms,
            user_agent: truncated(&new.user_agent, 255),
        };
        let replaces = new.replaces.map(|hash| to_hex(&hash));
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let user = User::try_from(find(tx, &row.user_id).await?)?;
                if user.disabled {
                    return Err(MetaError::NotFound { what: "account", id: row.user_id.clone() });
                }
                if let Some(hash) = &replaces {
                    session::Entity::delete_many()
                        .filter(session::Column::SecretHash.eq(hash))
                        .exec(tx)
                        .await?;
                }
                session::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                let signed_in =
                    user::ActiveModel { last_sign_in_ms: Set(Some(now_ms)), ..Default::default() };
                update(tx, &row.user_id, signed_in).await?;
                let actor = Actor::user(&user, &row.address);
                change(&actor, "session.create", &row, &user.name, now_ms).record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result.map(|()| row.into());
            }
        }
    }

    /// The session with this secret, with its account; none once it has expired, or if the account is disabled.
    pub async fn session_by_hash(
        &self,
        secret_hash: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<(Session, User)>, MetaError> {
        let found = session::Entity::find()
            .filter(session::Column::SecretHash.eq(to_hex(secret_hash)))
            .filter(session::Column::ExpiresMs.gt(now_ms))
            .filter(session::Column::EndsMs.gt(now_ms))
            .filter(user::Column::Disabled.eq(false))
            .find_also_related(user::Entity)
            .one(&self.db)
            .await?;
        match found {
            Some((session, Some(user))) => Ok(Some((session.into(), user.try_into()?))),
            _ => Ok(None),
        }
    }

    /// The sessions of an account that are valid, the newest first.
    pub async fn sessions_of_user(
        &self,
        user_id: &str,
        now_ms: i64,
    ) -> Result<Vec<Session>, MetaError> {
        let rows = session::Entity::find()
            .filter(session::Column::UserId.eq(user_id))
            .filter(session::Column::ExpiresMs.gt(now_ms))
            .filter(session::Column::EndsMs.gt(now_ms))
            .order_by_desc(session::Column::CreatedMs)
            .order_by_desc(session::Column::Id)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// Notes that a session was used and puts its end off until `expires_ms`, though not beyond its `ends_ms`; nothing
    /// happens if it is gone. Each call is a durable write: once a minute and session is enough.
    pub async fn touch_session(
        &self,
        session: &Session,
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        session::Entity::update_many()
            .set(session::ActiveModel {
                expires_ms: Set(expires_ms.min(session.ends_ms)),
                last_seen_ms: Set(now_ms),
                ..Default::default()
            })
            .filter(session::Column::Id.eq(&session.id))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Ends a session; nothing happens if it is gone.
    pub async fn delete_session(&self, by: &Actor, id: &str, now_ms: i64) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let row = session::Entity::find_by_id(id).one(tx).await?;
                match row {
                    Some(row) => end(tx, by, row, now_ms).await,
                    None => Ok(()),
                }
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Ends all sessions of an account but the one with the number `keep`; returns how many.
    pub async fn delete_sessions_of_user(
        &self,
        by: &Actor,
        user_id: &str,
        keep: Option<&str>,
        now_ms: i64,
    ) -> Result<u64, MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let rows = session::Entity::find()
                    .filter(session::Column::UserId.eq(user_id))
                    .all(tx)
                    .await?;
                let mut ended = 0;
                for row in rows.into_iter().filter(|row| Some(row.id.as_str()) != keep) {
                    end(tx, by, row, now_ms).await?;
                    ended += 1;
                }
                Ok(ended)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Removes sessions that have expired; returns how many.
    pub async fn delete_expired_sessions(&self, now_ms: i64) -> Result<u64, MetaError> {
        let expired = Condition::any()
            .add(session::Column::ExpiresMs.lte(now_ms))
            .add(session::Column::EndsMs.lte(now_ms));
        let deleted = session::Entity::delete_many().filter(expired).exec(&self.db).await?;
        Ok(deleted.rows_affected)
    }
}

async fn end(
    tx: &DatabaseTransaction,
    by: &Actor,
    row: session::Model,
    now_ms: i64,
) -> Result<(), MetaError> {
    let user = find(tx, &row.user_id).await?;
    let deleted = session::Entity::delete_by_id(&row.id).exec(tx).await?;
    if deleted.rows_affected == 0 {
        // Somebody else ended it at the same moment, and wrote it down.
        return Ok(());
    }
    let mut change = change(by, "session.end", &row, &user.name, now_ms);
    std::mem::swap(&mut change.before, &mut change.after);
    change.record(tx).await
}

fn change<'a>(
    actor: &'a Actor,
    action: &'static str,
    row: &session::Model,
    user_name: &str,
    now_ms: i64,
) -> Change<'a> {
    let target = Target::new("session", &row.id, user_name);
    let shown = json!({ "address": row.address, "user_agent": row.user_agent });
    Change { actor, action, target, before: None, after: Some(shown), now_ms }
}

impl From<session::Model> for Session {
    fn from(row: session::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            created_ms: row.created_ms,
            last_seen_ms: row.last_seen_ms,
            expires_ms: row.expires_ms,
            ends_ms: row.ends_ms,
            address: row.address,
            user_agent: row.user_agent,
        }
    }
}

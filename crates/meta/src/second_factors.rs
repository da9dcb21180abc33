//! Second factors: a shared secret for codes by time (TOTP), and recovery codes that stand in for it, once each.
//!
//! The codes themselves are the server's to compute. Here the secret is kept, sealed; the last time step that was used,
//! so that no code is good twice; and the recovery codes' hashes, removed as they are used.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter,
};
use serde_json::json;

use crate::attempts::Attempts;
use crate::audit::Change;
use crate::entities::{recovery_code, user};
use crate::secret_hash::to_hex;
use crate::users::{find, target, update};
use crate::{Actor, Meta, MetaError, ids};

/// The secret behind an account's codes.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp {
    /// The secret that the person's device has as well.
    pub secret: Vec<u8>,
    /// Whether the person has shown a code of it: only then it guards the account.
    pub confirmed: bool,
    /// The time step of the last code that was good.
    pub last_step: Option<i64>,
}

impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Totp {{ confirmed: {}, last_step: {:?} }}", self.confirmed, self.last_step)
    }
}

impl Meta {
    /// Keeps a new secret for an account, which guards nothing until [`Meta::confirm_totp`]; one that was not confirmed
    /// is replaced. [`MetaError::SecondFactorIsOn`] if one guards the account already. At most 48 bytes.
    pub async fn begin_totp(&self, user_id: &str, secret: &[u8]) -> Result<(), MetaError> {
        let sealed = self.key.seal(secret, &sealed_at(user_id));
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let row = find(tx, user_id).await?;
                if row.totp_confirmed {
                    return Err(MetaError::SecondFactorIsOn { name: row.name });
                }
                let set = user::ActiveModel {
                    totp_sealed: Set(Some(sealed.clone())),
                    totp_last_step: Set(None),
                    ..Default::default()
                };
                update(tx, user_id, set).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// The secret of an account; none if there is none.
    pub async fn totp(&self, user_id: &str) -> Result<Option<Totp>, MetaError> {
        let row = find(&self.db, user_id).await?;
        let Some(sealed) = row.totp_sealed else { return Ok(None) };
        Ok(Some(Totp {
            secret: self.key.open(&sealed, &sealed_at(user_id))?,
            confirmed: row.totp_confirmed,
            last_step: row.totp_last_step,
        }))
    }

    /// Lets the secret guard the account from now on: the person has shown its code of the time step `step`. The hashes
    /// are those of the recovery codes, which replace earlier ones. Whether it was done: not if there was no secret that
    /// waited for it.
    pub async fn confirm_totp(
        &self,
        by: &Actor,
        user_id: &str,
        step: i64,
        recovery_hashes: &[[u8; 32]],
        now_ms: i64,
    ) -> Result<bool, MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let row = find(tx, user_id).await?;
                let confirmed = user::Entity::update_many()
                    .set(user::ActiveModel {
                        totp_confirmed: Set(true),
                        totp_last_step: Set(Some(step)),
                        ..Default::default()
                    })
                    .filter(user::Column::Id.eq(user_id))
                    .filter(user::Column::TotpSealed.is_not_null())
                    .filter(user::Column::TotpConfirmed.eq(false))
                    .exec(tx)
                    .await?;
                if confirmed.rows_affected == 0 {
                    return Ok(false);
                }
                replace_codes(tx, user_id, recovery_hashes).await?;
                deed(by, "user.second-factor-on", &row, None, now_ms).record(tx).await?;
                Ok(true)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Uses up the code of a time step. Whether it may be taken: not if a code of that step or a later one was, so that
    /// of two that send the same code at once one is refused.
    pub async fn use_totp_step(&self, user_id: &str, step: i64) -> Result<bool, MetaError> {
        let later = Condition::any()
            .add(user::Column::TotpLastStep.is_null())
            .add(user::Column::TotpLastStep.lt(step));
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                Ok(user::Entity::update_many()
                    .set(user::ActiveModel {
                        totp_last_step: Set(Some(step)),
                        ..Default::default()
                    })
                    .filter(user::Column::Id.eq(user_id))
                    .filter(user::Column::TotpConfirmed.eq(true))
                    .filter(later.clone())
                    .exec(tx)
                    .await?)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result.map(|used| used.rows_affected > 0);
            }
        }
    }

    /// Takes an account's second factor away, with its recovery codes.
    pub async fn remove_totp(
        &self,
        by: &Actor,
        user_id: &str,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let row = find(tx, user_id).await?;
                let set = user::ActiveModel {
                    totp_sealed: Set(None),
                    totp_confirmed: Set(false),
                    totp_last_step: Set(None),
                    ..Default::default()
                };
                update(tx, user_id, set).await?;
                replace_codes(tx, user_id, &[]).await?;
                if row.totp_confirmed {
                    deed(by, "user.second-factor-off", &row, None, now_ms).record(tx).await?;
                }
                Ok(())
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Gives an account other recovery codes.
    pub async fn replace_recovery_codes(
        &self,
        by: &Actor,
        user_id: &str,
        hashes: &[[u8; 32]],
        now_ms: i64,
    ) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let row = find(tx, user_id).await?;
                replace_codes(tx, user_id, hashes).await?;
                let left = Some(hashes.len() as u64);
                deed(by, "user.recovery-codes", &row, left, now_ms).record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Uses up a recovery code. Whether there was one with this hash: of two that send the same at once, one is refused.
    pub async fn use_recovery_code(
        &self,
        by: &Actor,
        user_id: &str,
        hash: &[u8; 32],
        now_ms: i64,
    ) -> Result<bool, MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let row = find(tx, user_id).await?;
                let used = recovery_code::Entity::delete_many()
                    .filter(recovery_code::Column::UserId.eq(user_id))
                    .filter(recovery_code::Column::CodeHash.eq(to_hex(hash)))
                    .exec(tx)
                    .await?;
                if used.rows_affected == 0 {
                    return Ok(false);
                }
                let left = recovery_code::Entity::find()
                    .filter(recovery_code::Column::UserId.eq(user_id))
                    .count(tx)
                    .await?;
                deed(by, "user.recovery-code-used", &row, Some(left), now_ms).record(tx).await?;
                Ok(true)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// How many recovery codes an account has left.
    pub async fn recovery_codes_left(&self, user_id: &str) -> Result<u64, MetaError> {
        let of_user = recovery_code::Column::UserId.eq(user_id);
        Ok(recovery_code::Entity::find().filter(of_user).count(&self.db).await?)
    }
}

/// Where the secret belongs, so that it is worth nothing in another account's row.
fn sealed_at(user_id: &str) -> String {
    format!("users.totp/{user_id}")
}

async fn replace_codes(
    tx: &DatabaseTransaction,
    user_id: &str,
    hashes: &[[u8; 32]],
) -> Result<(), MetaError> {
    recovery_code::Entity::delete_many()
        .filter(recovery_code::Column::UserId.eq(user_id))
        .exec(tx)
        .await?;
    for hash in hashes {
        let row = recovery_code::Model {
            id: ids::new_id()?,
            user_id: user_id.to_owned(),
            code_hash: to_hex(hash),
        };
        recovery_code::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    }
    Ok(())
}

fn deed<'a>(
    actor: &'a Actor,
    action: &'static str,
    row: &user::Model,
    codes_left: Option<u64>,
    now_ms: i64,
) -> Change<'a> {
    let after = codes_left.map(|left| json!({ "recovery_codes_left": left }));
    Change { actor, action, target: target(row), before: None, after, now_ms }
}

//! Tokens with which agents join. Using one is [`Meta::enroll_agent`].

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use crate::attempts::Attempts;
use crate::audit::{Change, Target};
use crate::entities::enroll_token;
use crate::names::{tidy_words, truncated, words_from_json, words_to_json};
use crate::secret_hash::to_hex;
use crate::{Actor, Meta, MetaError, ids};

/// An enrolment token; without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollToken {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// How many agents may join with it.
    pub uses: u32,
    /// How many have.
    pub used: u32,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// From when on it is no longer valid, in milliseconds since 1970.
    pub expires_ms: i64,
    /// Whether an administrator revoked it.
    pub revoked: bool,
    /// The groups that the joining agents get.
    pub groups: Vec<String>,
    /// The tags that the joining agents get.
    pub tags: Vec<String>,
    /// The name of who made it; empty if that is not on record.
    pub made_by: String,
}

/// An enrolment token to be made.
#[derive(Debug, Clone)]
pub struct NewEnrollToken {
    /// The hash of its secret.
    pub secret_hash: [u8; 32],
    /// How many agents may join with it.
    pub uses: u32,
    /// From when on it is no longer valid, in milliseconds since 1970.
    pub expires_ms: i64,
    /// The groups that the joining agents get: up to 32, of up to 64 characters.
    pub groups: Vec<String>,
    /// The tags that the joining agents get: up to 32, of up to 64 characters.
    pub tags: Vec<String>,
}

impl Meta {
    /// Makes an enrolment token.
    pub async fn create_enroll_token(
        &self,
        by: &Actor,
        new: NewEnrollToken,
        now_ms: i64,
    ) -> Result<EnrollToken, MetaError> {
        let row = enroll_token::Model {
            id: ids::new_id()?,
            secret_hash: to_hex(&new.secret_hash),
            uses: i64::from(new.uses),
            used: 0,
            created_ms: now_ms,
            expires_ms: new.expires_ms,
            revoked: false,
            groups_json: words_to_json(&tidy_words("groups", new.groups)?),
            tags_json: words_to_json(&tidy_words("tags", new.tags)?),
            made_by: truncated(&by.name, 255),
        };
        let made = EnrollToken::try_from(row.clone())?;
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                enroll_token::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                let after = Some(made.audited());
                made.change(by, "enroll-token.create", None, after, now_ms).record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result.map(|()| made);
            }
        }
    }

    /// All enrolment tokens, the newest first, those no longer valid among them.
    pub async fn list_enroll_tokens(&self) -> Result<Vec<EnrollToken>, MetaError> {
        let rows = enroll_token::Entity::find()
            .order_by_desc(enroll_token::Column::CreatedMs)
            .order_by_desc(enroll_token::Column::Id)
            .all(&self.db)
            .await?;
        rows.into_iter().map(EnrollToken::try_from).collect()
    }

    /// Makes a token useless for further agents; those that joined with it stay.
    /// [`MetaError::NotFound`] if there is no such token.
    pub async fn revoke_enroll_token(
        &self,
        by: &Actor,
        id: &str,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let row = enroll_token::Entity::find_by_id(id).one(tx).await?;
                let token = EnrollToken::try_from(row.ok_or_else(|| MetaError::NotFound {
                    what: "enrolment token",
                    id: id.to_owned(),
                })?)?;
                let changed = enroll_token::Entity::update_many()
                    .set(enroll_token::ActiveModel { revoked: Set(true), ..Default::default() })
                    .filter(enroll_token::Column::Id.eq(id))
                    .filter(enroll_token::Column::Revoked.eq(false))
                    .exec(tx)
                    .await?;
                if changed.rows_affected == 0 {
                    return Ok(());
                }
                let before = Some(token.audited());
                token.change(by, "enroll-token.revoke", before, None, now_ms).record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }
}

impl EnrollToken {
    /// What the audit log shows of it.
    fn audited(&self) -> Value {
        json!({
            "uses": self.uses,
            "used": self.used,
            "expires_ms": self.expires_ms,
            "groups": self.groups,
            "tags": self.tags,
        })
    }

    fn change<'a>(
        &self,
        actor: &'a Actor,
        action: &'static str,
        before: Option<Value>,
        after: Option<Value>,
        now_ms: i64,
    ) -> Change<'a> {
        let target = Target::new("enroll-token", &self.id, "");
        Change { actor, action, target, before, after, now_ms }
    }
}

impl TryFrom<enroll_token::Model> for EnrollToken {
    type Error = MetaError;

    fn try_from(row: enroll_token::Model) -> Result<Self, MetaError> {
        Ok(Self {
            uses: count(row.uses, "enroll_tokens.uses")?,
            used: count(row.used, "enroll_tokens.used")?,
            groups: words_from_json(&row.groups_json, "enroll_tokens.groups_json")?,
            tags: words_from_json(&row.tags_json, "enroll_tokens.tags_json")?,
            id: row.id,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            revoked: row.revoked,
            made_by: row.made_by,
        })
    }
}

/// A count as the database holds it.
pub(crate) fn count(value: i64, column: &'static str) -> Result<u32, MetaError> {
    u32::try_from(value).map_err(|_| MetaError::Malformed { column, value: value.to_string() })
}

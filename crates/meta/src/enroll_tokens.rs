//! Tokens with which agents join. Using one is [`Meta::enroll_agent`].

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entities::enroll_token;
use crate::secret_hash::to_hex;
use crate::{Meta, MetaError, ids};

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
    /// The groups that the joining agents get.
    pub groups: Vec<String>,
}

impl Meta {
    /// Makes an enrolment token.
    pub async fn create_enroll_token(
        &self,
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
            groups_json: groups_to_json(&new.groups),
        };
        enroll_token::Entity::insert(enroll_token::ActiveModel::from(row.clone()))
            .exec_without_returning(&self.db)
            .await?;
        row.try_into()
    }

    /// All enrolment tokens, the newest first, those no longer valid among them.
    pub async fn list_enroll_tokens(&self) -> Result<Vec<EnrollToken>, MetaError> {
        let rows = enroll_token::Entity::find()
            .order_by_desc(enroll_token::Column::CreatedMs)
            .all(&self.db)
            .await?;
        rows.into_iter().map(EnrollToken::try_from).collect()
    }

    /// Makes a token useless for further agents; those that joined with it stay.
    /// [`MetaError::NotFound`] if there is no such token.
    pub async fn revoke_enroll_token(&self, id: &str) -> Result<(), MetaError> {
        let changed = enroll_token::Entity::update_many()
            .set(enroll_token::ActiveModel { revoked: Set(true), ..Default::default() })
            .filter(enroll_token::Column::Id.eq(id))
            .exec(&self.db)
            .await?;
        if changed.rows_affected == 0 {
            return Err(MetaError::NotFound { what: "enrolment token", id: id.to_owned() });
        }
        Ok(())
    }
}

impl TryFrom<enroll_token::Model> for EnrollToken {
    type Error = MetaError;

    fn try_from(row: enroll_token::Model) -> Result<Self, MetaError> {
        Ok(Self {
            uses: count(row.uses, "enroll_tokens.uses")?,
            used: count(row.used, "enroll_tokens.used")?,
            groups: groups_from_json(&row.groups_json, "enroll_tokens.groups_json")?,
            id: row.id,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            revoked: row.revoked,
        })
    }
}

/// A count as the database holds it.
pub(crate) fn count(value: i64, column: &'static str) -> Result<u32, MetaError> {
    u32::try_from(value).map_err(|_| MetaError::Malformed { column, value: value.to_string() })
}

/// Names of groups as the database holds them.
pub(crate) fn groups_to_json(groups: &[String]) -> String {
    serde_json::Value::from(groups).to_string()
}

/// What [`groups_to_json`] wrote.
pub(crate) fn groups_from_json(text: &str, column: &'static str) -> Result<Vec<String>, MetaError> {
    serde_json::from_str(text).map_err(|_| MetaError::Malformed { column, value: text.to_owned() })
}

//! Tokens of programs, by the hash of their secret.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::{Value, json};

use crate::attempts::Attempts;
use crate::audit::{Change, Target};
use crate::entities::api_token;
use crate::names::{MAX_NAME, check_name, truncated};
use crate::secret_hash::to_hex;
use crate::users::parse_role;
use crate::{Actor, Meta, MetaError, Role, ids};

/// The last use of a token is written down once in so many milliseconds.
const TOUCH_EVERY_MS: i64 = 60_000;

/// An API token; without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// What it is for; unique.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// From when on it is no longer valid, in milliseconds since 1970; never if absent.
    pub expires_ms: Option<i64>,
    /// When it was last used, as told by [`Meta::touch_api_token`], to the minute.
    pub last_used_ms: Option<i64>,
    /// The name of who made it; empty if that is not on record.
    pub made_by: String,
}

/// An API token to be made.
#[derive(Debug, Clone)]
pub struct NewApiToken {
    /// What it is for; up to 100 characters.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// The hash of its secret.
    pub secret_hash: [u8; 32],
    /// From when on it is no longer valid, in milliseconds since 1970; never if absent.
    pub expires_ms: Option<i64>,
}

impl Meta {
    /// Makes a token; [`MetaError::NameTaken`] if the name is in use.
    pub async fn create_api_token(
        &self,
        by: &Actor,
        new: NewApiToken,
        now_ms: i64,
    ) -> Result<ApiToken, MetaError> {
        check_name("an API token", &new.name, MAX_NAME)?;
        let row = api_token::Model {
            id: ids::new_id()?,
            name: new.name,
            role: new.role.as_str().to_owned(),
            secret_hash: to_hex(&new.secret_hash),
            created_ms: now_ms,
            expires_ms: new.expires_ms,
            last_used_ms: None,
            made_by: truncated(&by.name, 255),
        };
        let made = ApiToken::try_from(row.clone())?;
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                api_token::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await
                    .map_err(|error| MetaError::taken(error, "an API token", &row.name))?;
                let (target, after) = (made.target(), Some(made.audited()));
                let action = "token.create";
                Change { actor: by, action, target, before: None, after, now_ms }.record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result.map(|()| made);
            }
        }
    }

    /// The token with this secret; none once it has expired.
    pub async fn api_token_by_hash(
        &self,
        secret_hash: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<ApiToken>, MetaError> {
        let valid = Condition::any()
            .add(api_token::Column::ExpiresMs.is_null())
            .add(api_token::Column::ExpiresMs.gt(now_ms));
        let row = api_token::Entity::find()
            .filter(api_token::Column::SecretHash.eq(to_hex(secret_hash)))
            .filter(valid)
            .one(&self.db)
            .await?;
        row.map(ApiToken::try_from).transpose()
    }

    /// All tokens, by name, expired ones among them.
    pub async fn list_api_tokens(&self) -> Result<Vec<ApiToken>, MetaError> {
        let rows = api_token::Entity::find().all(&self.db).await?;
        let mut tokens: Vec<ApiToken> =
            rows.into_iter().map(ApiToken::try_from).collect::<Result<_, _>>()?;
        tokens.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    /// Notes that a token was used; written at most once a minute, however often it is called.
    pub async fn touch_api_token(&self, id: &str, now_ms: i64) -> Result<(), MetaError> {
        let long_ago = Condition::any()
            .add(api_token::Column::LastUsedMs.is_null())
            .add(api_token::Column::LastUsedMs.lte(now_ms - TOUCH_EVERY_MS));
        api_token::Entity::update_many()
            .set(api_token::ActiveModel { last_used_ms: Set(Some(now_ms)), ..Default::default() })
            .filter(api_token::Column::Id.eq(id))
            .filter(long_ago)
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Removes the token with this number or, if there is none, with this name;
    /// [`MetaError::NotFound`] if there is neither.
    pub async fn revoke_api_token(
        &self,
        by: &Actor,
        id_or_name: &str,
        now_ms: i64,
    ) -> Result<ApiToken, MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let mut found = api_token::Entity::find_by_id(id_or_name).one(tx).await?;
                if found.is_none() {
                    let named = api_token::Column::Name.eq(id_or_name);
                    found = api_token::Entity::find().filter(named).one(tx).await?;
                }
                let not_found =
                    || MetaError::NotFound { what: "API token", id: id_or_name.to_owned() };
                let token = ApiToken::try_from(found.ok_or_else(not_found)?)?;
                let deleted = api_token::Entity::delete_by_id(&token.id).exec(tx).await?;
                if deleted.rows_affected == 0 {
                    return Err(not_found());
                }
                let (target, before) = (token.target(), Some(token.audited()));
                let action = "token.revoke";
                let change = Change { actor: by, action, target, before, after: None, now_ms };
                change.record(tx).await?;
                Ok(token)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }
}

impl ApiToken {
    fn target(&self) -> Target {
        Target::new("token", &self.id, &self.name)
    }

    /// What the audit log shows of it.
    fn audited(&self) -> Value {
        json!({ "name": self.name, "role": self.role.as_str(), "expires_ms": self.expires_ms })
    }
}

impl TryFrom<api_token::Model> for ApiToken {
    type Error = MetaError;

    fn try_from(row: api_token::Model) -> Result<Self, MetaError> {
        Ok(Self {
            role: parse_role(&row.role, "api_tokens.role")?,
            id: row.id,
            name: row.name,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            last_used_ms: row.last_used_ms,
            made_by: row.made_by,
        })
    }
}

//! Tokens of programs, by the hash of their secret.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};

use crate::entities::api_token;
use crate::secret_hash::to_hex;
use crate::users::{parse_role, taken};
use crate::{Meta, MetaError, Role, ids};

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
    /// When it was last used, as told by [`Meta::touch_api_token`].
    pub last_used_ms: Option<i64>,
}

/// An API token to be made.
#[derive(Debug, Clone)]
pub struct NewApiToken {
    /// What it is for.
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
        new: NewApiToken,
        now_ms: i64,
    ) -> Result<ApiToken, MetaError> {
        let row = api_token::Model {
            id: ids::new_id()?,
            name: new.name,
            role: new.role.as_str().to_owned(),
            secret_hash: to_hex(&new.secret_hash),
            created_ms: now_ms,
            expires_ms: new.expires_ms,
            last_used_ms: None,
        };
        api_token::Entity::insert(api_token::ActiveModel::from(row.clone()))
            .exec_without_returning(&self.db)
            .await
            .map_err(|error| taken(&error, "an API token", &row.name))?;
        row.try_into()
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
        let rows =
            api_token::Entity::find().order_by_asc(api_token::Column::Name).all(&self.db).await?;
        rows.into_iter().map(ApiToken::try_from).collect()
    }

    /// Notes that a token was used. Each call is a durable write: once a minute and token is enough.
    pub async fn touch_api_token(&self, id: &str, now_ms: i64) -> Result<(), MetaError> {
        api_token::Entity::update_many()
            .set(api_token::ActiveModel { last_used_ms: Set(Some(now_ms)), ..Default::default() })
            .filter(api_token::Column::Id.eq(id))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Removes the token with this number or, if there is none, with this name;
    /// [`MetaError::NotFound`] if there is neither.
    pub async fn revoke_api_token(&self, id_or_name: &str) -> Result<(), MetaError> {
        for column in [api_token::Column::Id, api_token::Column::Name] {
            let deleted = api_token::Entity::delete_many()
                .filter(column.eq(id_or_name))
                .exec(&self.db)
                .await?;
            if deleted.rows_affected > 0 {
                return Ok(());
            }
        }
        Err(MetaError::NotFound { what: "API token", id: id_or_name.to_owned() })
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
        })
    }
}

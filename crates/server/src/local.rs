//! What the command line does beside a server on the same machine, in the metadata database that both have open.

use muster_api::{ApiToken, ApiTokenList};
use muster_meta::{Actor, Meta, MetaError, NewApiToken, NewEnrollToken, NewUser, Role, User};

use crate::secrets::{Secret, SecretKind, generate_password, hash_password};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no such account.
    #[error(
        "there is no account named {0:?}; the first one is `admin`, and `muster user list` shows all"
    )]
    NoAccount(String),
    /// The database refused, or failed.
    #[error("{0}")]
    Meta(#[from] MetaError),
}

/// Makes an API token; the text is its secret.
pub async fn create_api_token(
    meta: &Meta,
    by: &Actor,
    name: &str,
    role: Role,
    expires_ms: Option<i64>,
    now_ms: i64,
) -> Result<String, MetaError> {
    let secret = Secret::generate(SecretKind::ApiToken);
    let new = NewApiToken { name: name.into(), role, secret_hash: secret.hash(), expires_ms };
    meta.create_api_token(by, new, now_ms).await?;
    Ok(secret.text().to_owned())
}

/// What a token with which agents join is to be like.
#[derive(Debug, Clone, Default)]
pub struct JoinTerms {
    /// How many agents may join with it.
    pub uses: u32,
    /// From when on it is no longer valid, in milliseconds since 1970.
    pub expires_ms: i64,
    /// The groups that they get.
    pub groups: Vec<String>,
    /// The tags that they get.
    pub tags: Vec<String>,
}

/// Makes a token with which agents join; the text is its secret.
pub async fn create_enroll_token(
    meta: &Meta,
    by: &Actor,
    terms: JoinTerms,
    now_ms: i64,
) -> Result<String, MetaError> {
    let JoinTerms { uses, expires_ms, groups, tags } = terms;
    let secret = Secret::generate(SecretKind::EnrollToken);
    let new = NewEnrollToken { secret_hash: secret.hash(), uses, expires_ms, groups, tags };
    meta.create_enroll_token(by, new, now_ms).await?;
    Ok(secret.text().to_owned())
}

/// Makes an account; returns its password if that was made here.
pub async fn create_user(
    meta: &Meta,
    by: &Actor,
    name: &str,
    role: Role,
    chosen: Option<String>,
    now_ms: i64,
) -> Result<Option<String>, MetaError> {
    let (password_hash, generated) = hashed(chosen);
    let new = NewUser { name: name.into(), password_hash, role, identity: None };
    meta.create_user(by, new, now_ms).await?;
    Ok(generated)
}

/// Gives an account a new password and ends its sessions; returns the password if it was made here.
pub async fn set_password(
    meta: &Meta,
    by: &Actor,
    name: &str,
    chosen: Option<String>,
    now_ms: i64,
) -> Result<Option<String>, LocalError> {
    let user = user(meta, name).await?;
    let (password_hash, generated) = hashed(chosen);
    meta.set_password_hash(by, &user.id, &password_hash, None, now_ms).await?;
    Ok(generated)
}

/// The hash of the password that was chosen, or of one made here, which comes with it.
fn hashed(chosen: Option<String>) -> (String, Option<String>) {
    let generated = chosen.is_none().then(generate_password);
    let password = chosen.or_else(|| generated.clone()).unwrap_or_default();
    (hash_password(&password), generated)
}

/// The account with this name.
pub async fn user(meta: &Meta, name: &str) -> Result<User, LocalError> {
    let found = meta.user_by_name(name).await?;
    found.ok_or_else(|| LocalError::NoAccount(name.to_owned()))
}

/// The API tokens, without their secrets.
pub async fn api_tokens(meta: &Meta) -> Result<ApiTokenList, MetaError> {
    let tokens = meta.list_api_tokens().await?;
    let tokens = tokens
        .into_iter()
        .map(|token| ApiToken {
            id: token.id,
            name: token.name,
            role: api_role(token.role),
            created_ms: token.created_ms,
            expires_ms: token.expires_ms,
            last_used_ms: token.last_used_ms,
            made_by: token.made_by,
        })
        .collect();
    Ok(ApiTokenList { tokens })
}

/// A role as the API names it.
pub fn api_role(role: Role) -> muster_api::Role {
    match role {
        Role::Viewer => muster_api::Role::Viewer,
        Role::Operator => muster_api::Role::Operator,
        Role::Admin => muster_api::Role::Admin,
        Role::Writer => muster_api::Role::Writer,
    }
}

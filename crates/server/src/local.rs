//! What the command line does beside a server on the same machine: it opens the same metadata database.

use std::path::Path;

use muster_api::{ApiToken, ApiTokenList};
use muster_meta::{Location, Meta, MetaError, NewApiToken, NewEnrollToken, Role};

use crate::config::data_paths;
use crate::secrets::{Secret, SecretKind, generate_password, hash_password};

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no server's data in the folder.
    #[error(
        "there is no Muster data in {0}; start the server once, name its folder with --data-dir, \
         or ask a server elsewhere with --server and --api-token"
    )]
    NoData(String),
    /// There is no such account.
    #[error("there is no account named {0:?}; the first one is `admin`")]
    NoAccount(String),
    /// The database cannot be used.
    #[error("{0}")]
    Meta(#[from] MetaError),
}

async fn open(data_dir: &Path) -> Result<Meta, LocalError> {
    let path = data_paths::meta(data_dir);
    if !path.exists() {
        return Err(LocalError::NoData(data_dir.display().to_string()));
    }
    Ok(Meta::open(&Location::Sqlite(path)).await?)
}

/// Makes an API token; the text is its secret.
pub async fn create_api_token(
    data_dir: &Path,
    name: &str,
    role: Role,
    expires_ms: Option<i64>,
    now_ms: i64,
) -> Result<String, LocalError> {
    let secret = Secret::generate(SecretKind::ApiToken);
    let new = NewApiToken { name: name.into(), role, secret_hash: secret.hash(), expires_ms };
    open(data_dir).await?.create_api_token(new, now_ms).await?;
    Ok(secret.text().to_owned())
}

/// Makes a token with which `uses` agents may join; the text is its secret.
pub async fn create_enroll_token(
    data_dir: &Path,
    uses: u32,
    expires_ms: i64,
    groups: Vec<String>,
    now_ms: i64,
) -> Result<String, LocalError> {
    let meta = open(data_dir).await?;
    enroll_token(&meta, uses, expires_ms, groups, now_ms).await
}

/// The same, in a database that is open.
pub async fn enroll_token(
    meta: &Meta,
    uses: u32,
    expires_ms: i64,
    groups: Vec<String>,
    now_ms: i64,
) -> Result<String, LocalError> {
    let secret = Secret::generate(SecretKind::EnrollToken);
    let new = NewEnrollToken { secret_hash: secret.hash(), uses, expires_ms, groups };
    meta.create_enroll_token(new, now_ms).await?;
    Ok(secret.text().to_owned())
}

/// Gives an account a new password and ends its sessions; returns the password if it was made here.
pub async fn set_password(
    data_dir: &Path,
    name: &str,
    chosen: Option<String>,
) -> Result<Option<String>, LocalError> {
    let meta = open(data_dir).await?;
    let Some(user) = meta.user_by_name(name).await? else {
        return Err(LocalError::NoAccount(name.to_owned()));
    };
    let generated = chosen.is_none().then(generate_password);
    let password = chosen.or_else(|| generated.clone()).unwrap_or_default();
    meta.set_password_hash(&user.id, &hash_password(&password)).await?;
    Ok(generated)
}

/// The API tokens, without their secrets.
pub async fn list_api_tokens(data_dir: &Path) -> Result<ApiTokenList, LocalError> {
    Ok(api_tokens(&open(data_dir).await?).await?)
}

/// The same, from a database that is open.
pub(crate) async fn api_tokens(meta: &Meta) -> Result<ApiTokenList, MetaError> {
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

/// Revokes an API token by name or number.
pub async fn revoke_api_token(data_dir: &Path, name: &str) -> Result<(), LocalError> {
    Ok(open(data_dir).await?.revoke_api_token(name).await?)
}

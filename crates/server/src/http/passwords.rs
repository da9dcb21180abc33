//! Passwords: which may be chosen, and hashing them, a few at a time.

use std::sync::Arc;

use super::failure::ApiFailure;
use crate::app::App;
use crate::secrets::{hash_password, verify_password};

/// The fewest characters of a password.
const LEAST_CHARS: usize = 8;
/// The longest name, password or code that is looked at.
pub(super) const MAX_CREDENTIAL_BYTES: usize = 1_024;
/// A hash of no password: unknown accounts take as long as known ones.
const NO_ACCOUNT: &str = "$argon2id$v=19$m=19456,t=2,p=1$bXVzdGVyLW5vLWFjY291bnQ$\
                          0000000000000000000000000000000000000000000";

/// Whether a password may be chosen for the account of this name.
pub(super) fn check(password: &str, account: &str) -> Result<(), ApiFailure> {
    if password.chars().count() < LEAST_CHARS {
        return Err(ApiFailure::bad_request("a password has 8 characters at least"));
    }
    if password.len() > MAX_CREDENTIAL_BYTES {
        return Err(ApiFailure::bad_request("a password has 1,024 bytes at most"));
    }
    if password.eq_ignore_ascii_case(account) {
        return Err(ApiFailure::bad_request("a password must differ from the account's name"));
    }
    Ok(())
}

/// The hash to keep of a password.
pub(super) async fn hash(app: &App, password: String) -> Result<String, ApiFailure> {
    in_turn(app, move || hash_password(&password)).await
}

/// Whether the password is that of the hash. It takes as long without a hash, and is no then.
pub(super) async fn is_right(
    app: &App,
    password: &str,
    hash: Option<&str>,
) -> Result<bool, ApiFailure> {
    let (password, known) = (password.to_owned(), hash.is_some());
    let hash = hash.unwrap_or(NO_ACCOUNT).to_owned();
    Ok(in_turn(app, move || verify_password(&password, &hash)).await? && known)
}

async fn in_turn<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiFailure> {
    let turn = Arc::clone(&app.hashing).acquire_owned().await;
    let hashing = tokio::task::spawn_blocking(move || {
        // The turn lasts as long as the hashing, which goes on when the client has gone.
        let _turn = turn;
        work()
    });
    hashing.await.map_err(|_| ApiFailure::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_enough_and_not_the_name() {
        assert!(check("eight ch", "ada").is_ok());
        assert!(check("密码密码密码密码", "ada").is_ok());
        assert!(check("seven c", "ada").is_err());
        assert!(check("Administrator", "administrator").is_err());
        assert!(check(&"x".repeat(MAX_CREDENTIAL_BYTES + 1), "ada").is_err());
    }
}

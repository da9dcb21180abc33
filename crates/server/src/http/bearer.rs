//! Whose the credentials of an `Authorization` header are: a token's, or an account's.
//!
//! Programs say `Authorization: Bearer TOKEN`, or use Basic authentication with a token as the password, whatever the
//! name before it: many clients know no other way. An account's own name and password, sent so, only let push.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::authority::by_token;
use super::failure::ApiFailure;
use crate::app::App;
use crate::bearers::{Bearer, Found, Proof};
use crate::secrets::{SecretKind, hash_secret};

/// What an `Authorization` header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    Token(String),
    Account { user: String, password: String },
}

/// The credentials in a header; none if it is of another kind.
pub(super) fn credentials(header: &[u8]) -> Option<Credentials> {
    let (scheme, rest) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Token(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(if password.starts_with(SecretKind::ApiToken.prefix()) {
        Credentials::Token(password.to_owned())
    } else {
        Credentials::Account { user: user.to_owned(), password: password.to_owned() }
    })
}

/// Who sent this header a moment ago.
pub(super) fn known(app: &App, proof: &Proof) -> Option<Arc<Bearer>> {
    match app.bearers.find(proof, app.clock.monotonic_ms()) {
        Found::Bearer(bearer) => Some(bearer).filter(|bearer| is_good(app, bearer)),
        Found::Perhaps(_) | Found::Nothing => None,
    }
}

fn is_good(app: &App, bearer: &Bearer) -> bool {
    bearer.expires_ms.is_none_or(|expires_ms| app.clock.now_ms() < expires_ms)
}

/// Who holds the token that a header with this proof says, by the database; it is remembered.
pub(super) async fn of_token(
    app: &App,
    proof: Proof,
    token: &str,
) -> Result<Arc<Bearer>, ApiFailure> {
    let epoch = app.bearers.epoch();
    let token_hash = hash_secret(token);
    let token = by_token(app, token_hash).await?;
    let bearer = Arc::new(Bearer {
        id: token.id.into(),
        name: token.name.into(),
        role: token.role,
        expires_ms: token.expires_ms,
        token_hash: Some(token_hash),
    });
    app.bearers.remember(proof, &bearer, None, epoch, app.clock.monotonic_ms());
    Ok(bearer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<&Credentials>) {
        assert_eq!(credentials(header.as_bytes()).as_ref(), expected);
    }

    #[test]
    fn tokens_and_passwords_are_found_in_the_header() {
        check("Bearer muster_t_x", Some(&Credentials::Token("muster_t_x".into())));
        check("bearer  x ", Some(&Credentials::Token("x".into())));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let account = Credentials::Account { user: "ada".into(), password: "a:b".into() };
        check(&basic("ada:a:b"), Some(&account));
        let token = Credentials::Token("muster_t_y".into());
        check(&basic("anything:muster_t_y"), Some(&token));
        check(&basic("no colon"), None);
        check("Basic !!!", None);
        check("Digest x", None);
        check("Bearer", None);
    }
}

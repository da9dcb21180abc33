//! Signing in at an identity provider (OpenID Connect, code flow with PKCE).
//!
//! 1. The browser is sent to the provider with a state, a nonce and a challenge, which all come from a secret that only the
//!    browser's cookie holds ([`attempt`]).
//! 2. The provider sends it back with a code, which the server exchanges for an ID token ([`provider`]).
//! 3. The token's signature and claims are checked ([`id_token`]), and a claim says which role the person has
//!    ([`OidcConfig::role`]).
//!
//! Who somebody is, is the pair of issuer and subject: e-mail addresses and names change hands at providers.

mod attempt;
mod id_token;
mod provider;

use std::fmt;
use std::path::PathBuf;

use muster_meta::Role;
use serde_json::{Map, Value};

pub use id_token::TokenError;

pub(crate) use attempt::Attempt;
pub(crate) use provider::{Answer, Now, Provider};

/// An identity provider, and what its people may do here.
#[derive(Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// What the sign-in page calls it.
    pub name: String,
    /// Its address, exactly as it calls itself; `https`, but for addresses of this machine.
    pub issuer: String,
    /// What Muster is called there.
    pub client_id: String,
    /// What Muster proves itself with there; none for a public client.
    pub client_secret: Option<String>,
    /// The address at which browsers reach this server, such as `https://muster.example`: the provider sends them back
    /// to `/api/muster/v1/sign-in/provider/callback` below it.
    pub public_url: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// A PEM file with the CA that signed the provider's certificate; none if the system trusts it.
    pub ca_file: Option<PathBuf>,
    /// The claim by which roles are given, such as `groups`.
    pub role_claim: String,
    /// Which of the claim's values give which role; the strongest role counts.
    pub roles: Vec<(String, Role)>,
    /// The role of those whom no value gives one; none sends them away.
    pub default_role: Option<Role>,
}

impl fmt::Debug for OidcConfig {
    /// Leaves the secret out, so that no log can hold it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl OidcConfig {
    /// The address that the provider sends browsers back to.
    pub(crate) fn redirect_uri(&self) -> String {
        let base = self.public_url.trim_end_matches('/');
        format!("{base}/api/muster/v1/sign-in/provider/callback")
    }

    /// The role that these claims give; none if the person may not come in.
    pub(crate) fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let has = |wanted: &str| match claims.get(&self.role_claim) {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(wanted)),
            _ => false,
        };
        let given = self.roles.iter().filter(|(value, _)| has(value)).map(|(_, role)| *role);
        given.max_by_key(|role| strength(*role)).or(self.default_role)
    }
}

fn strength(role: Role) -> u8 {
    match role {
        Role::Writer => 0,
        Role::Viewer => 1,
        Role::Operator => 2,
        Role::Admin => 3,
    }
}

/// Why a sign-in at the provider came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider cannot be reached, or does not answer as it should.
    #[error("the identity provider does not answer at {url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What came of it.
        reason: String,
    },
    /// The provider refused the exchange of the code.
    #[error(
        "the identity provider refuses the code: {0}; check client id, secret and redirect address there"
    )]
    Refused(String),
    /// What the provider says of itself does not fit.
    #[error("the identity provider says of itself {0}; check the issuer's address")]
    Discovery(String),
    /// The token is not what it must be.
    #[error("the identity provider's token is not accepted: {0}")]
    Token(#[from] TokenError),
    /// The CA file or the system's certificates cannot be used.
    #[error("certificates for the identity provider cannot be used: {0}")]
    Certificates(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn config(issuer: &str) -> OidcConfig {
        OidcConfig {
            name: "Example".into(),
            issuer: issuer.into(),
            client_id: "muster".into(),
            client_secret: Some("client secret".into()),
            public_url: "https://muster.example/".into(),
            scopes: vec!["profile".into()],
            ca_file: None,
            role_claim: "groups".into(),
            roles: vec![
                ("staff".into(), Role::Viewer),
                ("root".into(), Role::Admin),
                ("night".into(), Role::Operator),
            ],
            default_role: None,
        }
    }

    #[track_caller]
    fn check(claims: &Value, expected: Option<Role>) {
        assert_eq!(config("https://id.example").role(claims.as_object().unwrap()), expected);
    }

    #[test]
    fn the_strongest_role_that_a_claim_gives_counts() {
        check(&json!({ "groups": ["staff", "root", "night"] }), Some(Role::Admin));
        check(&json!({ "groups": ["night", "staff"] }), Some(Role::Operator));
        check(&json!({ "groups": "staff" }), Some(Role::Viewer));
        for nothing in [
            json!({}),
            json!({ "groups": [] }),
            json!({ "groups": ["roots", 1, null] }),
            json!({ "groups": { "root": true } }),
            json!({ "role": "root" }),
        ] {
            check(&nothing, None);
        }
    }

    #[test]
    fn secrets_and_addresses_are_as_they_should_be() {
        let config = config("https://id.example");
        assert!(!format!("{config:?}").contains("client secret"));
        let callback = "https://muster.example/api/muster/v1/sign-in/provider/callback";
        assert_eq!(config.redirect_uri(), callback);
    }
}

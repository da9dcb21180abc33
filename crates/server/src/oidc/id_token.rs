//! The provider's ID token: its signature, and what it must say (OpenID Connect Core 1.0, section 3.1.3.7).

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

/// How far the provider's clock may be off, in seconds.
const LEEWAY_S: i64 = 60;
/// The oldest token that is taken, in seconds: it was made a moment ago, in exchange for the code.
const OLDEST_S: i64 = 600;
/// Signatures that are taken: by keys of which the provider publishes one half. Never `none`, never by a shared secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token, or signed in a way that is not taken.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The provider publishes no such key; it may have changed its keys.
    #[error("it is signed with a key that the provider does not publish")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong: {0}")]
    Signature(String),
    /// A claim is missing or not what it must be.
    #[error("its {claim} is {found}, not {expected}")]
    Claim {
        /// Which claim.
        claim: &'static str,
        /// What it says.
        found: String,
        /// What it must say.
        expected: String,
    },
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
}

/// The claims of a token that is signed with one of the provider's keys and says what it must.
pub(super) fn verify(
    token: &str,
    keys: &JwkSet,
    expected: Expected<'_>,
    now_ms: i64,
) -> Result<Map<String, Value>, TokenError> {
    let header = decode_header(token).map_err(|e| TokenError::Unreadable(e.to_string()))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(TokenError::Unreadable(format!("signed by {:?}", header.alg)));
    }
    let key = key_for(keys, header.kid.as_deref(), header.alg).ok_or(TokenError::UnknownKey)?;
    let key = DecodingKey::from_jwk(key).map_err(|e| TokenError::Signature(e.to_string()))?;
    let mut validation = Validation::new(header.alg);
    // The claims are checked below, by the server's own clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims = decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(|error| TokenError::Signature(error.to_string()))?
        .claims;
    check(&claims, expected, now_ms.div_euclid(1_000))?;
    Ok(claims)
}

/// The key of this number; where the token names none, the only one that can have signed it.
fn key_for<'a>(keys: &'a JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let mut fitting = keys.keys.iter().filter(|key| {
        let signs =
            key.common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
        let named = key.common.key_algorithm.map(|named| named.to_string());
        let fits = named.is_none_or(|named| named == format!("{algorithm:?}"));
        let asked = kid.is_none_or(|kid| key.common.key_id.as_deref() == Some(kid));
        signs && fits && asked
    });
    let first = fitting.next()?;
    (kid.is_some() || fitting.next().is_none()).then_some(first)
}

fn check(
    claims: &Map<String, Value>,
    expected: Expected<'_>,
    now_s: i64,
) -> Result<(), TokenError> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let wrong = |claim: &'static str, expected: &str| {
        let found = claims.get(claim).map_or_else(|| "missing".to_owned(), ToString::to_string);
        Err(TokenError::Claim { claim, found, expected: expected.to_owned() })
    };
    if text("iss") != Some(expected.issuer) {
        return wrong("iss", expected.issuer);
    }
    let ours = |value: &Value| value.as_str() == Some(expected.client_id);
    let several = match claims.get("aud") {
        Some(Value::Array(many)) if many.iter().any(ours) => many.len() > 1,
        Some(one) if ours(one) => false,
        _ => return wrong("aud", expected.client_id),
    };
    let azp = text("azp");
    if azp.map_or(several, |azp| azp != expected.client_id) {
        return wrong("azp", expected.client_id);
    }
    if text("nonce") != Some(expected.nonce) {
        return wrong("nonce", "that of this sign-in");
    }
    if text("sub").is_none_or(|sub| sub.is_empty() || sub.len() > 255) {
        return wrong("sub", "a name of 1 to 255 bytes");
    }
    let seconds = |claim: &str| claims.get(claim).and_then(Value::as_f64).map(|s| s as i64);
    if seconds("exp").is_none_or(|exp| exp.saturating_add(LEEWAY_S) <= now_s) {
        return wrong("exp", &format!("after {now_s}"));
    }
    if seconds("iat")
        .is_none_or(|iat| iat > now_s + LEEWAY_S || iat.saturating_add(OLDEST_S) < now_s)
    {
        return wrong("iat", &format!("near {now_s}"));
    }
    if seconds("nbf").is_some_and(|nbf| nbf > now_s + LEEWAY_S) {
        return wrong("nbf", &format!("before {now_s}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW_S: i64 = 1_790_000_000;
    const EXPECTED: Expected<'_> =
        Expected { issuer: "https://id.example", client_id: "muster", nonce: "n" };

    /// Good claims but for one, which is taken out where it is null.
    #[track_caller]
    fn claim(name: &'static str, value: Value, refused: Option<&'static str>) {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "muster", "sub": "1", "nonce": "n",
            "iat": NOW_S - 5, "exp": NOW_S + 300,
        });
        let claims = claims.as_object_mut().unwrap();
        if value.is_null() {
            claims.remove(name)
        } else {
            claims.insert(name.into(), value)
        };
        let found = match check(claims, EXPECTED, NOW_S) {
            Ok(()) => None,
            Err(TokenError::Claim { claim, .. }) => Some(claim),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(found, refused, "{claims:?}");
    }

    #[test]
    fn a_token_says_who_made_it_for_whom_and_when() {
        claim("iss", json!("https://id.example/"), Some("iss"));
        claim("iss", json!(null), Some("iss"));
        claim("aud", json!("other"), Some("aud"));
        claim("aud", json!(["other", "another"]), Some("aud"));
        claim("aud", json!([]), Some("aud"));
        claim("aud", json!(["muster"]), None);
        claim("aud", json!(["muster", "other"]), Some("azp"));
        claim("azp", json!("other"), Some("azp"));
        claim("azp", json!("muster"), None);
        claim("nonce", json!("another"), Some("nonce"));
        claim("nonce", json!(null), Some("nonce"));
        claim("sub", json!(""), Some("sub"));
        claim("sub", json!(1), Some("sub"));
        claim("exp", json!(NOW_S - LEEWAY_S), Some("exp"));
        claim("exp", json!(NOW_S - LEEWAY_S + 1), None);
        claim("exp", json!(null), Some("exp"));
        claim("exp", json!("soon"), Some("exp"));
        claim("iat", json!(NOW_S + LEEWAY_S + 1), Some("iat"));
        claim("iat", json!(NOW_S - OLDEST_S - 1), Some("iat"));
        claim("iat", json!(null), Some("iat"));
        claim("nbf", json!(NOW_S + LEEWAY_S + 1), Some("nbf"));
        claim("nbf", json!(NOW_S), None);
        claim("exp", json!(1e300), None);
    }
}

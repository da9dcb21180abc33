//! The identity provider over HTTP: what it says of itself, its keys, and the exchange of a code for a token.
//!
//! Only addresses that the administrator gave, or that the provider published under that address, are asked; redirects are
//! not followed, answers are bounded, and a provider that does not answer costs seconds.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::attempt::Attempt;
use super::id_token::{Expected, TokenError, verify};
use super::{OidcConfig, OidcError};

/// How long the provider may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const MAX_ANSWER: usize = 1 << 20;
/// How long what the provider says of itself is believed, in milliseconds.
const BELIEVED_MS: i64 = 3_600_000;
/// How long a provider that did not answer is not asked again, in milliseconds.
const FAILED_MS: i64 = 5_000;
/// How soon keys are asked for again when a token names an unknown one, in milliseconds.
const KEYS_AGAIN_MS: i64 = 30_000;

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether its answers name the issuer (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// What was asked, and when by a clock that never goes back.
#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, i64)>,
    keys: Option<(Arc<JwkSet>, i64)>,
    /// When the provider last gave no answer.
    failed_ms: Option<i64>,
}

/// One provider.
pub(crate) struct Provider {
    pub(crate) config: OidcConfig,
    client: Client,
    known: Mutex<Known>,
}

/// What came back from the provider with the browser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) code: &'a str,
    /// The provider's name of itself, if it gives one.
    pub(crate) issuer: Option<&'a str>,
}

/// The time, on both clocks, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall_ms: i64,
    pub(crate) monotonic_ms: i64,
}

impl Provider {
    /// A provider; nothing is asked yet, so that the server starts without it.
    pub(crate) fn new(config: OidcConfig) -> Result<Self, OidcError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(&config)?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| OidcError::Certificates(error.to_string()))?;
        check_address("issuer", &config.issuer)?;
        Ok(Self { config, client, known: Mutex::default() })
    }

    /// Where to send the browser.
    pub(crate) async fn sign_in_url(
        &self,
        attempt: &Attempt,
        now: Now,
    ) -> Result<String, OidcError> {
        let metadata = self.metadata(now).await?;
        let mut url = check_address("authorization_endpoint", &metadata.authorization_endpoint)?;
        let scopes = std::iter::once("openid").chain(self.config.scopes.iter().map(String::as_str));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.config.redirect_uri())
            .append_pair("scope", &scopes.collect::<Vec<_>>().join(" "))
            .append_pair("state", &attempt.state())
            .append_pair("nonce", &attempt.nonce())
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// What the provider says of the person who came back with this answer.
    pub(crate) async fn claims(
        &self,
        attempt: &Attempt,
        answer: Answer<'_>,
        now: Now,
    ) -> Result<Map<String, Value>, OidcError> {
        let metadata = self.metadata(now).await?;
        // An answer of another provider is not to be taken for this one's (RFC 9207).
        let named = answer.issuer.is_none_or(|issuer| issuer == self.config.issuer);
        if !named
            || answer.issuer.is_none() && metadata.authorization_response_iss_parameter_supported
        {
            return Err(OidcError::Refused("the answer is that of another issuer".into()));
        }
        let token = self.exchange(&metadata, attempt, answer.code).await?;
        let nonce = attempt.nonce();
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: &nonce,
        };
        let keys = self.keys(&metadata, BELIEVED_MS, now).await?;
        match verify(&token, &keys, expected, now.wall_ms) {
            Err(TokenError::UnknownKey) => {
                // Providers change their keys.
                let keys = self.keys(&metadata, KEYS_AGAIN_MS, now).await?;
                Ok(verify(&token, &keys, expected, now.wall_ms)?)
            }
            verified => Ok(verified?),
        }
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        attempt: &Attempt,
        code: &str,
    ) -> Result<String, OidcError> {
        let url = check_address("token_endpoint", &metadata.token_endpoint)?;
        let (redirect_uri, verifier) = (self.config.redirect_uri(), attempt.verifier());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &verifier),
        ];
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        let basic =
            methods.is_none_or(|methods| methods.iter().any(|m| m == "client_secret_basic"));
        let mut request = self.client.post(url);
        match &self.config.client_secret {
            Some(secret) if basic => {
                // RFC 6749, section 2.3.1: both are encoded as in a form first.
                let encode = |text: &str| -> String {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                request = request.basic_auth(encode(&self.config.client_id), Some(encode(secret)));
            }
            Some(secret) => {
                form.extend([("client_id", &*self.config.client_id), ("client_secret", secret)]);
            }
            None => form.push(("client_id", &self.config.client_id)),
        }
        let (status, body) = answer(request.form(&form), &metadata.token_endpoint).await?;
        if status != StatusCode::OK {
            // RFC 6749, section 5.2: the word for what was wrong.
            let word = serde_json::from_slice::<Value>(&body).ok();
            let word = word.as_ref().and_then(|answer| answer["error"].as_str());
            return Err(OidcError::Refused(word.unwrap_or(status.as_str()).to_owned()));
        }
        Ok(parse::<TokenAnswer>(&body, &metadata.token_endpoint)?.id_token)
    }

    async fn metadata(&self, now: Now) -> Result<Arc<Metadata>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((metadata, asked_ms)) = &known.metadata
            && now.monotonic_ms - asked_ms < BELIEVED_MS
        {
            return Ok(Arc::clone(metadata));
        }
        let issuer = self.config.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        // Those who come while it does not answer are told at once, not one after the other.
        if known.failed_ms.is_some_and(|at| now.monotonic_ms - at < FAILED_MS) {
            let reason = "it did not a moment ago".into();
            return Err(OidcError::Unreachable { url, reason });
        }
        let metadata: Metadata = self.fetch(&url).await.inspect_err(|_| {
            known.failed_ms = Some(now.monotonic_ms);
        })?;
        if metadata.issuer != self.config.issuer {
            return Err(OidcError::Discovery(format!("it is {:?}", metadata.issuer)));
        }
        let metadata = Arc::new(metadata);
        known.metadata = Some((Arc::clone(&metadata), now.monotonic_ms));
        Ok(metadata)
    }

    /// The provider's keys, no older than that.
    async fn keys(
        &self,
        metadata: &Metadata,
        oldest_ms: i64,
        now: Now,
    ) -> Result<Arc<JwkSet>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((keys, asked_ms)) = &known.keys
            && now.monotonic_ms - asked_ms < oldest_ms
        {
            return Ok(Arc::clone(keys));
        }
        // Keys of a kind that is not known here are left out, not an error.
        let answer: Map<String, Value> = self.fetch(&metadata.jwks_uri).await?;
        let all = answer.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        let keys = all.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        let keys = Arc::new(JwkSet { keys });
        known.keys = Some((Arc::clone(&keys), now.monotonic_ms));
        Ok(keys)
    }

    async fn fetch<T: DeserializeOwned>(&self, url: &str) -> Result<T, OidcError> {
        let (status, body) = answer(self.client.get(check_address("address", url)?), url).await?;
        if status != StatusCode::OK {
            return Err(OidcError::Unreachable { url: url.into(), reason: status.to_string() });
        }
        parse(&body, url)
    }
}

/// What is answered, up to [`MAX_ANSWER`].
async fn answer(request: RequestBuilder, url: &str) -> Result<(StatusCode, Vec<u8>), OidcError> {
    let failed = |reason: String| OidcError::Unreachable { url: url.into(), reason };
    let mut answer = request.send().await.map_err(|error| failed(chain(&error)))?;
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| failed(chain(&error)))? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_ANSWER {
            return Err(failed("its answer is larger than 1 MiB".into()));
        }
    }
    Ok((answer.status(), body))
}

fn parse<T: DeserializeOwned>(body: &[u8], url: &str) -> Result<T, OidcError> {
    serde_json::from_slice(body)
        .map_err(|error| OidcError::Unreachable { url: url.into(), reason: error.to_string() })
}

/// An error with what it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// An address that tokens may be sent to: `https`, or on this machine.
fn check_address(what: &str, text: &str) -> Result<Url, OidcError> {
    let bad = |why: &str| OidcError::Discovery(format!("{what} = {text:?}, which {why}"));
    let url = Url::parse(text).map_err(|_| bad("is no address"))?;
    let host = url.host_str().unwrap_or_default();
    let own = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
    match url.scheme() {
        "https" => Ok(url),
        "http" if own => Ok(url),
        _ => Err(bad("does not begin with https://")),
    }
}

fn tls(config: &OidcConfig) -> Result<rustls::ClientConfig, OidcError> {
    let mut roots = RootCertStore::empty();
    let failed = |error: String| OidcError::Certificates(error);
    match &config.ca_file {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| failed(format!("{}: {error}", path.display())))?;
            for certificate in certificates {
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_travel_encrypted_or_not_at_all() {
        for good in [
            "https://id.example/realms/a",
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:1",
        ] {
            assert!(check_address("issuer", good).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example",
            "ftp://id.example",
            "id.example",
            "",
            "http://localhost.evil.example",
            "file:///etc/passwd",
        ] {
            assert!(check_address("issuer", bad).is_err(), "{bad}");
        }
    }
}

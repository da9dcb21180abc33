//! HTTP as channels speak it: no redirects, bounded in time and bytes, and each answer judged.
//!
//! 1. Any 2xx is a receipt.
//! 2. 400, 413, 415 and 422 say that this very message will not do; it is given up.
//! 3. All else may pass or be mended, a wrong token or address by an administrator too, so the message is tried again;
//!    `Retry-After` is heeded.

use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::channel::SpecError;
use crate::retry::{SendError, Then};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take, with its answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many bytes of an answer are read.
const READ_BYTES: usize = 1_024;
/// How many characters of an answer are kept.
const KEPT: usize = 200;

/// What sends requests.
#[derive(Debug, Clone)]
pub struct HttpClient(Client);

impl HttpClient {
    /// A client that trusts what the system trusts, and these certificates, each as PEM.
    pub fn new(extra_roots: &[Vec<u8>]) -> Result<Self, SpecError> {
        let failed = |error: String| SpecError::Tls(error);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for pem in extra_roots {
            let certificate =
                CertificateDer::from_pem_slice(pem).map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed(chain(&error)))?;
        Ok(Self(client))
    }

    /// POSTs JSON; gives what was answered, in a line.
    pub async fn post(
        &self,
        url: &Url,
        id: &str,
        authorization: Option<&str>,
        body: Vec<u8>,
    ) -> Result<String, SendError> {
        let mut request = self.0.post(url.clone()).header(CONTENT_TYPE, "application/json");
        if id.bytes().all(|byte| (32..127).contains(&byte)) {
            request = request.header("Muster-Message-Id", id);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        receipt(request.body(body)).await
    }

    /// GETs an address; gives what was answered, in a line.
    pub async fn get(&self, url: &Url) -> Result<String, SendError> {
        receipt(self.0.get(url.clone())).await
    }
}

/// An address that can be asked: `http` or `https`, with a host.
pub fn check_url(name: &'static str, text: &str) -> Result<Url, SpecError> {
    // What may be a secret is not repeated.
    let bad = |why: &str| SpecError::Bad { name, value: String::new(), why: why.into() };
    let url = Url::parse(text.trim())
        .map_err(|_| bad("is no address; give one such as https://chat.example/hook"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(bad("does not begin with http:// or https://")),
    }
}

async fn receipt(request: RequestBuilder) -> Result<String, SendError> {
    // The address may hold a secret, so no error names it.
    let failed = |error: reqwest::Error| SendError::retry(reason(&error.without_url()));
    let mut answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let then = then(status, answer.headers());
    let said = first_line(&mut answer).await;
    let text = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
    match then {
        None => Ok(text),
        Some(then) => Err(SendError { text: format!("{text}{}", advice(status)), then }),
    }
}

/// What becomes of a message after this answer; none if it was taken.
fn then(status: StatusCode, headers: &HeaderMap) -> Option<Then> {
    if status.is_success() {
        return None;
    }
    Some(match status.as_u16() {
        400 | 413 | 415 | 422 => Then::GiveUp,
        _ => retry_after(headers).map_or(Then::TryAgain, Then::TryAgainAfter),
    })
}

/// The header `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which is compared with the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let wait = date(asked)?.duration_since(date(text(DATE)?)?);
    Duration::try_from(wait).ok()
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "; redirects are not followed: give the address that it leads to",
        401 | 403 => "; check the channel's authorization",
        404 | 405 | 410 => "; check the channel's address",
        _ => "",
    }
}

/// The beginning of what was answered; the rest is not read.
async fn first_line(answer: &mut Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() >= READ_BYTES {
            break;
        }
    }
    body.truncate(READ_BYTES);
    crate::letter::one_line(&String::from_utf8_lossy(&body), KEPT)
}

fn reason(error: &reqwest::Error) -> String {
    let what = match () {
        () if error.is_timeout() => "no answer in time",
        () if error.is_connect() => "cannot connect",
        () => "the request failed",
    };
    format!("{what}: {}", chain(error))
}

/// An error with what it comes from.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, headers: &[(&'static str, &'static str)], expected: Option<Then>) {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse().expect("a header's name"), value.parse().expect("a header's value"))
        });
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(then(status, &headers.collect()), expected, "{status}");
    }

    #[test]
    fn answers_are_judged() {
        for taken in [200, 201, 202, 204] {
            check(taken, &[], None);
        }
        for refused in [400, 413, 415, 422] {
            check(refused, &[("retry-after", "5")], Some(Then::GiveUp));
        }
        for later in [301, 302, 401, 403, 404, 408, 425, 429, 500, 502, 503, 504] {
            check(later, &[], Some(Then::TryAgain));
        }
    }

    #[test]
    fn the_other_side_may_say_when() {
        let after = |seconds| Some(Then::TryAgainAfter(Duration::from_secs(seconds)));
        check(429, &[("retry-after", "120")], after(120));
        let dates = [
            ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ];
        check(503, &dates, after(60));
        check(503, &dates[..1], Some(Then::TryAgain));
        check(503, &[("retry-after", "soon")], Some(Then::TryAgain));
        check(503, &[("retry-after", "-5")], Some(Then::TryAgain));
    }

    #[test]
    fn addresses_are_checked_and_not_repeated() {
        assert!(check_url("url", " https://chat.example/hook?key=1 ").is_ok());
        for bad in ["", "chat.example", "file:///etc/passwd", "ftp://secret", "http://"] {
            let error = check_url("url", bad).expect_err(bad).to_string();
            assert!(!error.contains("secret") && error.starts_with("url"), "{error}");
        }
    }
}

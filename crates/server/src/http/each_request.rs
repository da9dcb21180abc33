//! What every request gets, whatever its route: a number, a line in the log, and the headers that protect browsers.
//!
//! The number is in the answer's `X-Request-Id`, in the body of a failure, and in every line that is logged on the way, so that
//! what a person saw is found in the log. A number that a proxy has given is kept. Neither query nor headers are logged:
//! both may hold what is nobody's business.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use crate::app::App;
use crate::secrets::random_bytes;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest number that is taken from a client.
const MAX_ID: usize = 64;

tokio::task_local! {
    static CURRENT: Arc<str>;
}

/// The number of the request that is answered by this task, if one is.
pub(super) fn current_id() -> Option<String> {
    CURRENT.try_with(ToString::to_string).ok()
}

/// Headers of every answer: nobody may frame it, load it from elsewhere, or take it for another type.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
         microphone=(), midi=(), payment=(), usb=()",
    ),
];
/// The page runs its own scripts only, and none that stand in its text.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
/// An answer of the API is no page, wherever a browser may show it.
const API_POLICY: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// A year, for this host alone: what else it serves on other names is not for us to say.
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Answers one request.
pub(super) async fn attend(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let api = path.starts_with("/api/");
    let span = tracing::info_span!("request", id = &*id);
    let answering = CURRENT.scope(Arc::clone(&id), next.run(request)).instrument(span.clone());
    let mut response = answering.await;
    let status = response.status();
    let _entered = span.enter();
    let ms = began.elapsed().as_secs_f64() * 1e3;
    if status.is_server_error() {
        tracing::warn!(%method, path, status = status.as_u16(), ms, "request failed");
    } else {
        tracing::debug!(%method, path, status = status.as_u16(), ms, "request");
    }
    protect(response.headers_mut(), api, app.is_secure());
    let id = HeaderValue::from_str(&id).expect("a number of letters and digits is a header value");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The number that a proxy has given, if it is harmless in a log, or a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        (1..=MAX_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match given.filter(harmless) {
        Some(id) => id.into(),
        None => format!("{:016x}", u64::from_ne_bytes(random_bytes())).into(),
    }
}

fn protect(headers: &mut HeaderMap, api: bool, secure: bool) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = if api { API_POLICY } else { PAGE_POLICY };
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    if secure {
        let strict = HeaderValue::from_static(STRICT_TRANSPORT);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict);
    }
    if api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, kept: bool) {
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
        let id = request_id(&headers);
        assert_eq!(&*id == given, kept, "{given:?} became {id:?}");
        assert!(!id.is_empty());
    }

    #[test]
    fn a_harmless_number_of_a_proxy_is_kept() {
        check("7b1c-4.A_9", true);
        check("", false);
        check("a b", false);
        check("a\"b", false);
        check(&"a".repeat(MAX_ID), true);
        check(&"a".repeat(MAX_ID + 1), false);
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn strict_transport_is_asked_for_under_tls_only() {
        let (mut plain, mut secure) = (HeaderMap::new(), HeaderMap::new());
        protect(&mut plain, false, false);
        protect(&mut secure, false, true);
        assert!(!plain.contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert!(secure.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}

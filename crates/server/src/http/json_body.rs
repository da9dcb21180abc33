//! The JSON body of a request to our own API, whose failures are told as JSON too.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::failure::ApiFailure;

/// How long a client may take to send the body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A value read from a JSON body.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiFailure;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiFailure> {
        read(request, state, BODY_TIMEOUT).await.map(Self)
    }
}

async fn read<S: Send + Sync, T: DeserializeOwned>(
    request: Request,
    state: &S,
    limit: Duration,
) -> Result<T, ApiFailure> {
    match tokio::time::timeout(limit, Json::from_request(request, state)).await {
        Ok(Ok(Json(value))) => Ok(value),
        Ok(Err(rejection)) => Err(refused(&rejection)),
        Err(_) => Err(ApiFailure::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "the body of the request did not arrive in time; send it again",
        )),
    }
}

fn refused(rejection: &JsonRejection) -> ApiFailure {
    let (code, error) = match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "unsupported_media_type",
            "send the body as JSON, with `Content-Type: application/json`".to_owned(),
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is larger than 1 MiB".to_owned()),
        _ => ("bad_request", rejection.body_text()),
    };
    ApiFailure::new(rejection.status(), code, error)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::{Body, Bytes};
    use axum::response::IntoResponse as _;
    use muster_api::{CreateApiToken, Failure};

    use super::*;

    async fn check(content_type: &str, body: impl Into<Body>, status: u16, code: &str) {
        let request =
            Request::post("/").header("content-type", content_type).body(body.into()).unwrap();
        let result = read::<_, CreateApiToken>(request, &(), Duration::from_millis(500)).await;
        let response = result.expect_err("a refusal").into_response();
        assert_eq!(response.status().as_u16(), status, "{code}");
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await;
        let failure: Failure = serde_json::from_slice(&body.unwrap()).unwrap();
        assert_eq!(failure.code, code);
        assert!(!failure.error.is_empty());
    }

    #[tokio::test]
    async fn every_bad_body_is_refused_in_json() {
        check("application/json", "{", 400, "bad_request").await;
        check("application/json", "{}", 422, "bad_request").await;
        check("text/plain", "{}", 415, "unsupported_media_type").await;
        // axum's own limit, which is larger than the server's.
        check("application/json", "x".repeat(2 << 20 | 1), 413, "too_large").await;
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        check("application/json", Body::from_stream(never), 408, "too_slow").await;
    }
}

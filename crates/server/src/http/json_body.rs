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
        match tokio::time::timeout(BODY_TIMEOUT, Json::from_request(request, state)).await {
            Ok(Ok(Json(value))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(refused(&rejection)),
            Err(_) => Err(ApiFailure::new(
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "the body of the request did not arrive in time; send it again",
            )),
        }
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
    use axum::body::Body;
    use axum::response::IntoResponse as _;
    use muster_api::{CreateApiToken, Failure};

    use super::*;

    async fn check(content_type: &str, body: &'static str, status: u16, code: &str) {
        let request =
            Request::post("/").header("content-type", content_type).body(Body::from(body)).unwrap();
        let result = ApiJson::<CreateApiToken>::from_request(request, &()).await;
        let response = result.err().expect("a refusal").into_response();
        assert_eq!(response.status().as_u16(), status, "{body}");
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
    }
}

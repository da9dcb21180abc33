//! The bodies of requests to Alertmanager's API, and its refusals, which are JSON strings.
//!
//! A Prometheus with many alerts sends them in one request, so bodies may be larger than those of our own API. As there,
//! nobody asks what kind of content a body says it is.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::json_body::BODY_TIMEOUT;

/// The most bytes of a body.
const MAX_BODY: usize = 16 << 20;

/// A refusal in Alertmanager's form: a JSON string.
#[derive(Debug)]
pub(super) struct Refusal(StatusCode, String);

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self(status, error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// What makes no sense.
pub(super) fn bad(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

/// A value read from a JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        read(request, MAX_BODY, BODY_TIMEOUT).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(
    request: Request,
    max_bytes: usize,
    limit: Duration,
) -> Result<T, Refusal> {
    let body = axum::body::to_bytes(request.into_body(), max_bytes);
    let bytes = match tokio::time::timeout(limit, body).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let error = format!("the body broke off, or is larger than {} MiB", MAX_BODY >> 20);
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Err(_) => {
            let error = "the body of the request did not arrive in time; send it again";
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error));
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| bad(format!("the body cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(body: &str, max_bytes: usize, expected: Result<Vec<u8>, u16>) {
        let request = Request::post("/").body(body.to_owned().into()).unwrap();
        let read = read::<Vec<u8>>(request, max_bytes, BODY_TIMEOUT).await;
        assert_eq!(read.map_err(|refusal| refusal.0.as_u16()), expected, "{body}");
    }

    #[tokio::test]
    async fn bodies_are_read_whatever_they_say_they_are() {
        check("[1, 2]", 6, Ok(vec![1, 2])).await;
        check("[1, 2]", 5, Err(413)).await;
        check("[1, 2", 6, Err(400)).await;
        check("{}", 6, Err(400)).await;
        check("", 6, Err(400)).await;
    }
}

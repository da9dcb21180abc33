//! Failures of Muster's own API: a status, a word for programs, a sentence for people.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::Failure;
use muster_meta::MetaError;

/// What a handler returns instead of an answer.
#[derive(Debug)]
pub(crate) struct ApiFailure {
    status: StatusCode,
    code: &'static str,
    error: String,
    retry_after_s: Option<i64>,
}

impl ApiFailure {
    pub(crate) fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self { status, code, error: error.into(), retry_after_s: None }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", error)
    }

    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", error)
    }

    pub(crate) fn conflict(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, error)
    }

    pub(crate) fn not_signed_in() -> Self {
        let error = "sign in, or send an API token as `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::UNAUTHORIZED, "not_signed_in", error)
    }

    pub(crate) fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", error)
    }

    pub(crate) fn too_many_attempts(wait_ms: i64) -> Self {
        let seconds = wait_ms.div_euclid(1_000) + 1;
        let error = format!("too many failed attempts; try again in {seconds} s");
        Self {
            retry_after_s: Some(seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", error)
        }
    }

    pub(crate) fn busy(error: impl Into<String>) -> Self {
        Self { retry_after_s: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error) }
    }

    /// Whether nobody is signed in: what was allowed once is not any more.
    pub(crate) fn is_not_signed_in(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// The same, but where it says that somebody is not who they say: that something is forbidden, for this reason.
    pub(crate) fn or_forbidden(self, code: &'static str, error: &str) -> Self {
        if self.status == StatusCode::UNAUTHORIZED {
            Self::new(StatusCode::FORBIDDEN, code, error)
        } else {
            self
        }
    }

    /// A defect of ours: the log has the details, the client none.
    pub(crate) fn internal() -> Self {
        let error = "the server failed at this request; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error)
    }
}

impl From<MetaError> for ApiFailure {
    fn from(error: MetaError) -> Self {
        let text = error.to_string();
        match error {
            MetaError::NotFound { .. } => Self::not_found(text),
            MetaError::BadName { .. }
            | MetaError::BadWords { .. }
            | MetaError::RoleForTokens(_) => Self::bad_request(text),
            MetaError::NameTaken { .. } => Self::conflict("name_taken", text),
            MetaError::LastAdministrator { .. } => Self::conflict("last_administrator", text),
            MetaError::SecondFactorIsOn { .. } => Self::conflict("second_factor_is_on", text),
            MetaError::IdentityTaken => Self::conflict("identity_taken", text),
            MetaError::Changed { .. } => Self::conflict("changed", text),
            _ => {
                tracing::error!(error = text, "the metadata database failed");
                Self::busy("the database did not answer; try again")
            }
        }
    }
}

impl IntoResponse for ApiFailure {
    fn into_response(self) -> Response {
        let body = Failure {
            error: self.error,
            code: self.code.into(),
            request_id: super::each_request::current_id(),
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s
            && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let value = HeaderValue::from_static("Bearer realm=\"muster\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

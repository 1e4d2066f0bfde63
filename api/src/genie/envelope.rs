//! The one shape of failures: `{ok, success, error, message, reason?}`.

use crate::core::{Context, Error, error::Login};
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::Kind;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use utoipa::ToSchema;

/// What handlers of this dialect return.
pub type Result<T> = std::result::Result<Json<T>, Fault>;

/// A failure in this dialect's shape.
#[derive(Debug)]
pub enum Fault {
    /// The dialect's own.
    Own {
        /// HTTP status.
        status: StatusCode,
        /// Stable code.
        error: &'static str,
        /// For people.
        message: Cow<'static, str>,
        /// Further fields.
        extra: Map<String, Value>,
    },
    /// Everything else.
    Core(Error),
}

impl Fault {
    /// A failure without further fields.
    pub fn new(
        status: StatusCode,
        error: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Own { status, error, message: message.into(), extra: Map::new() }
    }

    /// A required parameter is missing, or one is invalid.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Core(error.into())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Own { status, error, message, extra } => {
                tracing::debug!(error, %message, "refused");
                failure(status, error, &message, extra)
            }
            Self::Core(error) => error.into_response(),
        }
    }
}

/// Why it did not work.
#[derive(Serialize, ToSchema)]
pub(super) struct Failed<'a> {
    /// Always `false`.
    ok: bool,
    /// Always `false`.
    success: bool,
    /// Stable code.
    error: &'a str,
    /// For people.
    message: &'a str,
    /// Further fields, such as `reason` and `details`.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

fn failure(status: StatusCode, error: &str, message: &str, extra: Map<String, Value>) -> Response {
    let failed = Failed { ok: false, success: false, error, message, extra };
    (status, Json(failed)).into_response()
}

/// Failures that are not the dialect's own, in its shape.
pub fn render(error: Error) -> Response {
    let plain =
        |status: StatusCode, code: &str, message: &str| failure(status, code, message, Map::new());
    let status = error.status();
    match &error {
        Error::Unauthenticated(Login::Missing) => {
            plain(status, "Missing authorization token", "Missing authorization token")
        }
        Error::Unauthenticated(_) => {
            plain(status, "Invalid or expired token", "Invalid or expired token")
        }
        Error::Forbidden => plain(status, "forbidden", "You may not do this"),
        Error::NoSuchPath => plain(status, "not_found", "There is no such path"),
        Error::NotFound => plain(status, "not_found", "There is no such thing"),
        Error::MethodNotAllowed => {
            plain(status, "method_not_allowed", "The path does not know this method")
        }
        Error::Invalid(problems) => {
            let extra = Map::from_iter([("details".to_owned(), json!(problems))]);
            let first = problems.first().map_or("The input is invalid", |problem| &problem.msg);
            failure(StatusCode::BAD_REQUEST, "invalid_request", first, extra)
        }
        Error::TooLarge { limit } => {
            plain(status, "payload_too_large", &format!("The body is larger than {limit} bytes"))
        }
        Error::MediaType(sent) => {
            plain(status, "unsupported_media_type", &format!("{sent} is not taken here"))
        }
        Error::Refused { kind, message } => {
            // The dialect's table has no 409 but for registrations.
            let (status, code) = match kind {
                Kind::Unknown => (StatusCode::NOT_FOUND, "not_found"),
                Kind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
                Kind::Conflict => (StatusCode::BAD_REQUEST, "conflict"),
                Kind::Invalid => (StatusCode::BAD_REQUEST, "invalid_request"),
            };
            plain(status, code, message)
        }
        Error::Throttled { retry_after } => {
            let mut response = plain(status, "rate_limited", "Too many requests");
            let seconds = retry_after.as_secs().max(1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
        Error::Unavailable(_) => {
            plain(status, "unavailable", "Temporarily unavailable, please try again")
        }
        Error::Internal(_) => {
            let id = json!(Context::current().request_id);
            let extra = Map::from_iter([("request_id".to_owned(), id)]);
            failure(status, "internal_error", "Something went wrong", extra)
        }
    }
}

//! What failures look like: `detail` for those of the framework, `errors` for those of apps and datasources, `message` for a
//! few, and an empty body.

use crate::core::{Error, Problem, error::Login};
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::Kind;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// What handlers of this dialect return.
pub type Result<T> = std::result::Result<Reply<T>, Fault>;

/// A bare object or list, with a status.
#[derive(Debug)]
pub struct Reply<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl<T> Reply<T> {
    /// 200.
    pub fn ok(body: T) -> Self {
        Self(StatusCode::OK, body)
    }
}

/// A failure in this dialect's shape.
#[derive(Debug)]
pub enum Fault {
    /// `{"detail": …}`.
    Detail(StatusCode, Cow<'static, str>),
    /// `{"errors": […]}`.
    Errors(Vec<String>),
    /// `{"message": …}`.
    Message(StatusCode, &'static str),
    /// Everything else.
    Core(Error),
}

impl Fault {
    /// There is nothing of this kind, or not for this caller.
    pub fn missing(kind: &'static str) -> Self {
        Self::Detail(StatusCode::NOT_FOUND, format!("No {kind} matches the given query.").into())
    }

    /// The domain said no.
    pub fn error(text: impl Into<String>) -> Self {
        Self::Errors(vec![text.into()])
    }

    /// The body cannot be understood.
    pub fn bad_body(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Detail(StatusCode::BAD_REQUEST, text.into())
    }
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Core(error.into())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Detail(status, detail) => (status, json!({ "detail": detail })),
            Self::Errors(errors) => (StatusCode::BAD_REQUEST, json!({ "errors": errors })),
            Self::Message(status, message) => (status, json!({ "message": message })),
            Self::Core(error) => return error.into_response(),
        };
        tracing::debug!(%body, "refused");
        (status, Json(body)).into_response()
    }
}

/// Failures that are not the dialect's own, in its shape.
pub fn render(error: Error) -> Response {
    let status = error.status();
    let detail = |status: StatusCode, text: &str| (status, Json(json!({ "detail": text })));
    match &error {
        // 403 and no challenge, as upstream's first way to log in offers none.
        Error::Unauthenticated(login) => detail(StatusCode::FORBIDDEN, login_text(*login)),
        Error::Forbidden => detail(status, "You do not have permission to perform this action."),
        Error::NoSuchPath | Error::NotFound => detail(status, "Not found."),
        Error::MethodNotAllowed => detail(status, "Method not allowed."),
        Error::Invalid(problems) => detail(StatusCode::BAD_REQUEST, &invalid(problems)),
        Error::TooLarge { limit } => {
            detail(status, &format!("Request body exceeds {limit} bytes."))
        }
        Error::MediaType(sent) => {
            detail(status, &format!("Unsupported media type \"{sent}\" in request."))
        }
        Error::Refused { kind: Kind::Unknown, .. } => detail(status, "Not found."),
        Error::Refused { message, .. } => {
            (StatusCode::BAD_REQUEST, Json(json!({ "errors": [message] })))
        }
        Error::Throttled { retry_after } => {
            let seconds = retry_after.as_secs().max(1);
            let text = format!("Request was throttled. Expected available in {seconds} seconds.");
            let mut response = detail(status, &text).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            return response;
        }
        Error::Unavailable(_) => detail(status, "Temporarily unavailable, please try again."),
        Error::Internal(_) => detail(status, "A server error occurred."),
    }
    .into_response()
}

fn login_text(login: Login) -> &'static str {
    match login {
        Login::Missing => "Authentication credentials were not provided.",
        Login::Invalid | Login::Expired => "Invalid token.",
        Login::Inactive => "User inactive or deleted.",
    }
}

fn invalid(problems: &[Problem]) -> String {
    let Some(problem) = problems.first() else { return "The input is invalid.".to_owned() };
    if problem.kind == "json_invalid" {
        let reason = problem.msg.strip_prefix("JSON decode error: ").unwrap_or(&problem.msg);
        return format!("JSON parse error - {reason}");
    }
    let place: Vec<String> = problem.loc.iter().skip(1).map(step).collect();
    match place.is_empty() {
        true => problem.msg.clone(),
        false => format!("{}: {}", place.join("."), problem.msg),
    }
}

fn step(step: &Value) -> String {
    step.as_str().map_or_else(|| step.to_string(), str::to_owned)
}

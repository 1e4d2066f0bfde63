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
use serde_json::Value;
use std::{borrow::Cow, time::Duration};
use utoipa::ToSchema;

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

/// A failure of the framework: no login, nothing there, a body that cannot be read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Detail<'a> {
    /// What is wrong.
    detail: Cow<'a, str>,
}

/// What is wanted cannot be.
#[derive(Debug, Serialize, ToSchema)]
pub struct Errors {
    /// What is wrong; of a definition with the path and, where it is known, the line.
    errors: Vec<String>,
}

/// A failure that only a few operations know.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message<'a> {
    /// What is wrong.
    message: Cow<'a, str>,
}

/// What is wrong with what was sent: `detail` when it cannot be read, `errors` when it cannot be.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a shape for the document: one of two others")]
pub(super) enum Refusal<'a> {
    Detail(Detail<'a>),
    Errors(Errors),
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
    /// A status and no body.
    Silent(StatusCode),
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

    /// What it says, for those who are told in another way than by a response.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Detail(_, text) => vec![text.to_string()],
            Self::Errors(texts) => texts.clone(),
            Self::Message(_, text) => vec![(*text).to_owned()],
            Self::Silent(status) => vec![status.canonical_reason().unwrap_or_default().to_owned()],
            Self::Core(error) => {
                error.log();
                vec![worded(error)]
            }
        }
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
        if !matches!(self, Self::Core(_) | Self::Silent(_)) {
            tracing::debug!(fault = ?self, "refused");
        }
        match self {
            Self::Detail(status, detail) => (status, Json(Detail { detail })).into_response(),
            Self::Errors(errors) => {
                (StatusCode::BAD_REQUEST, Json(Errors { errors })).into_response()
            }
            Self::Message(status, message) => {
                let message = message.into();
                (status, Json(Message { message })).into_response()
            }
            Self::Silent(status) => status.into_response(),
            Self::Core(error) => error.into_response(),
        }
    }
}

/// Failures that are not the dialect's own, in its shape.
pub fn render(error: Error) -> Response {
    let status = match &error {
        // 403 and no challenge, as upstream's first way to log in offers none.
        Error::Unauthenticated(_) => StatusCode::FORBIDDEN,
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        other => other.status(),
    };
    let text = worded(&error);
    match &error {
        Error::Refused { kind, .. } if *kind != Kind::Unknown => {
            return (StatusCode::BAD_REQUEST, Json(Errors { errors: vec![text] })).into_response();
        }
        _ => {}
    }
    let detail = text.into();
    let mut response = (status, Json(Detail { detail })).into_response();
    if let Error::Throttled { retry_after } = &error {
        response.headers_mut().insert(header::RETRY_AFTER, seconds(*retry_after).into());
    }
    response
}

fn worded(error: &Error) -> String {
    match error {
        Error::Unauthenticated(login) => login_text(*login).to_owned(),
        Error::Forbidden => "You do not have permission to perform this action.".to_owned(),
        Error::NoSuchPath | Error::NotFound | Error::Refused { kind: Kind::Unknown, .. } => {
            "Not found.".to_owned()
        }
        Error::MethodNotAllowed => "Method not allowed.".to_owned(),
        Error::Invalid(problems) => invalid(problems),
        Error::TooLarge { limit } => format!("Request body exceeds {limit} bytes."),
        Error::MediaType(sent) => format!("Unsupported media type \"{sent}\" in request."),
        Error::Refused { message, .. } => message.clone(),
        Error::Throttled { retry_after } => {
            let seconds = seconds(*retry_after);
            format!("Request was throttled. Expected available in {seconds} seconds.")
        }
        Error::Unavailable(_) => "Temporarily unavailable, please try again.".to_owned(),
        Error::Internal(_) => "A server error occurred.".to_owned(),
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs().max(1)
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

//! Failures as problem details (RFC 9457).

use crate::core::{Context, Error, Problem, error::Login};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use domain::Kind;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

/// What went wrong, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = ProblemDetails)]
pub(super) struct Details<'a> {
    /// Always `about:blank`: the status says which kind of problem it is.
    r#type: &'static str,
    /// The status in words.
    title: &'a str,
    /// The status.
    status: u16,
    /// What went wrong, for people.
    detail: &'a str,
    /// What to name when asking an operator about it.
    request_id: Uuid,
    /// What is wrong with the input, piece by piece.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Problem>,
}

/// The failure, as every path below `/v1` answers it.
pub(super) fn render(error: Error) -> Response {
    let status = status(&error);
    let detail = detail(&error);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match &error {
        Error::Unauthenticated(login) => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge(*login)));
        }
        Error::Throttled { retry_after } => {
            // Rounded up: a client that comes at the second named must not be early.
            let seconds = retry_after.as_secs() + 1;
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Error::Unavailable(_) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        _ => {}
    }
    let errors = match error {
        Error::Invalid(problems) => problems,
        _ => Vec::new(),
    };
    let details = Details {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: &detail,
        request_id: Context::current().request_id,
        errors,
    };
    let body =
        serde_json::value::to_raw_value(&details).unwrap_or_else(|_| RawValue::NULL.to_owned());
    *response.body_mut() = Body::from(String::from(Box::<str>::from(body)));
    *response.status_mut() = status;
    response
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Refused { kind: Kind::Invalid, .. } => StatusCode::UNPROCESSABLE_ENTITY,
        other => other.status(),
    }
}

fn challenge(login: Login) -> &'static str {
    match login {
        Login::Missing => r#"Bearer realm="annals""#,
        Login::Invalid | Login::Expired | Login::Inactive => {
            r#"Bearer realm="annals", error="invalid_token""#
        }
    }
}

fn detail(error: &Error) -> String {
    match error {
        Error::Unauthenticated(Login::Missing) => {
            "A login is needed: a bearer token, an API token or a session.".into()
        }
        Error::Unauthenticated(Login::Invalid) => "The token is not valid.".into(),
        Error::Unauthenticated(Login::Expired) => "The login has expired.".into(),
        Error::Unauthenticated(Login::Inactive) => "The account is suspended.".into(),
        Error::Forbidden => "This is for administrators.".into(),
        Error::NoSuchPath => "There is nothing at this path.".into(),
        Error::MethodNotAllowed => {
            "The path does not know this method; see the header Allow.".into()
        }
        Error::NotFound => "It does not exist, or not for you.".into(),
        Error::Invalid(problems) => problems
            .first()
            .map_or_else(|| "The input is malformed.".into(), |first| first.msg.clone()),
        Error::TooLarge { limit } => format!("The body is larger than {limit} bytes."),
        Error::MediaType(_) => "The body has a type that is not taken here.".into(),
        Error::Refused { message, .. } => message.clone(),
        Error::Throttled { .. } => "Too many requests; see the header Retry-After.".into(),
        Error::Unavailable(_) => "Temporarily unavailable; try again.".into(),
        Error::Internal(_) => {
            "Something failed here; the request_id leads to it in the log.".into()
        }
    }
}

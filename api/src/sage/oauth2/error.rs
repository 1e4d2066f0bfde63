//! `{error, error_description}`, as RFC 6749 (section 5.2) has it.

use crate::core::Error;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::oauth2;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// What handlers of these endpoints return.
pub type Result<T> = std::result::Result<T, Refused>;

/// A failure in the shape of the RFCs.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    challenge: Option<&'static str>,
    retry_after: Option<u64>,
}

/// Why it did not work, as the RFCs tell it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuth2Error)]
pub struct Failed {
    /// A code of the RFCs, such as `invalid_request`, `invalid_client`, `invalid_grant`.
    error: &'static str,
    /// For programmers, in English.
    error_description: Cow<'static, str>,
}

impl Refused {
    /// With this status, code and description. Descriptions are for programmers, and English as the RFCs want it.
    pub fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        let description = description.into();
        Self { status, error, description, challenge: None, retry_after: None }
    }

    /// 400 `invalid_request`.
    pub fn invalid(description: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("invalid_request", description)
    }

    /// 400 with another code.
    pub fn bad(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, description)
    }

    /// 401 `invalid_client`, with the challenge of the token endpoint.
    pub fn client(description: &'static str) -> Self {
        let refused = Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description);
        Self { challenge: Some(r#"Basic realm="sage""#), ..refused }
    }

    /// 401 `invalid_token`; `sent` whether there was a token at all.
    pub fn token(sent: bool) -> Self {
        let (challenge, description) = match sent {
            true => (
                r#"Bearer realm="sage", error="invalid_token""#,
                "the access token is unknown, expired or revoked",
            ),
            false => (r#"Bearer realm="sage""#, "missing bearer token"),
        };
        let refused = Self::new(StatusCode::UNAUTHORIZED, "invalid_token", description);
        Self { challenge: Some(challenge), ..refused }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        error.log();
        let status = error.status();
        match error {
            Error::NoSuchPath | Error::NotFound => {
                Self::new(status, "invalid_request", "no such endpoint")
            }
            Error::MethodNotAllowed => {
                Self::new(status, "invalid_request", "this endpoint does not know the method")
            }
            Error::TooLarge { limit } => {
                let description = format!("the body is larger than {limit} bytes");
                Self::new(status, "invalid_request", description)
            }
            Error::MediaType(_) => {
                Self::invalid("the body has to be application/x-www-form-urlencoded")
            }
            Error::Invalid(problems) => {
                let first = problems.into_iter().next().map(|problem| problem.msg);
                Self::invalid(first.unwrap_or_default().replace(['"', '\\'], "'"))
            }
            Error::Unauthenticated(_) => Self::new(status, "login_required", "nobody is logged in"),
            Error::Forbidden => Self::new(status, "access_denied", "permission denied"),
            Error::Refused { .. } => Self::new(status, "invalid_request", "refused"),
            Error::Throttled { retry_after } => Self {
                retry_after: Some(retry_after.as_secs().max(1)),
                ..Self::new(status, "temporarily_unavailable", "too many failed attempts")
            },
            Error::Unavailable(_) => {
                Self::new(status, "temporarily_unavailable", "please try again later")
            }
            Error::Internal(_) => Self::new(status, "server_error", "internal server error"),
        }
    }
}

impl From<oauth2::Error> for Refused {
    fn from(error: oauth2::Error) -> Self {
        use oauth2::Error as E;
        match error {
            E::Worthless(why) => Self::bad("invalid_grant", why),
            E::VerifierMissing => Self::invalid("code_verifier is missing"),
            E::ScopeTooWide => Self::bad("invalid_scope", "the scope exceeds what was granted"),
            E::Identity(error) => Error::from(error).into(),
            E::Failed(failure) => Error::from(failure).into(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Failed { error: self.error, error_description: self.description };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Failures met by shared extractors, in this shape.
pub fn render(error: Error) -> Response {
    Refused::from(error).into_response()
}

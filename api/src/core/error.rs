//! Everything that can go wrong with a request, before a dialect gives it its shape.

use super::Context;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use commands::{
    execute::{self, Failure},
    log::{AppendError, ReadError},
};
use domain::{Kind, Refusal};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// One thing wrong with an input, and where.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Stable code, for example `missing`, `json_invalid`, `int_parsing`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where: `["body", "messages", 0, "role"]`, `["query", "page"]`.
    pub loc: Vec<Value>,
    /// For people.
    pub msg: String,
    /// What was sent there, if it is known and small.
    pub input: Value,
}

/// Why a request could not be answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No valid login.
    #[error("not authenticated: {0:?}")]
    Unauthenticated(Login),
    /// A valid login that may not do this.
    #[error("permission denied")]
    Forbidden,
    /// No such path.
    #[error("no such path")]
    NoSuchPath,
    /// The path does not know this method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The thing does not exist, or not for this caller.
    #[error("not found")]
    NotFound,
    /// The input is malformed.
    #[error("invalid input: {0:?}")]
    Invalid(Vec<Problem>),
    /// The body is larger than this many bytes.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body has a type the endpoint does not take.
    #[error("unsupported media type {0:?}")]
    MediaType(String),
    /// The domain said no.
    #[error("{message}")]
    Refused {
        /// Class of the refusal.
        kind: Kind,
        /// The domain's own words.
        message: String,
    },
    /// Too many requests of this kind.
    #[error("too many requests")]
    Throttled {
        /// When it makes sense to try again.
        retry_after: Duration,
    },
    /// The log or the database does not answer; trying again later makes sense.
    #[error("temporarily unavailable: {0}")]
    Unavailable(String),
    /// A defect or a broken machine.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What is wrong with the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Nothing was sent.
    Missing,
    /// What was sent is no valid token.
    Invalid,
    /// The token has expired.
    Expired,
    /// The account was suspended or deleted.
    Inactive,
}

impl Error {
    /// The conventional HTTP status; dialects with other habits map for themselves.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NoSuchPath | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused { kind, .. } => match kind {
                Kind::Unknown => StatusCode::NOT_FOUND,
                Kind::Forbidden => StatusCode::FORBIDDEN,
                Kind::Conflict => StatusCode::CONFLICT,
                Kind::Invalid => StatusCode::BAD_REQUEST,
            },
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Logs failures of the machine, once, where they leave the process. Refusals are the caller's business.
    pub fn log(&self) {
        match self {
            Self::Internal(cause) => tracing::error!(cause, "request failed"),
            Self::Unavailable(cause) => tracing::warn!(cause, "request could not be served"),
            Self::Refused { message, .. } => tracing::debug!(message, "refused"),
            _ => {}
        }
    }
}

/// An answer outside any dialect: status and plain text.
pub fn plain(error: Error) -> Response {
    let text = match &error {
        Error::Internal(_) => "internal error".to_owned(),
        other => other.to_string(),
    };
    (error.status(), text).into_response()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        (Context::current().render)(self)
    }
}

impl<R: Refusal> From<execute::Error<R>> for Error {
    fn from(error: execute::Error<R>) -> Self {
        match error {
            execute::Error::Refused(refusal) => {
                Self::Refused { kind: refusal.kind(), message: refusal.to_string() }
            }
            execute::Error::Failed(failure) => failure.into(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Contended(_)
            | Failure::Append(AppendError::Unavailable(_))
            | Failure::Read(ReadError(_)) => Self::Unavailable(failure.to_string()),
            Failure::Append(AppendError::TooLarge { limit }) => Self::TooLarge { limit },
            Failure::Append(_) | Failure::Undecodable { .. } | Failure::Unencodable(_) => {
                Self::Internal(failure.to_string())
            }
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                Self::Unavailable(error.to_string())
            }
            // 57P0x: the server is shutting down or starting up; 08xxx: the connection is gone.
            E::Database(ref db)
                if db.code().is_some_and(|c| c.starts_with("57P") || c.starts_with("08")) =>
            {
                Self::Unavailable(error.to_string())
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

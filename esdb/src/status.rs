//! Failures as clients of the protocol know them: a code, and trailers by which they tell one from another.

use commands::log::{AppendError, ReadError};
use tonic::{Code, Status, metadata::MetadataMap};

fn exception(code: Code, message: impl Into<String>, trailers: &[(&'static str, &str)]) -> Status {
    let mut metadata = MetadataMap::with_capacity(trailers.len());
    for (name, value) in trailers {
        // Names of streams may hold what a header may not.
        let plain: String =
            value.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        if let Ok(value) = plain.parse() {
            metadata.insert(*name, value);
        }
    }
    Status::with_metadata(code, message, metadata)
}

/// Nobody, or somebody who may not.
pub(crate) fn access_denied() -> Status {
    exception(Code::PermissionDenied, "Access Denied", &[("exception", "access-denied")])
}

/// The credentials prove nothing.
pub(crate) fn not_authenticated() -> Status {
    exception(Code::Unauthenticated, "Not Authenticated", &[("exception", "not-authenticated")])
}

/// The caller's mistake.
pub(crate) fn invalid(message: impl Into<String>) -> Status {
    Status::invalid_argument(message)
}

/// Nothing here is deleted.
pub(crate) fn not_permitted() -> Status {
    let message = "the log is append-only: streams are neither deleted nor tombstoned";
    exception(Code::PermissionDenied, message, &[("exception", "access-denied")])
}

/// The server is on its way down; whoever follows comes back with the position they have.
pub(crate) fn going_down() -> Status {
    exception(Code::Unavailable, "the server is going down", &[("exception", "node-not-ready")])
}

/// What has no answer of its own in the protocol.
pub(crate) fn append_failed(error: &AppendError) -> Status {
    match error {
        AppendError::WrongRevision { stream, actual } => {
            let actual = actual.map_or(-1, |revision| revision.0.cast_signed()).to_string();
            let trailers = [
                ("exception", "wrong-expected-version"),
                ("stream-name", stream.as_str()),
                ("actual-version", &actual),
            ];
            exception(Code::FailedPrecondition, error.to_string(), &trailers)
        }
        AppendError::IdTaken => Status::already_exists(error.to_string()),
        AppendError::Invalid(_) => invalid(error.to_string()),
        AppendError::TooLarge { limit } => {
            let limit = limit.to_string();
            let trailers = [
                ("exception", "maximum-append-size-exceeded"),
                ("maximum-append-size", limit.as_str()),
            ];
            exception(Code::InvalidArgument, error.to_string(), &trailers)
        }
        AppendError::Unavailable(_) => {
            tracing::warn!(%error, "an append over gRPC failed");
            Status::unavailable("the log is unavailable")
        }
    }
}

/// The log does not answer.
pub(crate) fn unreadable(error: &ReadError) -> Status {
    tracing::warn!(%error, "a read over gRPC failed");
    Status::unavailable("the log cannot be read")
}

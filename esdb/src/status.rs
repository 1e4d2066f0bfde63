//! Failures as clients of the protocol know them: a code, and trailers by which they tell one from another.

use commands::{
    execute::Failure,
    log::{AppendError, ReadError},
};
use domain::subscription_group::Name;
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

fn of_group(code: Code, exception_: &str, name: &Name, what: &str) -> Status {
    let message = format!("Subscription group {} on stream {} {what}", name.group, name.source);
    let trailers =
        [("exception", exception_), ("stream-name", &name.source), ("group-name", &name.group)];
    exception(code, message, &trailers)
}

/// There is no such group.
pub(crate) fn no_group(name: &Name) -> Status {
    of_group(Code::NotFound, "persistent-subscription-does-not-exist", name, "does not exist.")
}

/// There is such a group.
pub(crate) fn group_exists(name: &Name) -> Status {
    of_group(Code::AlreadyExists, "persistent-subscription-exists", name, "exists.")
}

/// It was changed, removed or begun anew: whoever consumes comes again.
pub(crate) fn group_dropped(name: &Name) -> Status {
    of_group(Code::Cancelled, "persistent-subscription-dropped", name, "was dropped.")
}

/// As many consume as may.
pub(crate) fn group_full(name: &Name) -> Status {
    let Name { source, group } = name;
    let message =
        format!("Maximum subscriptions reached for subscription group {group} on stream {source}.");
    let trailers = [
        ("exception", "maximum-subscribers-reached"),
        ("stream-name", source),
        ("group-name", group),
    ];
    exception(Code::FailedPrecondition, message, &trailers)
}

/// A group cannot be read from the log, or written to it.
pub(crate) fn group_failed(name: &Name, failure: &Failure) -> Status {
    tracing::warn!(%failure, group = %name, "a persistent subscription failed");
    Status::unavailable("the log is unavailable")
}

/// Another node has what is asked for.
pub(crate) fn not_leader(host: &str, port: u16) -> Status {
    let port = port.to_string();
    let trailers = [
        ("exception", "not-leader"),
        ("leader-endpoint-host", host),
        ("leader-endpoint-port", port.as_str()),
    ];
    exception(Code::NotFound, "Leader info available", &trailers)
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

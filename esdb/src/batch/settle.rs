//! One append of a call: from the client's words to its answer.

use super::Whole;
use crate::{
    append::{BYTES, Belief, Ended, write},
    names::{Closed, target},
    status,
    wire::{
        rpc,
        shared::{self, AllStreamPosition, StreamIdentifier},
        streams::{
            BatchAppendResp,
            batch_append_req::options::ExpectedStreamPosition as Wire,
            batch_append_resp::{
                ExpectedStreamPosition as Echo, Result as Outcome, Success,
                success::{CurrentRevisionOption, PositionOption},
            },
        },
    },
};
use commands::log::{AppendError, EventLog};
use domain::{Expected, NewEvent, Revision};
use prost::{Message, Name};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

/// An append that has ended.
pub(super) struct Settled {
    /// Its stream.
    pub(super) lane: Vec<u8>,
    /// Its bytes.
    pub(super) weight: usize,
    pub(super) answer: BatchAppendResp,
}

/// Appends, unless its time is over. One whose time runs out meanwhile may be written nevertheless, as in the original; who wants to know
/// sends the same event ids again.
pub(super) async fn settle(log: Arc<dyn EventLog>, closed: Closed, append: Whole) -> Settled {
    let (lane, weight) = (append.lane(), append.weight);
    let Whole { correlation, options, events, too_large, deadline, .. } = append;
    let (stream, expected) = (options.stream_identifier, options.expected_stream_position);
    let written = write_down(&*log, closed, stream.clone(), expected, events);
    let outcome = match deadline {
        _ if too_large => Err(failed(&AppendError::TooLarge { limit: BYTES })),
        Some(deadline) if deadline <= Instant::now() => Err(too_late()),
        Some(deadline) => timeout_at(deadline, written).await.unwrap_or_else(|_| Err(too_late())),
        None => written.await,
    };
    let answer = answer(correlation, stream, expected, outcome);
    Settled { lane, weight, answer }
}

/// The answer to an append that was not made in time.
pub(super) fn late(append: Whole) -> BatchAppendResp {
    let Whole { correlation, options, .. } = append;
    let (stream, expected) = (options.stream_identifier, options.expected_stream_position);
    answer(correlation, stream, expected, Err(too_late()))
}

fn too_late() -> Box<rpc::Status> {
    let status = Status::deadline_exceeded("Timeout");
    Box::new(detailed(status, Some(any(&shared::Timeout {}))))
}

fn answer(
    correlation: shared::Uuid,
    stream_identifier: Option<StreamIdentifier>,
    expected: Option<Wire>,
    outcome: Result<Success, Box<rpc::Status>>,
) -> BatchAppendResp {
    BatchAppendResp {
        correlation_id: Some(correlation),
        stream_identifier,
        expected_stream_position: expected.map(|expected| match expected {
            Wire::StreamPosition(revision) => Echo::StreamPosition(revision),
            Wire::NoStream(()) => Echo::NoStream(()),
            Wire::Any(()) => Echo::Any(()),
            Wire::StreamExists(()) => Echo::StreamExists(()),
        }),
        result: Some(match outcome {
            Ok(success) => Outcome::Success(success),
            Err(error) => Outcome::Error(*error),
        }),
    }
}

async fn write_down(
    log: &dyn EventLog,
    closed: Closed,
    stream: Option<StreamIdentifier>,
    expected: Option<Wire>,
    events: Vec<Result<NewEvent, Status>>,
) -> Result<Success, Box<rpc::Status>> {
    let plain = |failed: Status| Box::new(detailed(failed, None));
    let stream = target(stream, closed).map_err(plain)?;
    let belief = match expected {
        Some(Wire::StreamPosition(revision)) => Belief::Is(Expected::Exact(Revision(revision))),
        Some(Wire::NoStream(())) => Belief::Is(Expected::NoStream),
        Some(Wire::Any(())) => Belief::Is(Expected::Any),
        Some(Wire::StreamExists(())) => Belief::Exists,
        None => return Err(plain(status::invalid("an append says which revision it expects"))),
    };
    let events = events.into_iter().collect::<Result<Vec<_>, _>>().map_err(plain)?;
    match write(log, stream, belief, events).await {
        Ok(Ended::Written(revision, position)) => Ok(Success {
            current_revision_option: Some(match revision {
                Some(revision) => CurrentRevisionOption::CurrentRevision(revision.0),
                None => CurrentRevisionOption::NoStream(()),
            }),
            position_option: Some(match position {
                Some(at) => {
                    let at = AllStreamPosition { commit_position: at, prepare_position: at };
                    PositionOption::Position(at)
                }
                None => PositionOption::NoPosition(()),
            }),
        }),
        Ok(Ended::Conflict(actual)) => Err(Box::new(conflict(actual, expected))),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &AppendError) -> Box<rpc::Status> {
    let detail = match error {
        AppendError::TooLarge { limit } => {
            let max_append_size = u32::try_from(*limit).unwrap_or(u32::MAX);
            any(&shared::MaximumAppendSizeExceeded { max_append_size })
        }
        AppendError::Unavailable(_) => any(&shared::Timeout {}),
        _ => any(&shared::BadRequest { message: error.to_string() }),
    };
    Box::new(detailed(status::append_failed(error), Some(detail)))
}

fn conflict(actual: Option<Revision>, expected: Option<Wire>) -> rpc::Status {
    use shared::wrong_expected_version::{
        CurrentStreamRevisionOption as Current, ExpectedStreamPositionOption as Believed,
    };
    let detail = shared::WrongExpectedVersion {
        current_stream_revision_option: Some(match actual {
            Some(Revision(revision)) => Current::CurrentStreamRevision(revision),
            None => Current::CurrentNoStream(()),
        }),
        expected_stream_position_option: expected.map(|expected| match expected {
            Wire::StreamPosition(revision) => Believed::ExpectedStreamPosition(revision),
            Wire::NoStream(()) => Believed::ExpectedNoStream(()),
            Wire::Any(()) => Believed::ExpectedAny(()),
            Wire::StreamExists(()) => Believed::ExpectedStreamExists(()),
        }),
    };
    let message = "WrongExpectedVersion".to_owned();
    rpc::Status { code: Code::FailedPrecondition.into(), message, details: Some(any(&detail)) }
}

fn detailed(failed: Status, detail: Option<prost_types::Any>) -> rpc::Status {
    let message = failed.message().to_owned();
    let details = detail.unwrap_or_else(|| match failed.code() {
        Code::PermissionDenied => any(&shared::AccessDenied {}),
        _ => any(&shared::BadRequest { message: message.clone() }),
    });
    rpc::Status { code: failed.code().into(), message, details: Some(details) }
}

fn any<M: Message + Name>(message: &M) -> prost_types::Any {
    let type_url = format!("type.googleapis.com/{}", M::full_name());
    prost_types::Any { type_url, value: message.encode_to_vec() }
}

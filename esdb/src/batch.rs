//! `BatchAppend`: many appends over one call, each in chunks, each with an answer of its own.

use crate::{
    append::{BYTES, Belief, EVENTS, Ended, write},
    content::{Proposed, parse_id},
    names::{Closed, target},
    status,
    wire::{
        rpc,
        shared::{self, AllStreamPosition},
        streams::{
            BatchAppendReq, BatchAppendResp,
            batch_append_req::{Options, ProposedMessage, options::ExpectedStreamPosition as Wire},
            batch_append_resp::{
                ExpectedStreamPosition as Echo, Result as Outcome, Success,
                success::{CurrentRevisionOption, PositionOption},
            },
        },
    },
};
use commands::log::{AppendError, EventLog};
use domain::{Expected, NewEvent, Revision, ids::UserId};
use prost::{Message, Name};
use std::collections::HashMap;
use tonic::{Code, Status};
use uuid::Uuid;

/// Appends of one call that may be under way at the same time.
const OPEN: usize = 256;

/// The appends of one call whose last chunk has not come yet.
pub(crate) struct Batches {
    by: UserId,
    closed: Closed,
    open: HashMap<Uuid, Open>,
    /// Bytes in all of them.
    weight: usize,
}

struct Open {
    options: Options,
    events: Vec<Result<NewEvent, Status>>,
    weight: usize,
}

impl Batches {
    pub(crate) fn of(by: UserId, closed: Closed) -> Self {
        Self { by, closed, open: HashMap::new(), weight: 0 }
    }

    /// Takes a chunk; the answer when it was the last of its append.
    ///
    /// # Errors
    /// When the call as a whole makes no sense, or is too much at once.
    pub(crate) async fn take(
        &mut self,
        log: &dyn EventLog,
        chunk: BatchAppendReq,
    ) -> Result<Option<BatchAppendResp>, Status> {
        let BatchAppendReq { correlation_id, options, proposed_messages, is_final } = chunk;
        let Some(wire_id) = correlation_id else {
            return Err(status::invalid("an append has no correlation id"));
        };
        let id = parse_id(&wire_id)?;
        if let Some(options) = options {
            let open = Open { options, events: Vec::new(), weight: 0 };
            if self.open.len() == OPEN || self.open.insert(id, open).is_some() {
                return Err(status::invalid("an append begins twice, or too many are open"));
            }
        }
        let Some(open) = self.open.get_mut(&id) else {
            return Err(status::invalid("an append begins with its options"));
        };
        for message in proposed_messages {
            let proposed = Proposed::from(message);
            open.weight += proposed.weight();
            self.weight += proposed.weight();
            if self.weight > BYTES || open.events.len() == EVENTS {
                return Err(status::append_failed(&AppendError::TooLarge { limit: BYTES }));
            }
            open.events.push(proposed.event(&self.by));
        }
        if !is_final {
            return Ok(None);
        }
        let Some(Open { options, events, weight }) = self.open.remove(&id) else { return Ok(None) };
        self.weight -= weight;
        let echo = options.expected_stream_position;
        let stream_identifier = options.stream_identifier.clone();
        let outcome = match settle(log, self.closed, options, events).await {
            Ok(success) => Outcome::Success(success),
            Err(error) => Outcome::Error(*error),
        };
        Ok(Some(BatchAppendResp {
            correlation_id: Some(wire_id),
            stream_identifier,
            expected_stream_position: echo.map(|expected| match expected {
                Wire::StreamPosition(revision) => Echo::StreamPosition(revision),
                Wire::NoStream(()) => Echo::NoStream(()),
                Wire::Any(()) => Echo::Any(()),
                Wire::StreamExists(()) => Echo::StreamExists(()),
            }),
            result: Some(outcome),
        }))
    }
}

async fn settle(
    log: &dyn EventLog,
    closed: Closed,
    options: Options,
    events: Vec<Result<NewEvent, Status>>,
) -> Result<Success, Box<rpc::Status>> {
    let plain = |failed: Status| Box::new(detailed(failed, None));
    let stream = target(options.stream_identifier, closed).map_err(plain)?;
    let expected = options.expected_stream_position;
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
        Err(error) => {
            let detail = match &error {
                AppendError::TooLarge { limit } => {
                    let max_append_size = u32::try_from(*limit).unwrap_or(u32::MAX);
                    any(&shared::MaximumAppendSizeExceeded { max_append_size })
                }
                AppendError::Unavailable(_) => any(&shared::Timeout {}),
                _ => any(&shared::BadRequest { message: error.to_string() }),
            };
            Err(Box::new(detailed(status::append_failed(&error), Some(detail))))
        }
    }
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

impl From<ProposedMessage> for Proposed {
    fn from(message: ProposedMessage) -> Self {
        let ProposedMessage { id, metadata, custom_metadata, data } = message;
        Self { id, metadata, custom_metadata, data }
    }
}

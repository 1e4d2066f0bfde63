//! `Append`: options, then events, then one answer.

use crate::{
    content::Proposed,
    names::{Closed, target},
    status,
    wire::{
        shared::Empty,
        streams::{
            AppendReq, AppendResp,
            append_req::{self, Content, Options, options::ExpectedStreamRevision as Wire},
            append_resp::{
                Position, Result as Outcome, Success, WrongExpectedVersion,
                success::{CurrentRevisionOption, PositionOption},
                wrong_expected_version as wrong,
            },
        },
    },
};
use commands::{
    log::{Append, AppendError, Direction, EventLog},
    pulse,
};
use domain::{Expected, NewEvent, Revision, StreamId, ids::UserId};
use futures::{Stream, StreamExt};
use tonic::Status;

/// Events of one append.
pub(crate) const EVENTS: usize = 10_000;
/// Bytes of one append.
pub(crate) const BYTES: usize = 64 << 20;

/// What a writer believes about the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belief {
    /// What the log can check by itself.
    Is(Expected),
    /// It has an event.
    Exists,
}

/// How an append ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    /// Revision of the stream's last event, and the position when something was written.
    Written(Option<Revision>, Option<u64>),
    /// The stream is at another revision than believed.
    Conflict(Option<Revision>),
}

/// Takes a whole request in and answers it.
pub(crate) async fn append(
    log: &dyn EventLog,
    by: &UserId,
    closed: Closed,
    mut request: impl Stream<Item = Result<AppendReq, Status>> + Unpin,
) -> Result<AppendResp, Status> {
    let first = request.next().await.transpose()?.and_then(|message| message.content);
    let Some(Content::Options(Options { stream_identifier, expected_stream_revision })) = first
    else {
        return Err(status::invalid("an append begins with its options"));
    };
    let stream = target(stream_identifier, closed)?;
    let belief = belief(expected_stream_revision)?;
    let (mut events, mut weight) = (Vec::new(), 0);
    while let Some(message) = request.next().await.transpose()? {
        let Some(Content::ProposedMessage(message)) = message.content else {
            return Err(status::invalid("after its options an append holds events"));
        };
        let proposed = Proposed::from(message);
        weight += proposed.weight();
        if weight > BYTES || events.len() == EVENTS {
            return Err(status::append_failed(&AppendError::TooLarge { limit: BYTES }));
        }
        events.push(proposed.event(by)?);
    }
    let ended = write(log, stream, belief, events).await.map_err(|e| status::append_failed(&e))?;
    Ok(AppendResp { result: Some(answer(ended, belief)) })
}

/// Appends, and tells a conflict from a failure.
pub(crate) async fn write(
    log: &dyn EventLog,
    stream: StreamId,
    belief: Belief,
    events: Vec<NewEvent>,
) -> Result<Ended, AppendError> {
    let ended = checked(log, stream, belief, events).await;
    pulse::ESDB_APPENDS.add(match &ended {
        Ok(Ended::Written(..)) => "written",
        Ok(Ended::Conflict(_)) => "conflict",
        Err(_) => "refused",
    });
    ended
}

async fn checked(
    log: &dyn EventLog,
    stream: StreamId,
    belief: Belief,
    events: Vec<NewEvent>,
) -> Result<Ended, AppendError> {
    let expected = match belief {
        Belief::Is(expected) if !events.is_empty() => expected,
        _ => {
            let unavailable = |error: commands::log::ReadError| AppendError::Unavailable(error.0);
            let last = last(log, &stream).await.map_err(unavailable)?;
            // Once a stream exists, it does for ever.
            let fits = match belief {
                Belief::Exists => last.is_some(),
                Belief::Is(Expected::Any) => true,
                Belief::Is(Expected::NoStream) => last.is_none(),
                Belief::Is(Expected::Exact(revision)) => last == Some(revision),
            };
            if !fits {
                return Ok(Ended::Conflict(last));
            }
            if events.is_empty() {
                return Ok(Ended::Written(last, None));
            }
            Expected::Any
        }
    };
    match log.append(Append { stream, expected, events }).await {
        Ok(appended) => Ok(Ended::Written(Some(appended.revision), Some(appended.position.0))),
        Err(AppendError::WrongRevision { actual, .. }) => Ok(Ended::Conflict(actual)),
        Err(error) => Err(error),
    }
}

/// Revision of a stream's last event.
pub(crate) async fn last(
    log: &dyn EventLog,
    stream: &StreamId,
) -> Result<Option<Revision>, commands::log::ReadError> {
    // The highest number that a store with signed numbers knows.
    let end = Revision(i64::MAX.cast_unsigned());
    let read = log.read(stream, end, Direction::Backward, 1).await?;
    Ok(read.first().map(|event| event.revision))
}

fn belief(wire: Option<Wire>) -> Result<Belief, Status> {
    Ok(match wire {
        Some(Wire::Any(_)) => Belief::Is(Expected::Any),
        Some(Wire::NoStream(_)) => Belief::Is(Expected::NoStream),
        Some(Wire::Revision(revision)) => Belief::Is(Expected::Exact(Revision(revision))),
        Some(Wire::StreamExists(_)) => Belief::Exists,
        None => return Err(status::invalid("an append says which revision it expects")),
    })
}

fn answer(ended: Ended, belief: Belief) -> Outcome {
    match ended {
        Ended::Written(revision, position) => Outcome::Success(Success {
            current_revision_option: Some(match revision {
                Some(revision) => CurrentRevisionOption::CurrentRevision(revision.0),
                None => CurrentRevisionOption::NoStream(Empty {}),
            }),
            position_option: Some(match position {
                Some(at) => {
                    PositionOption::Position(Position { commit_position: at, prepare_position: at })
                }
                None => PositionOption::NoPosition(Empty {}),
            }),
        }),
        Ended::Conflict(actual) => Outcome::WrongExpectedVersion(conflict(actual, belief)),
    }
}

/// In both ways in which the message has been worded.
fn conflict(actual: Option<Revision>, belief: Belief) -> WrongExpectedVersion {
    use wrong::{
        CurrentRevisionOption as Current, CurrentRevisionOption2060 as OldCurrent,
        ExpectedRevisionOption as Believed, ExpectedRevisionOption2060 as OldBelieved,
    };
    let (current, old_current) = match actual {
        Some(Revision(n)) => (Current::CurrentRevision(n), OldCurrent::CurrentRevision2060(n)),
        None => (Current::CurrentNoStream(Empty {}), OldCurrent::NoStream2060(Empty {})),
    };
    let (believed, old_believed) = match belief {
        Belief::Is(Expected::Exact(Revision(n))) => {
            (Believed::ExpectedRevision(n), Some(OldBelieved::ExpectedRevision2060(n)))
        }
        Belief::Is(Expected::Any) => {
            (Believed::ExpectedAny(Empty {}), Some(OldBelieved::Any2060(Empty {})))
        }
        Belief::Is(Expected::NoStream) => (Believed::ExpectedNoStream(Empty {}), None),
        Belief::Exists => (
            Believed::ExpectedStreamExists(Empty {}),
            Some(OldBelieved::StreamExists2060(Empty {})),
        ),
    };
    WrongExpectedVersion {
        current_revision_option: Some(current),
        current_revision_option_20_6_0: Some(old_current),
        expected_revision_option: Some(believed),
        expected_revision_option_20_6_0: old_believed,
    }
}

impl From<append_req::ProposedMessage> for Proposed {
    fn from(message: append_req::ProposedMessage) -> Self {
        let append_req::ProposedMessage { id, metadata, custom_metadata, data } = message;
        Self { id, metadata, custom_metadata, data }
    }
}

//! Recognising an append that was made before.

use super::{Append, AppendError, Appended};
use domain::{Position, Revision, StreamId};
use uuid::Uuid;

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its stream.
    pub stream: StreamId,
    /// Its revision.
    pub revision: Revision,
    /// Its position.
    pub position: Position,
}

/// What the log knows of an append's event ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    /// None of them.
    Never,
    /// All of them, in this order on this stream: the first answer.
    Answered(Appended),
    /// Some of them, or all of them elsewhere.
    Otherwise,
}

impl Earlier {
    /// Looks every id of `append` up with `find`.
    pub(super) fn of(append: &Append, find: impl Fn(&Uuid) -> Option<Place>) -> Self {
        let mut places = append.events.iter().map(|event| find(&event.id));
        let Some(Some(first)) = places.next() else {
            return if places.any(|place| place.is_some()) { Self::Otherwise } else { Self::Never };
        };
        let (stream, mut last) = (first.stream, (first.revision, first.position));
        if stream != append.stream {
            return Self::Otherwise;
        }
        for place in places {
            match place {
                Some(next) if next.stream == stream && next.revision.0 == last.0.0 + 1 => {
                    last = (next.revision, next.position);
                }
                _ => return Self::Otherwise,
            }
        }
        Self::Answered(Appended { revision: last.0, position: last.1 })
    }

    /// The answer, when what `find` knew is all there is to know.
    pub(super) fn answer(self) -> Option<Result<Appended, AppendError>> {
        match self {
            Self::Never => None,
            Self::Answered(appended) => Some(Ok(appended)),
            Self::Otherwise => Some(Err(AppendError::IdTaken)),
        }
    }
}

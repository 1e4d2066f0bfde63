//! What surrounds an event in the log: stream, revision, position, metadata.

use crate::ids::UserId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{fmt, str::FromStr, sync::Arc};
use uuid::Uuid;

/// Name of a stream: `category-id`. The category holds no dash, the id may.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// The stream of the aggregate `D` with this id.
    pub fn of<D: crate::Decider>(id: &D::Id) -> Self {
        Self(format!("{}-{id}", D::CATEGORY).into())
    }

    /// The part before the first dash.
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(category, _)| category)
    }

    /// The part after the first dash.
    pub fn key(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, key)| key)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not `category-id`, or is longer than 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stream name: it has to be category-id, at most 512 bytes")]
pub struct NotAStream;

impl FromStr for StreamId {
    type Err = NotAStream;

    fn from_str(text: &str) -> Result<Self, NotAStream> {
        match text.split_once('-') {
            Some((category, key))
                if !category.is_empty()
                    && !key.is_empty()
                    && text.len() <= 512
                    && !text.contains('\0') =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(NotAStream),
        }
    }
}

impl TryFrom<String> for StreamId {
    type Error = NotAStream;
    fn try_from(text: String) -> Result<Self, NotAStream> {
        text.parse()
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.0.as_ref().to_owned()
    }
}

/// Place of an event in its stream, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// Place of an event in the whole log, from 1, without gaps. 0 is the place before the first event.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The place before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the writer believes about the stream it appends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing; append wherever the stream ends.
    Any,
    /// The stream has no event yet. Doubles as a reservation of its name.
    NoStream,
    /// The last event of the stream has this revision.
    Exact(Revision),
}

/// Who did it, and why it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Who acted; [`UserId::system`] when nobody did.
    pub actor: UserId,
    /// Whose identity the actor had assumed (impersonation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<UserId>,
    /// The request that everything goes back to.
    #[serde(rename = "correlation_id")]
    pub correlation: Uuid,
    /// The event or command that directly caused this one.
    #[serde(rename = "causation_id", default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// W3C trace context of what wrote it: of the span where traces are exported, else of the request, if it carried one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Metadata {
    /// Metadata of something the system does on its own account.
    pub fn system(correlation: Uuid) -> Self {
        Self {
            actor: UserId::system(),
            on_behalf_of: None,
            correlation,
            causation: None,
            traceparent: None,
        }
    }
}

/// An event on its way into the log.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Unique for ever; appending the same ids to the same stream again is a no-op with the first answer.
    pub id: Uuid,
    /// Variant name of the event.
    pub kind: Box<str>,
    /// The variant's fields as JSON text.
    pub data: Box<RawValue>,
    /// [`Metadata`] as JSON text.
    pub metadata: Box<RawValue>,
}

/// An event as the log holds it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Unique for ever.
    pub id: Uuid,
    /// Where it was appended.
    pub stream: StreamId,
    /// Place in the stream.
    pub revision: Revision,
    /// Place in the log.
    pub position: Position,
    /// Variant name of the event.
    pub kind: Box<str>,
    /// The variant's fields, the bytes as written.
    pub data: Box<RawValue>,
    /// [`Metadata`], the bytes as written.
    pub metadata: Box<RawValue>,
    /// When the log took it; never goes backwards along positions.
    pub recorded_at: DateTime<Utc>,
}

impl Recorded {
    /// The parsed metadata.
    pub fn metadata(&self) -> Result<Metadata, serde_json::Error> {
        serde_json::from_str(self.metadata.get())
    }

    /// Bytes this event weighs in a buffer (payload, metadata and a flat overhead).
    pub fn weight(&self) -> usize {
        self.data.get().len() + self.metadata.get().len() + self.stream.as_str().len() + 160
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_splits_at_its_first_dash() {
        let stream: Result<StreamId, _> = "run-6f1c-77".parse();
        assert_eq!(stream.as_ref().map(|s| (s.category(), s.key())), Ok(("run", "6f1c-77")));
    }

    #[test]
    fn names_without_both_parts_are_refused() {
        for text in ["", "run", "-x", "run-", "a\0-b"] {
            assert_eq!(text.parse::<StreamId>(), Err(NotAStream), "{text:?}");
        }
    }
}

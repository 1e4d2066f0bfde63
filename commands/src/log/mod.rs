//! The log: append-only streams with one gapless order over all of them.

pub mod bench;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod copy;
pub mod eventstore;
mod idempotence;
mod limits;
pub mod memory;
pub mod postgres;
mod subscription;
mod tail;

use crate::trace::{self, Traceparent};
use domain::{Expected, NewEvent, Position, Recorded, Revision, StreamId};
use futures::{future::BoxFuture, stream::BoxStream};
use std::sync::Arc;
use tracing::Span;

/// Events in order, shared between everybody who reads them.
pub type Batch = Vec<Arc<Recorded>>;

/// One atomic write to one stream.
#[derive(Debug, Clone)]
pub struct Append {
    /// Where to.
    pub stream: StreamId,
    /// What the writer believes the stream looks like.
    pub expected: Expected,
    /// At least one event.
    pub events: Vec<NewEvent>,
}

impl Append {
    /// The span of this write to a log in `system`; none outside of any trace, where it would be one all by itself.
    fn span(&self, system: &'static str) -> Span {
        if Traceparent::current().is_none() {
            return Span::none();
        }
        tracing::info_span!(
            target: trace::TARGET,
            "append",
            otel.name = format!("append {}", self.stream.category()),
            otel.kind = "client",
            db.system.name = system,
            db.operation.name = "append",
            db.operation.batch.size = i64::try_from(self.events.len()).unwrap_or(i64::MAX),
            annals.stream.category = self.stream.category(),
        )
    }
}

/// Where a write came to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Revision of the last event written.
    pub revision: Revision,
    /// Position of the last event written.
    pub position: Position,
}

/// Most bytes of one event, payload and metadata together.
pub const LARGEST_EVENT: usize = 16 << 20;

/// Why nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Another writer was faster, or the stream is not what the caller believes.
    #[error("stream {stream} is at revision {actual:?}, not as expected")]
    WrongRevision {
        /// The stream in question.
        stream: StreamId,
        /// Its last revision; `None` when it has no event.
        actual: Option<Revision>,
    },
    /// An event with this id already stands elsewhere (another stream, or only a part of the batch).
    #[error("an event id of this write is already used elsewhere in the log")]
    IdTaken,
    /// The write itself can never succeed (no events, too large, not storable text).
    #[error("not a possible write: {0}")]
    Invalid(&'static str),
    /// An event is larger than the log takes.
    #[error("an event is larger than {limit} bytes")]
    TooLarge {
        /// Most bytes of payload and metadata together.
        limit: usize,
    },
    /// The log cannot be reached, or did not answer in time. Whether the write happened may be unknown: repeat it with
    /// the same event ids.
    #[error("the log is unavailable: {0}")]
    Unavailable(Arc<str>),
}

/// Why nothing could be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the log cannot be read: {0}")]
pub struct ReadError(pub Arc<str>);

/// Which way to read a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the given revision towards the end.
    Forward,
    /// From the given revision towards the beginning.
    Backward,
}

/// What a reader of the whole log wants to see. Empty lists mean "any"; all given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these categories.
    pub categories: Vec<Box<str>>,
    /// Only these event types.
    pub kinds: Vec<Box<str>>,
}

impl Filter {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only events of these categories.
    pub fn categories(names: &[&str]) -> Self {
        Self { categories: names.iter().map(|&n| n.into()).collect(), kinds: Vec::new() }
    }

    /// Only events of these types.
    #[must_use]
    pub fn kinds(mut self, names: &[&str]) -> Self {
        self.kinds = names.iter().map(|&n| n.into()).collect();
        self
    }

    /// Whether this event passes.
    pub fn admits(&self, event: &Recorded) -> bool {
        (self.categories.is_empty()
            || self.categories.iter().any(|c| **c == *event.stream.category()))
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}

/// A page of the whole log.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The events that passed the filter, in order.
    pub events: Batch,
    /// Everything up to here has been looked at: where the next page begins. Moves on even when nothing passed.
    pub scanned: Position,
}

/// What a live subscription brings.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Events that passed the filter, in order; may be empty.
    pub events: Batch,
    /// Everything up to here has been delivered or did not pass the filter.
    pub position: Position,
}

/// The log. Object-safe; speaks JSON, not domain types.
///
/// Laws (held for every backend by the module `contract`): positions are gapless and handed out in commit order; a reader that
/// has seen position *n* has seen everything below it that will ever exist; appending the same event ids to the same
/// stream again answers as the first time, whatever the expected revision; a refused append writes nothing.
pub trait EventLog: Send + Sync {
    /// Writes atomically; answers after the events are durable.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>>;

    /// Up to `limit` events of one stream, `from` inclusive. An unknown stream reads as empty.
    fn read<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'a, Result<Batch, ReadError>>;

    /// As [`Self::read`], for those who do not know what the events weigh: it may end early, with at least one event and not much more than
    /// 16 MiB. Only an empty page is the end.
    fn read_some<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        self.read(stream, from, direction, limit)
    }

    /// A page of the whole log: events after `after` that pass `filter`. Looks at no more than `limit` events.
    fn read_all<'a>(
        &'a self,
        after: Position,
        limit: usize,
        filter: &'a Filter,
    ) -> BoxFuture<'a, Result<Page, ReadError>>;

    /// Everything after `after` that passes `filter`: first what is there, then what comes, with neither gap nor
    /// duplicate at the seam. Never ends by itself; survives restarts of the backend. A slow subscriber holds up nobody.
    fn subscribe(&self, after: Position, filter: Filter) -> BoxStream<'static, Delivery>;

    /// One stream from revision `from`: first what is there, then what comes, no gap, no duplicate. Never ends by itself.
    fn follow(&self, stream: StreamId, from: Revision) -> BoxStream<'static, Batch>;

    /// Position of the last event.
    fn head(&self) -> BoxFuture<'_, Result<Position, ReadError>>;
}

/// Whether a stream that ends at `actual` is what the writer expects.
fn fits(expected: Expected, actual: Option<Revision>) -> bool {
    match expected {
        Expected::Any => true,
        Expected::NoStream => actual.is_none(),
        Expected::Exact(revision) => actual == Some(revision),
    }
}

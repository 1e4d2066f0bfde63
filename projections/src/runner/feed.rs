//! Where events come from. The composition root backs it with the log.

use crate::Projection;
use domain::{Position, Recorded};
use futures::{future::BoxFuture, stream::BoxStream};
use std::sync::Arc;

/// Events in order, shared with everybody else who reads them.
pub type Batch = Vec<Arc<Recorded>>;

/// Which events a read model wants. Empty lists mean "any"; both conditions must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Categories of the streams.
    pub categories: &'static [&'static str],
    /// Types of the events.
    pub kinds: &'static [&'static str],
}

impl Interest {
    /// What this read model wants.
    pub fn of(projection: &dyn Projection) -> Self {
        Self { categories: projection.categories(), kinds: projection.kinds() }
    }

    /// Whether it wants this event.
    pub fn admits(&self, event: &Recorded) -> bool {
        (self.categories.is_empty() || self.categories.contains(&event.stream.category()))
            && (self.kinds.is_empty() || self.kinds.contains(&&*event.kind))
    }
}

/// What a subscription brings.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Events of interest, in order; may be empty.
    pub events: Batch,
    /// Everything up to here has been delivered or is of no interest.
    pub position: Position,
}

/// A page of the log.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Events of interest, in order; may be empty.
    pub events: Batch,
    /// Everything up to here has been looked at: where the next page begins.
    pub scanned: Position,
}

/// Why nothing could be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the log cannot be read: {0}")]
pub struct FeedError(pub Arc<str>);

/// The log as read models see it.
pub trait Feed: Send + Sync + 'static {
    /// Everything of interest after `after`: first what is there, then what comes, no gap and no duplicate at the seam.
    /// Does not end by itself.
    fn subscribe(&self, after: Position, interest: Interest) -> BoxStream<'static, Delivery>;

    /// The events of interest among the next `limit` events after `after`.
    fn read_all(
        &self,
        after: Position,
        limit: usize,
        interest: Interest,
    ) -> BoxFuture<'_, Result<Page, FeedError>>;

    /// Position of the last event.
    fn head(&self) -> BoxFuture<'_, Result<Position, FeedError>>;
}

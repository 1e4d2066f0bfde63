//! Datasources as apps and their owners use them.

mod links;

pub use links::links;

use crate::log::{EventLog, Filter as Events};
use domain::{
    Decider, Position, Recorded, codec,
    document::{Document, Event, Filter, Labels},
    ids::{DocumentId, KnowledgeBaseId, UserId},
};
use futures::{StreamExt, future::BoxFuture};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::timeout;

/// The search in datasources.
pub trait DatasourceSearch: Send + Sync {
    /// Those of these that are datasources of `owner` and can be searched here, in the same order.
    fn known<'a>(
        &'a self,
        owner: &'a UserId,
        among: &'a [KnowledgeBaseId],
    ) -> BoxFuture<'a, Result<Vec<KnowledgeBaseId>, SearchUnavailable>>;

    /// What they say, best first. They have to be known.
    fn search<'a>(
        &'a self,
        datasources: &'a [KnowledgeBaseId],
        question: Question<'a>,
    ) -> BoxFuture<'a, Result<Vec<Excerpt>, SearchUnavailable>>;
}

/// What is asked of datasources.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The words.
    pub text: &'a str,
    /// Which entries count.
    pub filter: Option<&'a Filter>,
    /// What meaning counts beside the words, from 0 to 1; `None` leaves it to the search.
    pub ratio: Option<f32>,
    /// Excerpts at most.
    pub limit: usize,
}

/// A part of an entry that answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Excerpt {
    /// The text.
    pub text: String,
    /// Where it is from: the name of a text or file, the address of a page.
    pub source: String,
    /// The page it begins on, from 1, in formats that have pages.
    pub page: Option<i32>,
    /// About 0 to 1.
    pub score: f64,
    /// Cosine similarity with the question, where both have a vector.
    pub similarity: Option<f64>,
    /// What is said of the entry, its source included.
    pub metadata: Labels,
}

/// Datasources cannot be searched now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("datasources do not answer: {0}")]
pub struct SearchUnavailable(pub Arc<str>);

/// Waits until every one of these documents is ingested, given up or deleted, for what happens after this position; the
/// position of the last end. `None` when it takes longer.
pub async fn ended(
    log: &dyn EventLog,
    after: Position,
    documents: &[DocumentId],
    within: Duration,
) -> Option<Position> {
    let mut open: HashSet<&str> = documents.iter().map(DocumentId::as_str).collect();
    let ends = ["DocumentIngested", "IngestionFailed", "DocumentDeleted"];
    let over = async {
        let wanted = Events::categories(&[Document::CATEGORY]).kinds(&ends);
        let mut events = log.subscribe(after, wanted);
        let mut last = after;
        while !open.is_empty() {
            for event in events.next().await?.events {
                if is_end(&event) && open.remove(event.stream.key()) {
                    last = event.position;
                }
            }
        }
        Some(last)
    };
    timeout(within, over).await.ok().flatten()
}

/// Whether nothing follows by itself.
fn is_end(event: &Recorded) -> bool {
    match codec::decode::<Event>(&event.kind, &event.data) {
        Ok(Event::IngestionFailed { retry_in_ms, .. }) => retry_in_ms.is_none(),
        Ok(Event::DocumentIngested { .. } | Event::DocumentDeleted {}) => true,
        Ok(
            Event::DocumentUploaded { .. }
            | Event::IngestionStarted { .. }
            | Event::PassagesStored { .. }
            | Event::RereadRequested {},
        )
        | Err(_) => false,
    }
}

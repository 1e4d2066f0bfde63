//! Ingests documents: reads the file, cuts its text, embeds the passages, stores them in the log.
//!
//! The log brings what is new, a sweep what was left behind: by a node that died, by a failure that may have passed.
//! Both only name documents; whether there is work is decided by claiming the document with an event. So a kill at any
//! moment leaves a document that the next sweep takes up, and no attempt but the last leaves a trace in the search.

mod attempt;

use crate::{
    effects::{
        blobs::Blobs,
        chunk::Sizes,
        embedder::{Embedder, VectorMemo},
        extract::reader::Reader,
        fetch::Fetcher,
    },
    execute::{Failure, Loaded},
    intake::{Due, settle},
    log::{EventLog, Filter},
    pulse, trace,
};
use attempt::Outcome;
use domain::{
    Decider, Metadata, Position,
    document::{self, Document, Stage},
    ids::{DocumentId, NodeId},
};
use futures::{StreamExt, future::BoxFuture};
use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

/// Documents that one sweep takes up at most.
const SWEEP: usize = 64;
/// Pause after a sweep that found as many: there are more.
const FULL: Duration = Duration::from_millis(200);
/// Documents whose streams one sweep brings up to what was decided, at most.
const SETTLED: usize = 512;
/// Files of so many bytes are read one less at a time than others, so that there is always a place for those that take
/// a moment.
const LARGE: u64 = 512 << 10;

/// Which nodes are at work.
pub trait Nodes: Send + Sync {
    /// Whether this process still runs. `false` only when it certainly does not, or has lost its lease.
    fn is_alive(&self, node: NodeId) -> BoxFuture<'_, bool>;
}

/// The documents whose ingestion has not ended, from a read model that may lag.
pub trait Backlog: Send + Sync {
    /// Up to `limit` documents that wait, are due after a failure, or are claimed, oldest first.
    fn unfinished(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DocumentId>, BacklogError>>;

    /// Up to `limit` decisions on uploads and knowledge bases that documents' own streams do not know of, oldest first.
    /// As a rule whoever decided tells them at once.
    fn due(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Due>, BacklogError>>;

    /// Returns when the search has read up to here, or does not get there soon. Whoever has much to store goes no faster
    /// than the search, or else what others store meanwhile would be found only after all of it.
    fn searched(&self, up_to: Position) -> BoxFuture<'_, ()>;
}

/// The backlog cannot be read; the next sweep will try again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the backlog cannot be read: {0}")]
pub struct BacklogError(pub Arc<str>);

/// How much at once, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Documents read at the same time.
    pub documents: usize,
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// Waits before the second and the third attempt.
    pub backoff: [Duration; 2],
    /// Time between two sweeps.
    pub sweep: Duration,
    /// Size of passages.
    pub sizes: Sizes,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            documents: 2,
            file_bytes: 100 << 20,
            backoff: [Duration::from_secs(10), Duration::from_secs(60)],
            sweep: Duration::from_secs(5),
            sizes: Sizes::default(),
        }
    }
}

/// The reactor. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The files.
    pub blobs: Blobs,
    /// Who reads them.
    pub reader: Reader,
    /// Who fetches pages.
    pub fetcher: Fetcher,
    /// Where vectors come from.
    pub embedder: Arc<dyn Embedder>,
    /// Where they are kept.
    pub memo: Arc<dyn VectorMemo>,
    /// Who is at work.
    pub nodes: Arc<dyn Nodes>,
    /// What is left to do.
    pub backlog: Arc<dyn Backlog>,
    /// This process.
    pub node: NodeId,
    /// How much at once.
    pub limits: Limits,
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What the tasks of one node share.
struct Desk {
    /// Documents that this node works on right now.
    in_hand: Mutex<HashSet<DocumentId>>,
    /// Places for large files.
    large: Semaphore,
    /// How many were put off since the last sweep because those were taken.
    put_off: AtomicUsize,
}

impl Ingest {
    /// Works until `stop`; then gives up what is in hand, which another process takes over. `after` is a position of
    /// the log that the backlog reflects; the start of the log is always right.
    pub async fn run(self, after: Position, stop: CancellationToken) {
        let documents = self.limits.documents.max(1);
        let desk = Arc::new(Desk {
            in_hand: Mutex::default(),
            large: Semaphore::new(documents.saturating_sub(1).max(1)),
            put_off: AtomicUsize::new(0),
        });
        let places = Arc::new(Semaphore::new(documents));
        let mut tasks = JoinSet::new();
        let news = Filter::categories(&[Document::CATEGORY])
            .kinds(&["DocumentUploaded", "RereadRequested"]);
        let mut news = self.log.subscribe(after, news);
        let mut sweep = tokio::time::interval(self.limits.sweep.max(Duration::from_millis(10)));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let found: Vec<DocumentId> = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(_) = tasks.join_next() => {
                    // There may be a place for it now.
                    if desk.large.available_permits() > 0 && desk.put_off.load(Relaxed) > 0 {
                        sweep.reset_immediately();
                    }
                    continue;
                }
                _ = sweep.tick() => {
                    let (found, put_off) = (self.swept().await, desk.put_off.swap(0, Relaxed));
                    if found.len() >= SWEEP && put_off < SWEEP / 2 {
                        sweep.reset_after(FULL);
                    }
                    found
                }
                Some(delivery) = news.next() => {
                    delivery.events.iter().map(|event| event.stream.key().into()).collect()
                }
            };
            for document in found {
                // Waiting here is what bounds the work: the log is the queue.
                let place = tokio::select! {
                    () = stop.cancelled() => return,
                    place = places.clone().acquire_owned() => place,
                };
                let Ok(place) = place else { return };
                let Some(held) = desk.take(&document) else { continue };
                let (ingest, desk) = (self.clone(), desk.clone());
                tasks.spawn(async move {
                    let _held = (held, place);
                    if let Err(error) = ingest.ingest(&desk, &document).await {
                        tracing::warn!(%document, %error, "ingestion will be taken up again");
                    }
                });
            }
        }
    }

    async fn swept(&self) -> Vec<DocumentId> {
        match self.backlog.due(SETTLED).await {
            Ok(due) => {
                let metadata = Metadata::system(Uuid::now_v7());
                if let Err(error) = settle(&*self.log, due, &metadata).await {
                    tracing::warn!(%error, "uploads will be taken up again");
                }
            }
            Err(error) => tracing::warn!(%error, "no sweep for uploads"),
        }
        match self.backlog.unfinished(SWEEP).await {
            Ok(documents) => documents,
            Err(error) => {
                tracing::warn!(%error, "no sweep for unfinished documents");
                Vec::new()
            }
        }
    }

    /// Claims the document and works on it, if there is work and nobody else does it.
    async fn ingest(&self, desk: &Desk, id: &DocumentId) -> Result<(), Failure> {
        let mut document = Loaded::<Document>::load(&*self.log, id).await?;
        let instead_of = match document.state().stage {
            // Nobody else holds it under this node's id, so the claim of an earlier task of this process is void.
            Stage::Ingesting { node, .. } if node == self.node => Some(node),
            Stage::Ingesting { node, .. } if self.nodes.is_alive(node).await => return Ok(()),
            Stage::Ingesting { node, .. } => Some(node),
            Stage::Waiting => None,
            Stage::Unknown | Stage::Ingested | Stage::Failed | Stage::Deleted => return Ok(()),
        };
        let size = document.state().file.as_ref().map_or(0, |file| file.size);
        let large = (size >= LARGE).then(|| desk.large.try_acquire()).transpose();
        let Ok(_large) = large else {
            desk.put_off.fetch_add(1, Relaxed);
            return Ok(());
        };
        let begin = document::Command::Begin { node: self.node, instead_of };
        match attempt::begin(self, &mut document, begin).await? {
            Some(mut attempt) => {
                let begun = Instant::now();
                let span = tracing::info_span!(
                    target: trace::TARGET,
                    "ingest",
                    otel.kind = "consumer",
                    annals.document.id = %id,
                );
                let outcome = attempt.perform().instrument(span).await?;
                pulse::INGESTION_SECONDS.time(outcome.name(), begun.elapsed());
                match outcome {
                    Outcome::Done => tracing::info!(document = %id, "ingested"),
                    Outcome::Failed(reason) => {
                        tracing::info!(document = %id, reason, "not ingested")
                    }
                    Outcome::Lost => {
                        tracing::info!(document = %id, "ingestion went to somebody else")
                    }
                }
            }
            None => tracing::debug!(document = %id, "nothing to ingest"),
        }
        Ok(())
    }
}

impl Desk {
    /// Marks the document as in hand until the answer is dropped; `None` when it is in hand already.
    fn take(self: &Arc<Self>, document: &DocumentId) -> Option<InHand> {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand
            .insert(document.clone())
            .then(|| InHand { desk: self.clone(), document: document.clone() })
    }
}

struct InHand {
    desk: Arc<Desk>,
    document: DocumentId,
}

impl Drop for InHand {
    fn drop(&mut self) {
        let mut in_hand = self.desk.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.remove(&self.document);
    }
}

#[cfg(test)]
mod tests;

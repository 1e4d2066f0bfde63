//! The runner: one task per read model takes events in order and commits rows and checkpoint together.
//!
//! Any number of nodes may run the same read models on the same tables. A transaction begins by locking the
//! checkpoint's row; events at or below it were applied by another node and are skipped.

mod failure;
mod feed;
mod storable;
mod task;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use failure::Trouble;
pub use feed::{Batch, Delivery, Feed, FeedError, Interest, Page};
pub(crate) use storable::storable;
pub(crate) use task::apply;

use crate::{FoldError, Projection, rebuild, wait};
use domain::Position;
use sqlx::PgPool;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinHandle,
};

/// How long the end of a task is awaited; a transaction takes less.
const GRACE: Duration = Duration::from_secs(30);
/// How long the log is asked for its head before the last known one has to do.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);

/// The running read models of this process. Clones are handles to the same; the tasks end with the last handle.
#[derive(Clone)]
pub struct Projections(Arc<Inner>);

struct Inner {
    pool: PgPool,
    feed: Arc<dyn Feed>,
    running: Vec<Running>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    head: AtomicU64,
    rebuilds: Arc<Semaphore>,
}

struct Running {
    projection: Arc<dyn Projection>,
    progress: watch::Receiver<wait::Progress>,
}

/// Two read models of one name would skip each other's events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two read models are called {0}")]
pub struct NameTaken(pub &'static str);

/// How one read model is doing.
#[derive(Debug, Clone)]
pub struct Status {
    /// The read model.
    pub name: &'static str,
    /// Its rows reflect everything up to here.
    pub position: Position,
    /// Positions between it and the head of the log (the last known head while the log does not answer).
    pub lag: u64,
    /// Time since its task last showed life. A live task does so every few seconds, also while it is stuck.
    pub heartbeat_age: Duration,
    /// The event it is stuck at.
    pub failure: Option<Failure>,
    /// Why it waits for the database or the log.
    pub unavailable: Option<Arc<str>>,
}

/// An event that cannot be applied. It is tried again and again, and never skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Position of the event.
    pub position: Position,
    /// Type of the event.
    pub kind: Box<str>,
    /// What the read model or the database said.
    pub reason: Arc<str>,
    /// When it was first tried.
    pub since: Instant,
    /// How often it was tried.
    pub attempts: u32,
}

impl Projections {
    /// Starts a task for each read model, from its checkpoint on.
    ///
    /// # Errors
    /// When two of them have one name.
    pub fn start(
        pool: PgPool,
        feed: Arc<dyn Feed>,
        projections: Vec<Arc<dyn Projection>>,
    ) -> Result<Self, NameTaken> {
        for (i, one) in projections.iter().enumerate() {
            if projections[..i].iter().any(|other| other.name() == one.name()) {
                return Err(NameTaken(one.name()));
            }
        }
        let (stop, stopped) = watch::channel(false);
        let (running, tasks) = projections
            .into_iter()
            .map(|projection| {
                let (progress, seen) = wait::progress();
                let task = task::Task::new(
                    projection.clone(),
                    feed.clone(),
                    pool.clone(),
                    progress,
                    stopped.clone(),
                );
                (Running { projection, progress: seen }, tokio::spawn(task.run()))
            })
            .unzip();
        let tasks = Mutex::new(tasks);
        let (head, rebuilds) = (AtomicU64::new(0), rebuild::places());
        Ok(Self(Arc::new(Inner { pool, feed, running, stop, tasks, head, rebuilds })))
    }

    /// How each read model is doing, in the order they were given.
    pub async fn status(&self) -> Vec<Status> {
        let head = match tokio::time::timeout(HEAD_DEADLINE, self.0.feed.head()).await {
            Ok(Ok(head)) => self.0.head.fetch_max(head.0, Ordering::Relaxed).max(head.0),
            _ => self.0.head.load(Ordering::Relaxed),
        };
        let status = |running: &Running| {
            let now = running.progress.borrow().clone();
            Status {
                name: running.projection.name(),
                position: now.position,
                lag: head.saturating_sub(now.position.0),
                heartbeat_age: now.heartbeat.elapsed(),
                failure: now.failure,
                unavailable: now.unavailable,
            }
        };
        self.0.running.iter().map(status).collect()
    }

    /// Ends all tasks, each after the transaction it is in. Later calls find nothing to do.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let tasks =
            std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = tokio::time::Instant::now() + GRACE;
        for mut task in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                // Safe at any point: an unfinished transaction is rolled back, and its events come again.
                task.abort();
            }
        }
    }

    /// The names of the read models.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.running.iter().map(|running| running.projection.name())
    }

    pub(crate) fn progress(&self, name: &str) -> Option<watch::Receiver<wait::Progress>> {
        self.find(name).map(|running| running.progress.clone())
    }

    /// What it takes to fold the read model `name` anew.
    pub(crate) fn parts(
        &self,
        name: &str,
    ) -> Result<(&PgPool, &dyn Feed, &dyn Projection), FoldError> {
        let running = self.find(name).ok_or_else(|| FoldError::Unknown(name.to_owned()))?;
        Ok((&self.0.pool, &*self.0.feed, &*running.projection))
    }

    /// A place for a rebuild, if there is one.
    pub(crate) fn rebuild_place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.rebuilds.clone().try_acquire_owned().ok()
    }

    fn find(&self, name: &str) -> Option<&Running> {
        self.0.running.iter().find(|running| running.projection.name() == name)
    }
}

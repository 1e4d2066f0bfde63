//! Performs jobs: one node per queue, one job per queue at a time. The node that may is the one that holds the queue's lock
//! of the database; what it left when it died is what the next one finds in progress.

mod lease;
mod progress;

pub use progress::Progress;

use crate::{
    execute::Failure,
    jobs::{self, Jobs},
};
use chrono::Utc;
use domain::{
    Metadata, Position,
    ids::{JobId, NodeId},
    job::{Command, Known, Queue},
};
use futures::future::{BoxFuture, join_all};
use lease::Lease;
use serde_json::{Map, Value};
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks into a queue that was empty.
const LOOK: Duration = Duration::from_millis(250);
/// Between two tries to become the one who performs.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a job that is going on may take to end when the server goes down.
pub const GRACE: Duration = Duration::from_secs(10);

/// What waits, from a read model that is up to date.
pub trait Backlog: Send + Sync {
    /// Waits until the read model reflects everything up to there, or to the log's end.
    fn caught_up(&self, position: Option<Position>) -> BoxFuture<'_, ()>;
    /// The next job of a queue.
    fn next(&self, queue: Queue) -> BoxFuture<'_, Result<Option<JobId>, BacklogError>>;
    /// Jobs of a queue that somebody has begun.
    fn begun(&self, queue: Queue) -> BoxFuture<'_, Result<Vec<JobId>, BacklogError>>;
    /// Failed jobs of a queue whose cost was not given back.
    fn unrefunded(&self, queue: Queue) -> BoxFuture<'_, Result<Vec<JobId>, BacklogError>>;
}

/// The read model does not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the queues cannot be read: {0}")]
pub struct BacklogError(pub Arc<str>);

/// Does the work of jobs. Doing one twice under the same id has to lead to one output.
pub trait Executor: Send + Sync {
    /// What came of the job.
    fn perform<'a>(
        &'a self,
        id: JobId,
        job: &'a Known,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>>;

    /// Hears, at least once, of a job that has failed for good.
    fn given_up<'a>(&'a self, _: JobId, _: &'a Known) -> BoxFuture<'a, Result<(), Failed>> {
        Box::pin(async { Ok(()) })
    }
}

/// Why nothing came of a job, in words for its owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failed {
    /// Why.
    pub reason: String,
    /// Whether another attempt makes no sense.
    pub permanent: bool,
}

impl Failed {
    /// The job itself cannot be done.
    pub fn for_good(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: true }
    }

    /// Something it needs was not there.
    pub fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: false }
    }
}

/// The reactor.
pub struct Worker {
    /// The use cases.
    pub jobs: Jobs,
    /// What waits.
    pub backlog: Arc<dyn Backlog>,
    /// What is done.
    pub executor: Arc<dyn Executor>,
    /// The database whose lock decides who performs.
    pub db: PgPool,
    /// This process.
    pub node: NodeId,
}

/// Why a queue stands still for a moment.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Backlog(#[from] BacklogError),
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error(transparent)]
    Job(#[from] jobs::Error),
    #[error(transparent)]
    GivenUp(#[from] Failed),
}

impl Worker {
    /// Performs jobs whenever this node may, until `stop`. A job that is going on then has [`GRACE`] to end; after that it
    /// is left to the next.
    pub async fn run(self, stop: CancellationToken) {
        join_all(Queue::ALL.map(|queue| self.hold(queue, &stop))).await;
    }

    async fn hold(&self, queue: Queue, stop: &CancellationToken) {
        loop {
            let lease = match Lease::claim(&self.db, queue).await {
                Ok(lease) => lease,
                Err(error) => {
                    tracing::warn!(%error, "nobody knows who performs jobs");
                    None
                }
            };
            if let Some(mut lease) = lease {
                tokio::select! {
                    () = lease.lost() => tracing::warn!("somebody else performs jobs now"),
                    () = self.serve(queue, stop) => {}
                }
                lease.resign().await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(AGAIN) => {}
            }
        }
    }

    async fn serve(&self, queue: Queue, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.serve_until_it_fails(queue, stop).await {
                tracing::warn!(queue = queue.as_str(), %error, "a queue stands still");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(AGAIN) => {}
                }
            }
        }
    }

    async fn serve_until_it_fails(
        &self,
        queue: Queue,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        self.backlog.caught_up(None).await;
        for id in self.backlog.begun(queue).await? {
            // Nobody else performs, and this node has just begun to.
            let interrupt = Command::Interrupt { now: Utc::now() };
            let decided = self.jobs.execute(id, &interrupt, &correlated()).await?;
            self.backlog.caught_up(decided.position).await;
        }
        while !stop.is_cancelled() {
            for id in self.backlog.unrefunded(queue).await? {
                if let Some(job) = self.jobs.find(id).await? {
                    self.executor.given_up(id, &job).await?;
                }
                let refunded = self.jobs.refund(id, &correlated()).await?;
                self.backlog.caught_up(refunded).await;
            }
            match self.backlog.next(queue).await? {
                Some(id) => self.perform(id, stop).await?,
                None => tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(LOOK) => {}
                },
            }
        }
        Ok(())
    }

    async fn perform(&self, id: JobId, stop: &CancellationToken) -> Result<(), Stopped> {
        let (node, metadata) = (self.node, correlated());
        let start = Command::Start { node, now: Utc::now() };
        let started = match self.jobs.execute(id, &start, &metadata).await {
            // The read model is a moment behind.
            Err(jobs::Error::Refused(_)) => {
                self.backlog.caught_up(None).await;
                return Ok(());
            }
            other => other?,
        };
        let job = started.job;
        let attempt = job.attempt;
        self.jobs.pay(id, &job, &metadata).await?;
        let (progress, heard) = Progress::new();
        let outcome = tokio::select! {
            outcome = self.executor.perform(id, &job, &progress) => outcome,
            () = progress::record(&self.jobs, (id, node, attempt), heard, &metadata) => return Ok(()),
            () = over(stop) => {
                tracing::info!(job = %id, "a job is left to whoever performs next");
                return Ok(());
            }
        };
        let end = match outcome {
            Ok(result) => Command::Complete { node, attempt, result },
            Err(Failed { reason, permanent }) => {
                tracing::info!(job = %id, reason, "a job's attempt failed");
                Command::Fail { node, attempt, error: reason, permanent, now: Utc::now() }
            }
        };
        match self.jobs.execute(id, &end, &metadata).await {
            Ok(decided) => self.backlog.caught_up(decided.position).await,
            Err(jobs::Error::Refused(refusal)) => {
                tracing::info!(job = %id, %refusal, "a job went to somebody else");
            }
            Err(failed) => return Err(failed.into()),
        }
        Ok(())
    }
}

/// Resolves when the server has gone down for as long as anything may take.
async fn over(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(GRACE).await;
}

fn correlated() -> Metadata {
    Metadata::system(Uuid::now_v7())
}

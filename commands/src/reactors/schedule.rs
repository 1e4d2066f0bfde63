//! Hands posts over when their time has come, and writes down what became of them. Any number of nodes may do so at the
//! same time: each step is an event that only one of them can append.

use super::queue::BacklogError;
use crate::{execute::Failure, log::EventLog, log::Filter, posts::Posts};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Metadata, Position,
    ids::{JobId, PostId},
    job::Job,
};
use futures::{StreamExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How a job ends.
const ENDS: [&str; 2] = ["JobCompleted", "JobFailed"];

/// Which posts wait for somebody to do something, from a read model.
pub trait Agenda: Send + Sync {
    /// Scheduled posts whose time has come, the earliest first; a bounded number of them.
    fn due(&self, now: DateTime<Utc>) -> BoxFuture<'_, Result<Vec<PostId>, BacklogError>>;
    /// Posts that are being handed over; a bounded number of them.
    fn publishing(&self) -> BoxFuture<'_, Result<Vec<PostId>, BacklogError>>;
    /// Waits until the read model reflects everything up to there, or to the log's end.
    fn caught_up(&self, position: Option<Position>) -> BoxFuture<'_, ()>;
}

/// The reactor.
pub struct Schedule {
    /// The use cases.
    pub posts: Posts,
    /// Which posts wait.
    pub agenda: Arc<dyn Agenda>,
    /// The log, for how jobs end.
    pub log: Arc<dyn EventLog>,
    /// Between two looks at the clock.
    pub every: Duration,
}

/// Why posts have to wait until the next look.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Backlog(#[from] BacklogError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Schedule {
    /// Hands posts over until `stop`. How jobs end is heard of from `from` on.
    pub async fn run(self, from: Position, stop: CancellationToken) {
        let filter = Filter::categories(&[Job::CATEGORY]).kinds(&ENDS);
        let mut ends = self.log.subscribe(from, filter);
        self.agenda.caught_up(None).await;
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.sweep().await,
                Some(delivery) = ends.next() => {
                    let keys = delivery.events.iter().filter_map(|event| event.stream.key().parse().ok());
                    self.settle(keys.collect()).await
                }
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "posts have to wait");
            }
        }
    }

    async fn sweep(&self) -> Result<(), Stopped> {
        let mut last = None;
        for post in self.agenda.publishing().await? {
            last = self.posts.follow(post, Utc::now(), &correlated()).await?.max(last);
        }
        for post in self.agenda.due(Utc::now()).await? {
            last = self.posts.dispatch(post, Utc::now(), &correlated()).await?.max(last);
        }
        if last.is_some() {
            self.agenda.caught_up(last).await;
        }
        Ok(())
    }

    async fn settle(&self, jobs: Vec<JobId>) -> Result<(), Stopped> {
        for job in jobs {
            if let Some(post) = self.posts.handed_over_by(job).await? {
                self.posts.follow(post, Utc::now(), &correlated()).await?;
            }
        }
        Ok(())
    }
}

fn correlated() -> Metadata {
    Metadata::system(Uuid::now_v7())
}

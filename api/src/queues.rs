//! The queues of this node: what waits in the read model, who does it.

use crate::app::App;
use commands::{
    effects::{
        fetch::{Fetcher, Reach},
        media::Media,
    },
    onboarding_import::OnboardingImport,
    reactors::queue::{Backlog, BacklogError, Executor, Failed, Worker},
};
use domain::{
    Position,
    ids::JobId,
    job::{Known, Operation, Queue},
};
use futures::future::BoxFuture;
use projections::jobs;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Performs jobs until the server drains.
pub async fn work(app: App) {
    let reach = if app.config.allow_private_urls { Reach::Anywhere } else { Reach::Public };
    let import = OnboardingImport {
        log: app.log.clone(),
        blobs: app.library.blobs.clone(),
        fans: app.fans.clone(),
    };
    let media = Media {
        log: app.log.clone(),
        blobs: app.library.blobs.clone(),
        fetcher: Fetcher::new(reach),
        ffmpeg: app.config.ffmpeg.clone(),
        ytdlp: app.config.ytdlp.clone(),
    };
    let stop = app.draining.clone();
    let worker = Worker {
        jobs: app.jobs.clone(),
        backlog: Arc::new(Waiting(app.clone())),
        executor: Arc::new(Performers { media, import }),
        db: app.db.clone(),
        node: app.node,
    };
    worker.run(stop).await;
}

/// Who does which jobs.
struct Performers {
    media: Media,
    import: OnboardingImport,
}

impl Executor for Performers {
    fn perform<'a>(
        &'a self,
        id: JobId,
        job: &'a Known,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        match job.request.operation {
            Operation::OnboardingImport => Box::pin(self.import.perform(id, job, &|_| {})),
            _ => self.media.perform(id, job),
        }
    }

    fn given_up<'a>(&'a self, id: JobId, job: &'a Known) -> BoxFuture<'a, Result<(), Failed>> {
        match job.request.operation {
            Operation::OnboardingImport => Box::pin(self.import.give_up(id, job)),
            _ => self.media.given_up(id, job),
        }
    }
}

/// What waits, from its read model.
struct Waiting(App);

impl Backlog for Waiting {
    fn caught_up(&self, position: Option<Position>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match position {
                Some(position) => self.0.caught_up("jobs", Some(position)).await,
                None => {
                    if let Err(error) = self.0.settled("jobs").await {
                        error.log();
                    }
                }
            }
        })
    }

    fn next(&self, queue: Queue) -> BoxFuture<'_, Result<Option<JobId>, BacklogError>> {
        Box::pin(
            async move { jobs::next(&self.0.db, queue, chrono::Utc::now()).await.map_err(away) },
        )
    }

    fn begun(&self, queue: Queue) -> BoxFuture<'_, Result<Vec<JobId>, BacklogError>> {
        Box::pin(async move { jobs::processing(&self.0.db, queue).await.map_err(away) })
    }

    fn unrefunded(&self, queue: Queue) -> BoxFuture<'_, Result<Vec<JobId>, BacklogError>> {
        Box::pin(async move { jobs::unrefunded(&self.0.db, queue).await.map_err(away) })
    }
}

fn away(error: sqlx::Error) -> BacklogError {
    BacklogError(error.to_string().into())
}

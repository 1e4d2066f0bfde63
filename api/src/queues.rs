//! The queues of this node: what waits in the read model, who does it.

use crate::{app::App, desk};
use commands::{
    effects::{
        fetch::{Fetcher, Reach},
        media::Media,
        platform::{Driver, NoDriver, Platforms, ProgramDriver},
    },
    onboarding_import::OnboardingImport,
    reactors::{
        queue::{Backlog, BacklogError, Executor, Failed, Progress, Worker},
        schedule::{Agenda, Schedule},
    },
};
use domain::{
    Position,
    ids::{JobId, PostId},
    job::{Known, Operation, Queue},
};
use futures::future::BoxFuture;
use projections::{jobs, posts};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Performs jobs until the server drains.
pub async fn work(app: App) {
    let reach = if app.config.allow_private_urls { Reach::Anywhere } else { Reach::Public };
    let import = OnboardingImport {
        log: app.log.clone(),
        blobs: app.library.blobs.clone(),
        fans: app.fans.clone(),
        shelf: desk::shelf(&app.log, &app.db, &app.projections, &app.skill_book),
    };
    let media = Arc::new(Media {
        log: app.log.clone(),
        blobs: app.library.blobs.clone(),
        fetcher: Fetcher::new(reach),
        ffmpeg: app.config.ffmpeg.clone(),
        ytdlp: app.config.ytdlp.clone(),
    });
    let driver: Arc<dyn Driver> = match &app.config.platform_driver {
        Some(program) => Arc::new(ProgramDriver(program.clone())),
        None => Arc::new(NoDriver),
    };
    let platforms = Platforms { posts: app.posts.clone(), driver, media: media.clone() };
    let stop = app.draining.clone();
    let worker = Worker {
        jobs: app.jobs.clone(),
        backlog: Arc::new(Waiting(app.clone())),
        executor: Arc::new(Performers { media, platforms, import }),
        db: app.db.clone(),
        node: app.node,
    };
    worker.run(stop).await;
}

/// Who does which jobs.
struct Performers {
    media: Arc<Media>,
    platforms: Platforms,
    import: OnboardingImport,
}

impl Executor for Performers {
    fn perform<'a>(
        &'a self,
        id: JobId,
        job: &'a Known,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        match job.request.operation {
            Operation::OnboardingImport => Box::pin(async move {
                self.import.perform(id, job, &|percent| progress.tell(percent)).await
            }),
            operation if operation.queue() == Queue::Scrape => {
                self.platforms.perform(id, job, progress)
            }
            _ => self.media.perform(id, job, progress),
        }
    }

    fn given_up<'a>(&'a self, id: JobId, job: &'a Known) -> BoxFuture<'a, Result<(), Failed>> {
        match job.request.operation {
            Operation::OnboardingImport => Box::pin(self.import.give_up(id, job)),
            _ => self.media.given_up(id, job),
        }
    }
}

/// Hands posts over until the server drains. How jobs end is heard of from `from` on.
pub async fn publish(app: App, from: Position) {
    let schedule = Schedule {
        posts: app.posts.clone(),
        agenda: Arc::new(Diary(app.clone())),
        log: app.log.clone(),
        every: app.config.post_scheduler,
    };
    schedule.run(from, app.draining.clone()).await;
}

/// Which posts wait, from their read model.
struct Diary(App);

impl Agenda for Diary {
    fn due(
        &self,
        now: chrono::DateTime<chrono::Utc>,
    ) -> BoxFuture<'_, Result<Vec<PostId>, BacklogError>> {
        Box::pin(async move { posts::due(&self.0.db, now).await.map_err(away) })
    }

    fn publishing(&self) -> BoxFuture<'_, Result<Vec<PostId>, BacklogError>> {
        Box::pin(async move { posts::publishing(&self.0.db).await.map_err(away) })
    }

    fn caught_up(&self, position: Option<Position>) -> BoxFuture<'_, ()> {
        Box::pin(caught_up(&self.0, "posts", position))
    }
}

async fn caught_up(app: &App, name: &str, position: Option<Position>) {
    match position {
        Some(position) => app.caught_up(name, Some(position)).await,
        None => {
            if let Err(error) = app.settled(name).await {
                error.log();
            }
        }
    }
}

/// What waits, from its read model.
struct Waiting(App);

impl Backlog for Waiting {
    fn caught_up(&self, position: Option<Position>) -> BoxFuture<'_, ()> {
        Box::pin(caught_up(&self.0, "jobs", position))
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

//! What acts at platforms in people's names. Nothing does unless the operator names a program; what is asked for then fails
//! and says so.

use super::media::{
    Media,
    program::{Folder, Input, run},
};
use crate::{
    posts::{self, Posts},
    reactors::queue::{Executor, Failed, Progress},
};
use bytes::Bytes;
use domain::{
    Metadata,
    ids::{JobId, PostId},
    job::{Known, Operation},
    post::Draft,
};
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use std::{path::PathBuf, sync::Arc};
use uuid::Uuid;

/// Name of the file that goes with a post, in the folder that a driver's program works in.
const MEDIA: &str = "media";

/// A post on its way.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The job that hands it over. A platform that knows keys against doubles takes this one.
    pub job: JobId,
    /// Which post.
    pub post: PostId,
    /// What is to be posted.
    pub draft: Draft,
    /// The file that goes with it.
    pub media: Option<Bytes>,
}

/// Acts at platforms.
pub trait Driver: Send + Sync {
    /// Whether there is somebody to act.
    fn is_there(&self) -> bool {
        true
    }

    /// Posts; what the platform said.
    fn publish<'a>(
        &'a self,
        publication: &'a Publication,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>>;

    /// Reads a profile, or how a post does.
    fn scrape<'a>(
        &'a self,
        id: JobId,
        job: &'a Known,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>>;
}

/// There is no driver.
#[derive(Debug, Clone, Copy)]
pub struct NoDriver;

impl Driver for NoDriver {
    fn is_there(&self) -> bool {
        false
    }

    fn publish<'a>(
        &'a self,
        _: &'a Publication,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        Box::pin(async { Err(no_driver()) })
    }

    fn scrape<'a>(
        &'a self,
        _: JobId,
        _: &'a Known,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        Box::pin(async { Err(no_driver()) })
    }
}

/// What is told of work that needs somebody at a platform.
fn no_driver() -> Failed {
    Failed::for_good("driver_not_configured: this server has no driver for platforms")
}

/// A program of the operator's: the operation is its argument, what is wanted comes as JSON on its standard input, and what
/// the platform said goes as JSON to its standard output. An exit code other than 0 is a failure, told on standard error.
#[derive(Debug, Clone)]
pub struct ProgramDriver(pub PathBuf);

impl ProgramDriver {
    async fn ask(
        &self,
        operation: &str,
        wish: &Value,
        folder: &Folder,
    ) -> Result<Map<String, Value>, Failed> {
        let input = Input::Text(wish.to_string());
        let said = run(&self.0, &[operation.to_owned()], input, folder, &|_| {}).await?;
        if said.trim().is_empty() {
            return Ok(Map::new());
        }
        // What it did is done; an answer that cannot be read changes nothing about it.
        Ok(serde_json::from_str(&said).unwrap_or_else(|_| {
            let said: String = said.trim().chars().take(1_000).collect();
            Map::from_iter([("said".to_owned(), json!(said))])
        }))
    }
}

impl Driver for ProgramDriver {
    fn publish<'a>(
        &'a self,
        publication: &'a Publication,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        Box::pin(async move {
            let Publication { job, post, draft, media } = publication;
            let folder = Folder::make().await?;
            if let Some(media) = media {
                folder.write(MEDIA, media).await?;
            }
            let wish = json!({
                "job_id": job,
                "post_id": post,
                "user_id": draft.owner,
                "platform": draft.platform,
                "content_text": draft.text,
                "media_id": draft.media,
                "media_file": media.as_ref().map(|_| MEDIA),
                "platform_meta": draft.platform_meta,
            });
            self.ask("publish_post", &wish, &folder).await
        })
    }

    fn scrape<'a>(
        &'a self,
        id: JobId,
        job: &'a Known,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        Box::pin(async move {
            let request = &job.request;
            let operation = match request.operation {
                Operation::ScrapeProfile => "scrape_profile",
                _ => "scrape_post_performance",
            };
            let wish = json!({
                "job_id": id,
                "user_id": request.owner,
                "creator_profile_id": request.profile,
                "input_url": request.input_url,
                "params": request.params,
            });
            self.ask(operation, &wish, &Folder::make().await?).await
        })
    }
}

/// The performer of jobs at platforms.
pub struct Platforms {
    /// Posts that wait for their time.
    pub posts: Posts,
    /// Who acts.
    pub driver: Arc<dyn Driver>,
    /// The files.
    pub media: Arc<Media>,
}

impl Platforms {
    async fn act(&self, id: JobId, job: &Known) -> Result<Map<String, Value>, Failed> {
        let driver = &self.driver;
        if job.request.operation != Operation::PublishPost {
            return driver.scrape(id, job).await;
        }
        let metadata = Metadata::system(Uuid::now_v7());
        // Told before anything is looked at: nothing would come of it.
        if !driver.is_there() {
            return Err(no_driver());
        }
        let begun = self.posts.begin(id, &job.request, &metadata).await;
        let (post, draft) = begun.map_err(|error| match error {
            posts::Error::Failed(failure) => Failed::for_now(failure.to_string()),
            refused => Failed::for_good(format!("{refused}; posts are scheduled, not enqueued")),
        })?;
        let media = match &draft.media {
            Some(file) => Some(self.media.upload(&draft.owner, file).await?),
            None => None,
        };
        driver.publish(&Publication { job: id, post, draft, media }).await
    }
}

impl Executor for Platforms {
    fn perform<'a>(
        &'a self,
        id: JobId,
        job: &'a Known,
        _: &'a Progress,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failed>> {
        Box::pin(self.act(id, job))
    }
}

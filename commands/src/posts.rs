//! Posts that wait for their time: scheduling them within what the subscription allows, and handing each over once.
//!
//! A post is claimed by an event before its job is enqueued, and the job's id follows from the post's: whoever finds a
//! claimed post without a job enqueues the same one. What the job tells is written to the post by whoever looks first.

use crate::{
    execute::{self, Failure, Loaded},
    jobs::{self, Jobs},
    log::EventLog,
    usage::{self, Plan, Usage},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Metadata, Position,
    ids::{JobId, PostId, UserId},
    job::{self, Operation},
    post::{self, Command, Draft, Known, Post, Refusal, Stage},
    post_queue::{self, PostQueue},
    quota::Limit,
    user::{Status, User},
};
use serde_json::{Map, json};
use std::sync::Arc;

/// The parameter of a job that names its post.
const POST: &str = "scheduled_post_id";
/// Place in the queue of a job that hands a post over.
const PRIORITY: i32 = 10;
/// How long a post may be on its way into the log after it has taken a place.
const UNDER_WAY: TimeDelta = TimeDelta::minutes(2);
/// What is told of a post whose owner may no longer post.
const INACTIVE: &str = "account_inactive";

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Posts {
    log: Arc<dyn EventLog>,
    usage: Usage,
    jobs: Jobs,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// As many posts wait as the subscription allows.
    #[error("{refusal}")]
    Full {
        /// Why.
        refusal: post_queue::Refusal,
        /// The person's plan.
        plan: Plan,
    },
    /// What the subscription allows cannot be determined.
    #[error(transparent)]
    Plan(#[from] usage::Error),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// A post that was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What is known of it.
    pub post: Known,
    /// Position of the news; `None` when there was none.
    pub position: Option<Position>,
    /// How many posts may wait.
    pub limit: Limit,
    /// How many do.
    pub usage: u64,
}

impl Posts {
    /// The use cases on this log, within these limits.
    pub fn new(log: Arc<dyn EventLog>, usage: Usage, jobs: Jobs) -> Self {
        Self { log, usage, jobs }
    }

    /// A post as it stands in the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn find(&self, id: PostId) -> std::result::Result<Option<Known>, Failure> {
        Ok(Loaded::<Post>::load(&*self.log, &id).await?.state().known().cloned())
    }

    /// Keeps a post, and schedules it if it is to appear. The same wish again is the same post.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when the id is another post's, [`Error::Full`], [`Error::Plan`]; or a failure of the log.
    pub async fn schedule(
        &self,
        id: PostId,
        draft: Draft,
        at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<Kept> {
        let owner = draft.owner.clone();
        let wish = Command::Schedule(Box::new(draft), at);
        let (plan, limit) = self.usage.scheduled_posts(&owner, now).await?;
        let known = Loaded::<Post>::load(&*self.log, &id).await?;
        if known.state().known().is_none() && at.is_some() {
            let take = post_queue::Command::Take { post: id, limit, now };
            self.take(&owner, take, plan, metadata).await?;
        }
        let decided = self.execute(id, &wish, metadata).await?;
        let queue = Loaded::<PostQueue>::load(&*self.log, &owner).await?;
        Ok(Kept { usage: queue.state().usage(), limit, ..decided })
    }

    /// Lets a post not appear.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::TooLate`]; or a failure of the log.
    pub async fn cancel(&self, id: PostId, metadata: &Metadata) -> Result<Option<Position>> {
        let cancelled = self.execute(id, &Command::Cancel, metadata).await?;
        self.free(&cancelled.post.draft.owner, id, metadata).await?;
        Ok(cancelled.position)
    }

    /// Hands a post over whose time has come, if nobody else does. `None` when there was nothing to do.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn dispatch(
        &self,
        id: PostId,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> std::result::Result<Option<Position>, Failure> {
        let Some(known) = self.find(id).await? else { return Ok(None) };
        let account = Loaded::<User>::load(&*self.log, &known.draft.owner).await?;
        let active = account.state().account().is_some_and(|of| of.status == Status::Active);
        let command = match active {
            true => Command::Publish { job: post::job(id), now },
            false => Command::Withhold { error: INACTIVE.to_owned() },
        };
        let Some(decided) = told(self.execute(id, &command, metadata).await)? else {
            return Ok(None);
        };
        let followed = self.follow(id, now, metadata).await?;
        Ok(followed.or(decided.position))
    }

    /// Writes down for a post that is being handed over what its job has come to; enqueues the job if there is none.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn follow(
        &self,
        id: PostId,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> std::result::Result<Option<Position>, Failure> {
        let Some(known) = self.find(id).await? else { return Ok(None) };
        let Stage::Publishing(job) = known.stage else {
            if !known.stage.waits() {
                self.free(&known.draft.owner, id, metadata).await?;
            }
            return Ok(None);
        };
        let command = match self.jobs.find(job).await? {
            None => {
                let enqueued = self.jobs.enqueue(job, request(id, &known.draft), now, metadata);
                return match enqueued.await {
                    Ok(_) => Ok(None),
                    Err(jobs::Error::Failed(failure)) => Err(failure),
                    // Not charged, and nobody else can have this id but by asking for it: then it never ends well.
                    Err(refused) => self.settle(id, job, Err(refused.to_string()), metadata).await,
                };
            }
            Some(of) if of.request != request(id, &known.draft) => {
                Err("the job of this post is another one's".to_owned())
            }
            Some(of) => match of.stage {
                job::Stage::Completed => Ok(of.result),
                job::Stage::Failed => Err(of.error.unwrap_or_default()),
                job::Stage::Waiting(_) | job::Stage::Processing(_) => return Ok(None),
            },
        };
        self.settle(id, job, command, metadata).await
    }

    /// The post that this job hands over, if it is one that somebody scheduled; from here on it is being handed over.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::NotItsJob`] when it is not; or a failure of the log.
    pub async fn begin(
        &self,
        job: JobId,
        request: &job::Request,
        metadata: &Metadata,
    ) -> Result<(PostId, Draft)> {
        let id = of_job(request).ok_or(Refusal::Unknown)?;
        let known = self.find(id).await?.filter(|known| known.draft.owner == request.owner);
        known.ok_or(Refusal::Unknown)?;
        let resumed = self.execute(id, &Command::Resume(job), metadata).await?;
        Ok((id, resumed.post.draft))
    }

    /// The post that this job hands over, if any.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn handed_over_by(&self, job: JobId) -> std::result::Result<Option<PostId>, Failure> {
        Ok(self.jobs.find(job).await?.and_then(|job| of_job(&job.request)))
    }

    async fn settle(
        &self,
        id: PostId,
        job: JobId,
        outcome: std::result::Result<Map<String, serde_json::Value>, String>,
        metadata: &Metadata,
    ) -> std::result::Result<Option<Position>, Failure> {
        let command = match outcome {
            Ok(result) => Command::Succeed { job, result },
            Err(error) => Command::Fail { job, error },
        };
        let settled = told(self.execute(id, &command, metadata).await)?;
        if let Some(settled) = &settled {
            self.free(&settled.post.draft.owner, id, metadata).await?;
        }
        Ok(settled.and_then(|settled| settled.position))
    }

    /// A place for one more post; those of posts that wait no longer are freed first, should there be none.
    async fn take(
        &self,
        owner: &UserId,
        take: post_queue::Command,
        plan: Plan,
        metadata: &Metadata,
    ) -> Result<()> {
        let mut freed = false;
        loop {
            match execute::execute::<PostQueue>(&*self.log, owner, &take, metadata).await {
                Ok(_) => return Ok(()),
                Err(execute::Error::Failed(failure)) => return Err(failure.into()),
                Err(execute::Error::Refused(refusal)) => {
                    let full = matches!(refusal, post_queue::Refusal::LimitReached { .. });
                    if freed || !full || !self.free_unused(owner, metadata).await? {
                        return Err(Error::Full { refusal, plan });
                    }
                    freed = true;
                }
            }
        }
    }

    /// Whether there were places of posts that do not wait: whoever should have freed them died before.
    async fn free_unused(&self, owner: &UserId, metadata: &Metadata) -> Result<bool> {
        let queue = Loaded::<PostQueue>::load(&*self.log, owner).await?;
        let mut any = false;
        for (id, since) in &queue.state().places {
            let waits = match self.find(*id).await? {
                Some(known) => known.stage.waits(),
                None => Utc::now() - *since < UNDER_WAY,
            };
            if !waits {
                any |= self.free(owner, *id, metadata).await?;
            }
        }
        Ok(any)
    }

    async fn free(
        &self,
        owner: &UserId,
        id: PostId,
        metadata: &Metadata,
    ) -> std::result::Result<bool, Failure> {
        let free = post_queue::Command::Free(id);
        match execute::execute::<PostQueue>(&*self.log, owner, &free, metadata).await {
            Ok(decided) => Ok(!decided.events.is_empty()),
            Err(execute::Error::Failed(failure)) => Err(failure),
            // Freeing is never refused.
            Err(execute::Error::Refused(_)) => Ok(false),
        }
    }

    async fn execute(&self, id: PostId, command: &Command, metadata: &Metadata) -> Result<Kept> {
        match execute::execute::<Post>(&*self.log, &id, command, metadata).await {
            Ok(decided) => match decided.state {
                Post::Present(post) => {
                    let (limit, usage) = (Limit::Unlimited, 0);
                    Ok(Kept { post: *post, position: decided.position, limit, usage })
                }
                Post::Absent => Err(Refusal::Unknown.into()),
            },
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }
}

/// The post that a job hands over, if it says so.
fn of_job(request: &job::Request) -> Option<PostId> {
    let named = request.params.get(POST).and_then(serde_json::Value::as_str);
    named.filter(|_| request.operation == Operation::PublishPost)?.parse().ok()
}

/// What the job of this post is asked for: always the same.
fn request(id: PostId, draft: &Draft) -> job::Request {
    job::Request {
        owner: draft.owner.clone(),
        operation: Operation::PublishPost,
        input_file: draft.media.clone(),
        input_url: None,
        params: Map::from_iter([(POST.to_owned(), json!(id))]),
        profile: None,
        priority: PRIORITY,
    }
}

/// A refusal means that somebody else was faster, or that the post no longer wants it.
fn told(outcome: Result<Kept>) -> std::result::Result<Option<Kept>, Failure> {
    match outcome {
        Ok(kept) => Ok(Some(kept)),
        Err(Error::Failed(failure)) => Err(failure),
        Err(_) => Ok(None),
    }
}

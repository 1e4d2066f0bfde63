//! Asking for work that waits in a queue, and for what it may cost.
//!
//! The cost is reserved before the job is in the log and confirmed once it is, so a crash in between costs nothing: the
//! reservation lapses. Whoever performs the job confirms it again, and gives it back when the job has failed for good.

use crate::{
    execute::{self, Failure, Loaded},
    log::EventLog,
    usage::{self, Usage, Work},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Metadata, Position,
    ids::{JobId, UserId},
    job::{Command, Job, Known, Refusal, Request},
    quota::Action,
};
use std::sync::Arc;

/// How long a job can be on its way into the log.
const HOLD: TimeDelta = TimeDelta::minutes(2);

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    log: Arc<dyn EventLog>,
    usage: Usage,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The subscription does not allow it.
    #[error("{1}")]
    Denied(Action, usage::Error),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// A job that waits.
#[derive(Debug, Clone)]
pub struct Queued {
    /// What is known of it.
    pub job: Known,
    /// Position of the news; `None` when there was none.
    pub position: Option<Position>,
}

impl Jobs {
    /// The use cases on this log.
    pub fn new(log: Arc<dyn EventLog>, usage: Usage) -> Self {
        Self { log, usage }
    }

    /// What costs what.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Puts a job into its queue. The same wish again is the same job, and costs nothing more.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the id is somebody else's, [`Refusal::Conflict`] when it is another job's;
    /// [`Error::Denied`]; or a failure of the log.
    pub async fn enqueue(
        &self,
        id: JobId,
        request: Request,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<Queued> {
        let job = Loaded::<Job>::load(&*self.log, &id).await?;
        let (owner, charged) = (request.owner.clone(), request.operation.charged());
        let wish = Command::Enqueue(Box::new(request));
        if job.state().known().is_none() {
            self.reserve(&owner, charged, &domain::job::reservation(id, 0), now, metadata).await?;
        }
        let decided = self.execute(id, &wish, metadata).await?;
        self.pay(id, &decided.job, metadata).await?;
        Ok(decided)
    }

    /// Puts a failed job into its queue again. Costs what it cost, if that was given back.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::NotFailed`], [`Error::Denied`]; or a failure of the log.
    pub async fn retry(
        &self,
        id: JobId,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<Queued> {
        let job = Loaded::<Job>::load(&*self.log, &id).await?;
        let known = job.state().known().ok_or(Refusal::Unknown)?;
        // Judged before anything is reserved.
        domain::Decider::decide(job.state(), &Command::Retry)?;
        let next = domain::job::reservation(id, known.retries + 1);
        let request = &known.request;
        // Whatever has not been given back yet: one piece of work is paid for once.
        let earlier = known.reservation(id);
        self.usage.release(&request.owner, &earlier, metadata).await?;
        self.reserve(&request.owner, request.operation.charged(), &next, now, metadata).await?;
        let decided = self.execute(id, &Command::Retry, metadata).await?;
        self.pay(id, &decided.job, metadata).await?;
        Ok(decided)
    }

    /// A job as it stands in the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn find(&self, id: JobId) -> std::result::Result<Option<Known>, Failure> {
        Ok(Loaded::<Job>::load(&*self.log, &id).await?.state().known().cloned())
    }

    /// Lets what a job costs count.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn pay(
        &self,
        id: JobId,
        job: &Known,
        metadata: &Metadata,
    ) -> std::result::Result<Option<Position>, Failure> {
        match job.request.operation.charged() {
            None => Ok(None),
            Some(_) => self.usage.confirm(&job.request.owner, &job.reservation(id), metadata).await,
        }
    }

    /// Gives back what a job has cost that failed for good.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn refund(
        &self,
        id: JobId,
        metadata: &Metadata,
    ) -> std::result::Result<Option<Position>, Failure> {
        let Some(job) = self.find(id).await? else { return Ok(None) };
        if job.request.operation.charged().is_some() {
            self.usage.release(&job.request.owner, &job.reservation(id), metadata).await?;
        }
        match self.execute(id, &Command::Refund, metadata).await {
            Ok(decided) => Ok(decided.position),
            Err(Error::Failed(failure)) => Err(failure),
            Err(Error::Refused(_) | Error::Denied(..)) => Ok(None),
        }
    }

    /// Runs a command of whoever performs jobs.
    ///
    /// # Errors
    /// [`Refusal`]; or a failure of the log.
    pub async fn execute(
        &self,
        id: JobId,
        command: &Command,
        metadata: &Metadata,
    ) -> Result<Queued> {
        match execute::execute::<Job>(&*self.log, &id, command, metadata).await {
            Ok(decided) => match decided.state {
                Job::Present(job) => Ok(Queued { job: *job, position: decided.position }),
                Job::Absent => Err(Refusal::Unknown.into()),
            },
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    async fn reserve(
        &self,
        user: &UserId,
        charged: Option<Action>,
        reservation: &str,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<()> {
        let Some(action) = charged else { return Ok(()) };
        let work = Work { user, reservation, action, now, hold: HOLD };
        let reserved = self.usage.reserve(work, metadata).await;
        reserved.map(drop).map_err(|error| Error::Denied(action, error))
    }
}

//! A job: work that waits in a queue, is tried up to three times, and ends once. Only the attempt that is going on may
//! say how it went; whatever an abandoned one still says is refused.

mod operation;
#[cfg(test)]
mod tests;

pub use operation::{Operation, Queue};

use crate::{
    Decider, Kind,
    ids::{JobId, NodeId, UserId},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Attempts at most, before somebody asks for more.
pub const ATTEMPTS: u32 = 3;
/// Place in the queue of a job that is asked for again; lower is sooner.
pub const RETRY_PRIORITY: i32 = 5;
/// What is told of a job whose performer died.
pub const INTERRUPTED: &str = "interrupted";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Whose job.
    pub owner: UserId,
    /// What it does.
    pub operation: Operation,
    /// An uploaded file to work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_file: Option<String>,
    /// A URL to work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_url: Option<String>,
    /// How, specific to the operation.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// For which connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Place in the queue; lower is sooner.
    pub priority: i32,
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody wants something done.
    JobEnqueued(Box<Request>),
    /// Somebody does it.
    JobStarted {
        /// Who.
        node: NodeId,
        /// From 1 since it was last asked for.
        attempt: u32,
    },
    /// The attempt has come this far.
    JobProgressed {
        /// Of a hundred.
        percent: u8,
    },
    /// The attempt came to nothing; there will be another.
    JobAttemptFailed {
        /// Why.
        error: String,
        /// When the next may begin.
        retry_at: DateTime<Utc>,
    },
    /// It is done.
    JobCompleted {
        /// What came of it.
        result: Map<String, Value>,
    },
    /// It will not be done, unless somebody asks again.
    JobFailed {
        /// Why.
        error: String,
    },
    /// What it had cost was given back.
    JobRefunded {},
    /// Somebody asked for it again.
    JobRetried {
        /// Place in the queue.
        priority: i32,
    },
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Put it into its queue.
    Enqueue(Box<Request>),
    /// Begin an attempt.
    Start {
        /// Who.
        node: NodeId,
        /// The time.
        now: DateTime<Utc>,
    },
    /// This attempt has come so far.
    Progress {
        /// Who.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// Of a hundred.
        percent: u8,
    },
    /// This attempt did it.
    Complete {
        /// Who.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// What came of it.
        result: Map<String, Value>,
    },
    /// This attempt came to nothing.
    Fail {
        /// Who.
        node: NodeId,
        /// Which attempt.
        attempt: u32,
        /// Why.
        error: String,
        /// Whether another attempt makes no sense.
        permanent: bool,
        /// The time.
        now: DateTime<Utc>,
    },
    /// Whoever did it is gone.
    Interrupt {
        /// The time.
        now: DateTime<Utc>,
    },
    /// What it cost was given back.
    Refund,
    /// Put it into its queue again.
    Retry,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such job, or not for this person.
    #[error("there is no such job")]
    Unknown,
    /// There is another job of this id.
    #[error("there is a job of this id that does something else")]
    Conflict,
    /// It does not wait, or not yet.
    #[error("the job is not waiting")]
    NotWaiting,
    /// Another attempt is going on, or none.
    #[error("another attempt is going on")]
    NotPerformer,
    /// Only failed jobs are tried again.
    #[error("the job has not failed: it is {0}")]
    NotFailed(&'static str),
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Conflict | Self::NotWaiting | Self::NotPerformer | Self::NotFailed(_) => {
                Kind::Conflict
            }
        }
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Job {
    /// Nobody asked.
    #[default]
    Absent,
    /// Somebody did.
    Present(Box<Known>),
}

/// What is known of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What is wanted.
    pub request: Request,
    /// How it stands.
    pub stage: Stage,
    /// Attempts since it was last asked for.
    pub attempt: u32,
    /// How often it was asked for again.
    pub retries: u32,
    /// Whether what it cost was given back.
    pub refunded: bool,
    /// How far the attempt has come, of a hundred.
    pub progress: u8,
    /// What came of it, once it is completed.
    pub result: Map<String, Value>,
    /// Why the last attempt came to nothing.
    pub error: Option<String>,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits, at least until then.
    Waiting(Option<DateTime<Utc>>),
    /// Somebody does it.
    Processing(NodeId),
    /// Done.
    Completed,
    /// Given up.
    Failed,
}

impl Stage {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting(_) => "queued",
            Self::Processing(_) => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl Job {
    /// The job, when there is one.
    pub fn known(&self) -> Option<&Known> {
        match self {
            Self::Absent => None,
            Self::Present(known) => Some(known),
        }
    }
}

impl Known {
    /// Names what the job costs: one piece of work per time it was asked for.
    pub fn reservation(&self, id: JobId) -> String {
        reservation(id, self.retries)
    }

    fn performs(&self, node: NodeId, attempt: u32) -> Result<(), Refusal> {
        match self.stage {
            Stage::Processing(by) if by == node && attempt == self.attempt => Ok(()),
            _ => Err(Refusal::NotPerformer),
        }
    }

    fn failed(&self, error: &str, permanent: bool, retry_at: DateTime<Utc>) -> Vec<Event> {
        let error = error.to_owned();
        let last = permanent || self.attempt >= ATTEMPTS || !self.request.operation.repeatable();
        vec![match last {
            true => Event::JobFailed { error },
            false => Event::JobAttemptFailed { error, retry_at },
        }]
    }

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Enqueue(request) if request.owner != self.request.owner => {
                Err(Refusal::Unknown)
            }
            Command::Enqueue(request) if **request == self.request => Ok(vec![]),
            Command::Enqueue(_) => Err(Refusal::Conflict),
            Command::Start { node, now } => match self.stage {
                Stage::Waiting(since) if since.is_none_or(|since| since <= *now) => {
                    Ok(vec![Event::JobStarted { node: *node, attempt: self.attempt + 1 }])
                }
                _ => Err(Refusal::NotWaiting),
            },
            Command::Progress { node, attempt, percent } => {
                self.performs(*node, *attempt)?;
                let percent = (*percent).min(100);
                let news = (percent > self.progress).then_some(Event::JobProgressed { percent });
                Ok(news.into_iter().collect())
            }
            Command::Complete { node, attempt, result } => {
                self.performs(*node, *attempt)?;
                Ok(vec![Event::JobCompleted { result: result.clone() }])
            }
            Command::Fail { node, attempt, error, permanent, now } => {
                self.performs(*node, *attempt)?;
                let pause = TimeDelta::seconds(1_i64 << self.attempt.min(8));
                Ok(self.failed(error, *permanent, *now + pause))
            }
            Command::Interrupt { now } => match self.stage {
                Stage::Processing(_) => Ok(self.failed(INTERRUPTED, false, *now)),
                _ => Ok(vec![]),
            },
            Command::Refund => match self.stage {
                Stage::Failed if !self.refunded => Ok(vec![Event::JobRefunded {}]),
                _ => Ok(vec![]),
            },
            Command::Retry => match self.stage {
                Stage::Failed => Ok(vec![Event::JobRetried { priority: RETRY_PRIORITY }]),
                stage => Err(Refusal::NotFailed(stage.as_str())),
            },
        }
    }
}

/// Names what a job costs that was asked for again so many times.
pub fn reservation(id: JobId, retries: u32) -> String {
    if retries == 0 { id.to_string() } else { format!("{id}:{retries}") }
}

impl Decider for Job {
    const CATEGORY: &'static str = "job";
    type Id = JobId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Enqueue(request)) => {
                Ok(vec![Event::JobEnqueued(request.clone())])
            }
            (Self::Absent, _) => Err(Refusal::Unknown),
            (Self::Present(known), command) => known.decide(command),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        let mut known = match (self, event) {
            (_, Event::JobEnqueued(request)) => Box::new(Known {
                request: (**request).clone(),
                stage: Stage::Waiting(None),
                attempt: 0,
                retries: 0,
                refunded: false,
                progress: 0,
                result: Map::new(),
                error: None,
            }),
            (Self::Present(known), _) => known,
            (Self::Absent, _) => return Self::Absent,
        };
        match event {
            Event::JobEnqueued(_) => {}
            Event::JobStarted { node, attempt } => {
                (known.stage, known.attempt) = (Stage::Processing(*node), *attempt);
                known.progress = 0;
            }
            Event::JobProgressed { percent } => known.progress = *percent,
            Event::JobAttemptFailed { retry_at, error } => {
                known.stage = Stage::Waiting(Some(*retry_at));
                known.error = Some(error.clone());
            }
            Event::JobCompleted { result } => {
                (known.stage, known.error) = (Stage::Completed, None);
                known.result.clone_from(result);
            }
            Event::JobFailed { error } => {
                known.stage = Stage::Failed;
                known.error = Some(error.clone());
            }
            Event::JobRefunded {} => known.refunded = true,
            Event::JobRetried { .. } => {
                (known.stage, known.error) = (Stage::Waiting(None), None);
                (known.attempt, known.refunded) = (0, false);
                known.retries += 1;
            }
        }
        Self::Present(known)
    }
}

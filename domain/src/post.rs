//! A post: drafted, perhaps scheduled, handed to a platform once. What became of it there is told by the job that it was
//! handed to, and by no other.

use crate::{
    Decider, Kind,
    ids::{JobId, PostId, UserId},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// How late a post may be handed over.
const WINDOW: TimeDelta = TimeDelta::hours(24);
/// What is told of one that is later.
pub const MISSED: &str = "missed_window";
/// Namespace under which ids of posts are derived; any fixed value serves.
const POSTS: Uuid = Uuid::from_u128(0x7d0e_91c4_3a52_4f6b_8c19_e2b5_40d7_a6f3);

/// What is to be posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Whose post.
    pub owner: UserId,
    /// Where.
    pub platform: String,
    /// The text.
    pub text: String,
    /// A file that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// The job that made the clip that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_job: Option<String>,
    /// What this platform wants to know besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub platform_meta: Map<String, Value>,
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody wrote it.
    PostDrafted(Box<Draft>),
    /// It is to appear.
    PostScheduled {
        /// When.
        at: DateTime<Utc>,
    },
    /// It is handed over, by this job.
    PostPublishing {
        /// Which.
        job: JobId,
    },
    /// The platform has it.
    PostPublished {
        /// What the platform said.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        result: Map<String, Value>,
    },
    /// It will not appear, or nobody knows whether it did.
    PostFailed {
        /// Why.
        error: String,
    },
    /// It is no longer wanted.
    PostCancelled {},
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Keep it, and let it appear at this time, if any.
    Schedule(Box<Draft>, Option<DateTime<Utc>>),
    /// Hand it over: its time has come.
    Publish {
        /// By which job.
        job: JobId,
        /// The time.
        now: DateTime<Utc>,
    },
    /// Hand it over again by the same job, which somebody asked for again.
    Resume(JobId),
    /// The job did it.
    Succeed {
        /// Which.
        job: JobId,
        /// What the platform said.
        result: Map<String, Value>,
    },
    /// The job came to nothing.
    Fail {
        /// Which.
        job: JobId,
        /// Why.
        error: String,
    },
    /// Do not hand it over.
    Withhold {
        /// Why.
        error: String,
    },
    /// Let it not appear.
    Cancel,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such post, or not for this person.
    #[error("there is no such post")]
    Unknown,
    /// There is another post of this id.
    #[error("this Idempotency-Key was used for another post")]
    Conflict,
    /// It does not wait for its time, or its time has not come.
    #[error("the post is not due: it is {0}")]
    NotDue(&'static str),
    /// Another job hands it over, or none.
    #[error("the post is not published by this job")]
    NotItsJob,
    /// It is under way, or over.
    #[error("only drafts and scheduled posts can be cancelled; this one is {0}")]
    TooLate(&'static str),
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Conflict | Self::NotDue(_) | Self::NotItsJob | Self::TooLate(_) => Kind::Conflict,
        }
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Post {
    /// Nobody wrote it.
    #[default]
    Absent,
    /// Somebody did.
    Present(Box<Known>),
}

/// What is known of a post.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What is to be posted.
    pub draft: Draft,
    /// When it was to appear.
    pub scheduled: Option<DateTime<Utc>>,
    /// How it stands.
    pub stage: Stage,
}

/// How a post stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Kept for later.
    Draft,
    /// Waits for its time.
    Scheduled,
    /// Being handed over.
    Publishing(JobId),
    /// There.
    Posted,
    /// Not there, or nobody knows; the job, if one was to hand it over.
    Failed(Option<JobId>),
    /// No longer wanted.
    Cancelled,
}

impl Stage {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Publishing(_) => "publishing",
            Self::Posted => "posted",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it takes a place among what is scheduled.
    pub fn waits(self) -> bool {
        matches!(self, Self::Scheduled | Self::Publishing(_))
    }
}

impl Post {
    /// The post, when there is one.
    pub fn known(&self) -> Option<&Known> {
        match self {
            Self::Absent => None,
            Self::Present(known) => Some(known),
        }
    }
}

/// The post that somebody names by this key: the same key names the same post.
pub fn named(owner: &UserId, key: &str) -> PostId {
    PostId(Uuid::new_v5(&POSTS, format!("{owner}\0{key}").as_bytes()))
}

/// The one job that hands a post over.
pub fn job(post: PostId) -> JobId {
    JobId(Uuid::new_v5(&post.0, b"publish"))
}

impl Known {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let current = match self.stage {
            Stage::Publishing(job) => Some(job),
            _ => None,
        };
        match command {
            Command::Schedule(draft, _) if draft.owner != self.draft.owner => Err(Refusal::Unknown),
            Command::Schedule(draft, at) if **draft == self.draft && *at == self.scheduled => {
                Ok(vec![])
            }
            Command::Schedule(..) => Err(Refusal::Conflict),
            Command::Publish { job, now } => match (self.stage, self.scheduled) {
                (Stage::Scheduled, Some(at)) if *now - at >= WINDOW => {
                    Ok(vec![Event::PostFailed { error: MISSED.to_owned() }])
                }
                (Stage::Scheduled, Some(at)) if at <= *now => {
                    Ok(vec![Event::PostPublishing { job: *job }])
                }
                (stage, _) => Err(Refusal::NotDue(stage.as_str())),
            },
            Command::Resume(job) => match self.stage {
                Stage::Publishing(current) if current == *job => Ok(vec![]),
                Stage::Failed(Some(earlier)) if earlier == *job => {
                    Ok(vec![Event::PostPublishing { job: *job }])
                }
                _ => Err(Refusal::NotItsJob),
            },
            Command::Succeed { job, result } if current == Some(*job) => {
                Ok(vec![Event::PostPublished { result: result.clone() }])
            }
            Command::Fail { job, error } if current == Some(*job) => {
                Ok(vec![Event::PostFailed { error: error.clone() }])
            }
            Command::Succeed { .. } | Command::Fail { .. } => Err(Refusal::NotItsJob),
            Command::Withhold { error } => match self.stage {
                Stage::Scheduled => Ok(vec![Event::PostFailed { error: error.clone() }]),
                stage => Err(Refusal::NotDue(stage.as_str())),
            },
            Command::Cancel => match self.stage {
                Stage::Draft | Stage::Scheduled => Ok(vec![Event::PostCancelled {}]),
                Stage::Cancelled => Err(Refusal::Unknown),
                stage => Err(Refusal::TooLate(stage.as_str())),
            },
        }
    }
}

impl Decider for Post {
    const CATEGORY: &'static str = "post";
    type Id = PostId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Schedule(draft, at)) => {
                let scheduled = at.map(|at| Event::PostScheduled { at });
                Ok([Event::PostDrafted(draft.clone())].into_iter().chain(scheduled).collect())
            }
            (Self::Absent, _) => Err(Refusal::Unknown),
            (Self::Present(known), command) => known.decide(command),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        let mut known = match (self, event) {
            (_, Event::PostDrafted(draft)) => {
                let draft = (**draft).clone();
                Box::new(Known { draft, scheduled: None, stage: Stage::Draft })
            }
            (Self::Present(known), _) => known,
            (Self::Absent, _) => return Self::Absent,
        };
        match event {
            Event::PostDrafted(_) => {}
            Event::PostScheduled { at } => {
                (known.scheduled, known.stage) = (Some(*at), Stage::Scheduled);
            }
            Event::PostPublishing { job } => known.stage = Stage::Publishing(*job),
            Event::PostPublished { .. } => known.stage = Stage::Posted,
            Event::PostFailed { .. } => {
                known.stage = Stage::Failed(match known.stage {
                    Stage::Publishing(job) => Some(job),
                    _ => None,
                });
            }
            Event::PostCancelled {} => known.stage = Stage::Cancelled,
        }
        Self::Present(known)
    }
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;

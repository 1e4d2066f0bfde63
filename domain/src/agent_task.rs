//! Something that a model writes for a person in the background: a draft of an agent, a better system prompt. The node that
//! performs it is named in the request; what it has not finished when it dies has failed.

use crate::{
    Decider, Kind as RefusalKind,
    ids::{NodeId, TaskId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody wants something written.
    TaskRequested(Box<Request>),
    /// It is written.
    TaskCompleted {
        /// What came of it.
        result: Map<String, Value>,
    },
    /// It will not be written.
    TaskFailed {
        /// Why.
        failure: Failure,
    },
    /// It is no longer wanted.
    TaskCancelled {},
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// By whom.
    pub owner: UserId,
    /// What.
    pub kind: Kind,
    /// About what, as it was sent.
    pub input: Map<String, Value>,
    /// `zh` or `en`.
    pub language: String,
    /// Who performs it.
    pub node: NodeId,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A draft of an agent.
    Draft,
    /// A better system prompt.
    Optimize,
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For people.
    pub message: String,
    /// As of an answer.
    pub code: u16,
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Begin.
    Request(Box<Request>),
    /// It is written.
    Complete {
        /// What came of it.
        result: Map<String, Value>,
    },
    /// It will not be written.
    Fail(Failure),
    /// It is no longer wanted.
    Cancel,
}

/// The state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AgentTask {
    /// Never requested.
    #[default]
    Absent,
    /// Being written.
    Running,
    /// Over, in whatever way.
    Over,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such task.
    #[error("no such task")]
    Unknown,
    /// The id is taken.
    #[error("the task exists already")]
    Exists,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::Unknown => RefusalKind::Unknown,
            Self::Exists => RefusalKind::Conflict,
        }
    }
}

impl Decider for AgentTask {
    const CATEGORY: &'static str = "agent_task";
    type Id = TaskId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Request(request)) => {
                Ok(vec![Event::TaskRequested(request.clone())])
            }
            (Self::Running | Self::Over, Command::Request(_)) => Err(Refusal::Exists),
            (Self::Absent, Command::Complete { .. } | Command::Fail(_) | Command::Cancel) => {
                Err(Refusal::Unknown)
            }
            (Self::Running, Command::Complete { result }) => {
                Ok(vec![Event::TaskCompleted { result: result.clone() }])
            }
            (Self::Running, Command::Fail(failure)) => {
                Ok(vec![Event::TaskFailed { failure: failure.clone() }])
            }
            (Self::Running, Command::Cancel) => Ok(vec![Event::TaskCancelled {}]),
            // Whatever comes late: how it ended is settled.
            (Self::Over, Command::Complete { .. } | Command::Fail(_) | Command::Cancel) => {
                Ok(vec![])
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::TaskRequested(_) => Self::Running,
            Event::TaskCompleted { .. } | Event::TaskFailed { .. } | Event::TaskCancelled {} => {
                Self::Over
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use uuid::Uuid;

    fn request() -> Box<Request> {
        Box::new(Request {
            owner: "ann".into(),
            kind: Kind::Draft,
            input: Map::new(),
            language: "zh".to_owned(),
            node: NodeId(Uuid::from_u128(1)),
        })
    }

    #[test]
    fn a_task_ends_once() {
        let requested = || Event::TaskRequested(request());
        let complete = || Command::Complete { result: Map::new() };
        let completed = || Event::TaskCompleted { result: Map::new() };
        given::<AgentTask>([]).when(Command::Request(request())).then([requested()]);
        given::<AgentTask>([requested()]).when(complete()).then([completed()]);
        given::<AgentTask>([requested()]).when(Command::Cancel).then([Event::TaskCancelled {}]);
        given::<AgentTask>([requested(), Event::TaskCancelled {}]).when(complete()).then_nothing();
        let failure = Failure { message: "late".to_owned(), code: 500 };
        given::<AgentTask>([requested(), completed()]).when(Command::Fail(failure)).then_nothing();
        given::<AgentTask>([]).when(Command::Cancel).then_refused(Refusal::Unknown);
        given::<AgentTask>([requested()])
            .when(Command::Request(request()))
            .then_refused(Refusal::Exists);
    }
}

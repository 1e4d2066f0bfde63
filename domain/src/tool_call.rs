//! A tool that a person called directly: who is in the metadata, which and how it ended is here. What was handed over
//! and what came back is not, since either may be secret. Calls of a model are part of its run.

use crate::{Decider, Kind, ids::AgentId};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolCallId(pub Uuid);

impl fmt::Display for ToolCallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The tool did what it should.
    Success,
    /// The tool failed.
    Error,
    /// It was stopped, or took too long.
    Cancelled,
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody called a tool. When nothing follows, the server went down meanwhile.
    ToolCallStarted {
        /// Its name.
        tool: String,
        /// Where it comes from: `builtin`, or `mcp:` and the server's name.
        source: String,
        /// In whose workspace it works.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// The call is over.
    ToolCallEnded {
        /// How.
        ending: Ending,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Call a tool.
    Start {
        /// Its name.
        tool: String,
        /// Where it comes from.
        source: String,
        /// In whose workspace it works.
        agent: Option<AgentId>,
    },
    /// Say how it ended.
    End(Ending),
}

/// The state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToolCall {
    /// Nobody called.
    #[default]
    Absent,
    /// Going on.
    Started,
    /// Over.
    Ended,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A call is started once and then ended once.
    #[error("the call is not at this point")]
    OutOfOrder,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }
}

impl Decider for ToolCall {
    const CATEGORY: &'static str = "tool_call";
    type Id = ToolCallId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Start { tool, source, agent }) => {
                let (tool, source, agent) = (tool.clone(), source.clone(), agent.clone());
                Ok(vec![Event::ToolCallStarted { tool, source, agent }])
            }
            (Self::Started, Command::End(ending)) => {
                Ok(vec![Event::ToolCallEnded { ending: *ending }])
            }
            (Self::Started | Self::Ended, Command::Start { .. })
            | (Self::Absent | Self::Ended, Command::End(_)) => Err(Refusal::OutOfOrder),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::ToolCallStarted { .. } => Self::Started,
            Event::ToolCallEnded { .. } => Self::Ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn a_call_starts_and_ends_once() {
        let start = || Command::Start {
            tool: "grep".to_owned(),
            source: "builtin".to_owned(),
            agent: None,
        };
        let started = || Event::ToolCallStarted {
            tool: "grep".to_owned(),
            source: "builtin".to_owned(),
            agent: None,
        };
        let ended = || Event::ToolCallEnded { ending: Ending::Error };
        given::<ToolCall>([]).when(start()).then([started()]);
        given::<ToolCall>([started()]).when(Command::End(Ending::Error)).then([ended()]);
        given::<ToolCall>([started()]).when(start()).then_refused(Refusal::OutOfOrder);
        given::<ToolCall>([started(), ended()])
            .when(Command::End(Ending::Success))
            .then_refused(Refusal::OutOfOrder);
    }
}

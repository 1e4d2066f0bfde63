//! What happens in a run, as stored.

use super::{DoneStep, Settings};
use crate::{
    Revision,
    ids::{AgentId, ConversationId, NodeId, RunId, UserId},
    message::{Line, Message},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody asked; the node named in the request is the first performer.
    RunRequested(Box<Request>),
    /// Another node goes on where a performer left off.
    RunClaimed {
        /// The new performer.
        node: NodeId,
        /// From 2.
        attempt: u32,
    },
    /// A model turn begins.
    TurnStarted {
        /// Turn number within the run, from 0.
        turn: u32,
        /// The attempt it belongs to.
        attempt: u32,
        /// Id of the message it will produce.
        message_id: String,
    },
    /// Lines that clients may now be sent.
    LinesRecorded {
        /// Index of the first.
        first: u64,
        /// The lines.
        lines: Vec<Line>,
    },
    /// A model turn is complete; it is never repeated.
    TurnCompleted {
        /// Turn number.
        turn: u32,
        /// What it said.
        message: Option<Box<Message>>,
        /// What it cost.
        usage: TurnUsage,
    },
    /// A model turn broke off.
    TurnAbandoned {
        /// Turn number.
        turn: u32,
        /// What it said until then, as it stays in the history.
        message: Option<Box<Message>>,
        /// `superseded`, `interrupted`, or what failed.
        reason: String,
    },
    /// A tool that the last turn asked for is about to be called; how far it got is not known until the next event of
    /// this call.
    ToolStarted {
        /// Id of the call.
        call: String,
        /// The tool.
        name: String,
        /// The attempt it belongs to.
        attempt: u32,
    },
    /// A call has its result; it is never made again.
    ToolFinished {
        /// The result as clients see it, with the id of its call.
        message: Box<Message>,
        /// What the model reads, where that is more than what clients see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<String>,
    },
    /// A complete message that is not a model's.
    MessagePosted(Box<Message>),
    /// A step of the app begins.
    AppStepStarted {
        /// Its key.
        step: String,
        /// The attempt it belongs to.
        attempt: u32,
    },
    /// A step of the app is done; it is never taken again.
    AppStepFinished {
        /// Its key.
        step: String,
        /// With what.
        done: Box<DoneStep>,
        /// What its models cost.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        usage: Vec<TurnUsage>,
    },
    /// What is in the log of a run that works for this one, up to `revision`, is also part of this one: its lines are sent
    /// here, too.
    SubRunRelayed {
        /// The run that works for this one.
        run: RunId,
        /// The last of its events that is here by now.
        revision: Revision,
        /// Index of the first line.
        first: u64,
        /// The lines.
        lines: Vec<Line>,
        /// The message that is complete with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Box<Message>>,
        /// What the turn that is complete with it cost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<TurnUsage>,
    },
    /// Somebody wants the run stopped.
    InterruptRequested(Interrupt),
    /// Over, once and for all.
    RunEnded {
        /// How.
        outcome: Outcome,
        /// Index of the end line: the number of lines before it.
        index: u64,
        /// The end line.
        line: Line,
        /// What went wrong, if something did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// To the end.
    #[default]
    Completed,
    /// Stopped by its owner, or because the connection it was tied to broke.
    Interrupted,
    /// Stopped because another run took the floor.
    Replaced,
    /// Because of the model or the machine.
    Failed,
}

/// Why a run shall stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupt {
    /// For people.
    pub reason: String,
    /// Whether it is because another run took the floor.
    #[serde(default)]
    pub replaced: bool,
}

/// Which door the request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// Sage `/api/chat`: tied to its connection.
    SageChat,
    /// Sage `/api/stream`: tied to its connection.
    SageStream,
    /// Sage `/api/web-stream`: independent of any connection.
    SageWebStream,
    /// LLMStack `/api/apps/…/run`: stopped when its client leaves, but not by a crash of ours.
    LlmStack,
    /// GenieHelper `/api/genie/stream-chat`: stopped when its client leaves, but not by a crash of ours.
    Genie,
}

impl Surface {
    /// Whether the run ends when its connection breaks for whatever reason.
    pub fn attached(self) -> bool {
        match self {
            Self::SageChat | Self::SageStream => true,
            Self::SageWebStream | Self::LlmStack | Self::Genie => false,
        }
    }
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Whose run.
    pub owner: UserId,
    /// In which conversation.
    pub conversation: ConversationId,
    /// The session id as the client chose it.
    pub session_id: String,
    /// Through which door.
    pub surface: Surface,
    /// The first performer.
    pub node: NodeId,
    /// The agent spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Its name, as lines carry it.
    pub agent_name: String,
    /// New messages; the history before them is in the conversation.
    pub messages: Vec<Message>,
    /// How the agent shall work.
    #[serde(default)]
    pub settings: Settings,
    /// The run it works for; `None` when a person asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

impl Request {
    /// How many runs it works for, one for another: 0 when a person asked.
    pub fn depth(&self) -> u32 {
        self.parent.as_ref().map_or(0, |parent| parent.depth)
    }
}

/// The run that another run works for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run.
    pub run: RunId,
    /// The call by which it gave the work away.
    pub call: String,
    /// From 1: how far the run is from what a person asked.
    pub depth: u32,
}

/// What one model turn cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnUsage {
    /// The model that answered.
    pub model: String,
    /// The provider's usage object; `None` when it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
    /// What the turn was for; `None` for the answer itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

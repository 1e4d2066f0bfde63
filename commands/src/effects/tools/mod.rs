//! The port to tools: what a model or a person may call, and what came of it.

mod builtin;
pub mod clock;
pub mod files;
pub mod find;
pub mod knowledge;
pub mod load_skill;
pub mod mcp;
mod mcp_names;
pub mod mcp_run;
pub mod search;
pub mod shell;
pub mod todo;
mod toolbox;
pub mod web;

use domain::ids::{AgentId, ConversationId, KnowledgeBaseId, RunId, UserId};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use std::{fmt, sync::Arc, time::Duration};
pub use toolbox::Toolbox;

/// A place tools come from: the built-in ones, a person's MCP servers, …
///
/// Laws: a name that [`Tools::list`] does not give for a place cannot be called from there; whatever a tool does wrong is an
/// [`Outcome`] with [`Status::Error`], so that the model can decide what to do; dropping the future of a call ends it as
/// far as the tool allows. Nothing is retried.
pub trait Tools: Send + Sync {
    /// What can be called from here, in the order in which it is shown.
    ///
    /// # Errors
    /// When the list cannot be had at all; a single source that does not answer is left out and logged.
    fn list<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>>;

    /// Calls one tool. `None` when no tool of that name can be called from here.
    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>>;
}

/// Where a call happens: for whom, with which agent, in which session.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose things the tool may touch.
    pub owner: UserId,
    /// Whether the owner administers this installation.
    pub admin: bool,
    /// The agent whose workspace and skills apply; `None` outside of any.
    pub agent: Option<AgentId>,
    /// The conversation; `None` for a call that a person makes directly.
    pub conversation: Option<ConversationId>,
    /// The session id as the client named it; empty for a direct call.
    pub session_id: String,
    /// The run the call belongs to; `None` for a direct call.
    pub run: Option<RunId>,
    /// Knowledge bases attached to the run.
    pub knowledge_bases: Vec<KnowledgeBaseId>,
    /// Names of the skills attached to the run.
    pub skills: Vec<String>,
}

impl Place {
    /// A place outside of any agent, conversation and run.
    pub fn outside(owner: UserId, admin: bool) -> Self {
        Self {
            owner,
            admin,
            agent: None,
            conversation: None,
            session_id: String::new(),
            run: None,
            knowledge_bases: vec![],
            skills: vec![],
        }
    }
}

/// What is known of a tool before it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// As models and people call it.
    pub name: String,
    /// For models.
    pub description: String,
    /// JSON schema of the arguments: an object with `properties` and `required`.
    pub parameters: Value,
    /// Where it comes from.
    pub source: Source,
    /// Whether a call may be made again when nobody knows how the first one ended.
    pub idempotent: bool,
    /// How long a call may take; `None` for the usual limit.
    pub deadline: Option<Duration>,
}

/// Where a tool comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Built in.
    BuiltIn,
    /// An MCP server.
    Mcp {
        /// The server's name.
        server: String,
        /// Who added it; `None` for everybody's.
        owner: Option<UserId>,
    },
}

/// A wish to have a tool do something.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Id of the call, unique within its run.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// For the model: text, or JSON as text.
    pub content: String,
}

/// How a call ended. Prints as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Success,
    /// Not done; the content says why.
    Error,
    /// Stopped before its end.
    Cancelled,
}

/// The list of tools cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("tools are not available: {0}")]
pub struct ToolsUnavailable(pub Arc<str>);

impl Outcome {
    /// A call that did what it should.
    pub fn success(content: impl Into<String>) -> Self {
        Self { status: Status::Success, content: content.into() }
    }

    /// A call that failed; the model reads why.
    pub fn error(reason: impl Into<String>) -> Self {
        Self { status: Status::Error, content: reason.into() }
    }
}

impl Status {
    /// As lines and counters name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

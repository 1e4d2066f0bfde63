//! An MCP server: somebody else's tools, reached over HTTP. The log remembers where it is and which tools it had when it was
//! last asked, so that listing them needs no connection.

use crate::{
    Decider, Kind,
    ids::{McpServerId, SecretId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest name, in characters.
const NAME: usize = 128;
/// Most tools remembered of one server.
pub const TOOLS: usize = 256;

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody connected a server, and it answered.
    McpServerAdded {
        /// Whose; `None` for everybody's.
        owner: Option<UserId>,
        /// Unique among its owner's servers.
        name: String,
        /// How it is reached.
        connection: Connection,
    },
    /// It is reached in another way from now on.
    ConnectionChanged {
        /// How.
        connection: Connection,
    },
    /// It told which tools it has; only when they differ from those known.
    ToolsListed {
        /// All of them, in its order.
        tools: Vec<Tool>,
    },
    /// Its tools can no longer be called.
    McpServerDisabled {},
    /// Its tools can be called again.
    McpServerEnabled {},
    /// It is gone, and its key with it.
    McpServerDeleted {},
    /// Its creation never came this far, and never will: its name went to another.
    CreationAbandoned {},
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Where, and in which protocol.
    pub endpoint: Endpoint,
    /// Reference to the key it is shown; `None` for none.
    pub api_key: Option<SecretId>,
    /// Who saved this: how far the URL may lead depends on what this person may do.
    pub saved_by: UserId,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// An http or https URL.
    pub url: String,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One URL for everything (protocol revisions since 2025-03-26).
    StreamableHttp,
    /// An event stream that names the URL for messages (revision 2024-11-05).
    Sse,
}

/// A server that one run names for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunServer {
    /// As the request names it.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Reference to the key it is shown; `None` for none.
    #[serde(default)]
    pub api_key: Option<SecretId>,
}

/// What is remembered of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// As the server names it.
    pub name: String,
    /// For models.
    #[serde(default)]
    pub description: String,
    /// JSON schema of its arguments.
    pub parameters: Value,
    /// Whether the server says that calling it twice does no more than calling it once.
    #[serde(default)]
    pub idempotent: bool,
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Add a server that has answered.
    Add {
        /// Whose; `None` for everybody's.
        owner: Option<UserId>,
        /// Its name.
        name: String,
        /// How it is reached.
        connection: Connection,
        /// The tools it told.
        tools: Vec<Tool>,
    },
    /// Make sure that it never comes to be, or find that it is gone.
    Abandon,
    /// Reach it in another way, in which it has answered.
    Reconnect {
        /// How.
        connection: Connection,
        /// The tools it told.
        tools: Vec<Tool>,
    },
    /// Remember the tools it told.
    ListTools(Vec<Tool>),
    /// Stop calling its tools.
    Disable,
    /// Call its tools again.
    Enable,
    /// Disable what is enabled and the other way round.
    Toggle,
    /// Delete; only its owner or an administrator, which the caller has established.
    Delete,
}

/// The state.
#[derive(Debug, Clone, Default)]
pub enum McpServer {
    /// Never added.
    #[default]
    Absent,
    /// There.
    Present(Box<Present>),
    /// Deleted, or never to come.
    Deleted,
}

/// A server that is there.
#[derive(Debug, Clone)]
pub struct Present {
    /// How it is reached.
    pub connection: Connection,
    /// The tools it told last.
    pub tools: Vec<Tool>,
    /// Whether its tools are out of use.
    pub disabled: bool,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such server.
    #[error("no such MCP server")]
    Unknown,
    /// The name is taken.
    #[error("the MCP server exists already")]
    Exists,
    /// A name has 1 to 128 characters, none of them a slash or a control character: it is part of URLs.
    #[error("a server's name has 1 to 128 characters without slashes and control characters")]
    BadName,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Exists => Kind::Conflict,
            Self::BadName => Kind::Invalid,
        }
    }
}

/// Whether a server may be called this.
///
/// # Errors
/// [`Refusal::BadName`] otherwise.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let odd = |c: char| c.is_control() || matches!(c, '/' | '\\');
    let fits = name.trim() == name && !name.is_empty() && name.chars().count() <= NAME;
    // A path segment of dots only never arrives: clients resolve it away.
    let dots = name.chars().all(|c| c == '.');
    if fits && !dots && !name.contains(odd) { Ok(()) } else { Err(Refusal::BadName) }
}

impl McpServer {
    /// The server, if it is there.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when it is not.
    pub fn present(&self) -> Result<&Present, Refusal> {
        match self {
            Self::Present(present) => Ok(present),
            Self::Absent | Self::Deleted => Err(Refusal::Unknown),
        }
    }

    fn changed(self, change: impl FnOnce(&mut Present)) -> Self {
        match self {
            Self::Present(mut present) => {
                change(&mut present);
                Self::Present(present)
            }
            Self::Absent | Self::Deleted => self,
        }
    }
}

impl Decider for McpServer {
    const CATEGORY: &'static str = "mcp_server";
    type Id = McpServerId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Add { owner, name, connection, tools } => {
                check_name(name)?;
                match self {
                    Self::Absent => {}
                    Self::Present(_) | Self::Deleted => return Err(Refusal::Exists),
                }
                let (owner, name, connection) = (owner.clone(), name.clone(), connection.clone());
                let added = Event::McpServerAdded { owner, name, connection };
                Ok(vec![added].into_iter().chain(listed(&[], tools)).collect())
            }
            Command::Abandon => match self {
                Self::Absent => Ok(vec![Event::CreationAbandoned {}]),
                Self::Deleted => Ok(vec![]),
                Self::Present(_) => Err(Refusal::Exists),
            },
            Command::Reconnect { connection, tools } => {
                let present = self.present()?;
                let changed = (present.connection != *connection)
                    .then(|| Event::ConnectionChanged { connection: connection.clone() });
                Ok(changed.into_iter().chain(listed(&present.tools, tools)).collect())
            }
            Command::ListTools(tools) => {
                Ok(listed(&self.present()?.tools, tools).into_iter().collect())
            }
            Command::Disable => Ok(self.present()?.switched(true)),
            Command::Enable => Ok(self.present()?.switched(false)),
            Command::Toggle => {
                let present = self.present()?;
                Ok(present.switched(!present.disabled))
            }
            Command::Delete => self.present().map(|_| vec![Event::McpServerDeleted {}]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::McpServerAdded { connection, .. } => {
                let connection = connection.clone();
                Self::Present(Box::new(Present { connection, tools: vec![], disabled: false }))
            }
            Event::ConnectionChanged { connection } => {
                self.changed(|present| present.connection = connection.clone())
            }
            Event::ToolsListed { tools } => self.changed(|present| present.tools = tools.clone()),
            Event::McpServerDisabled {} => self.changed(|present| present.disabled = true),
            Event::McpServerEnabled {} => self.changed(|present| present.disabled = false),
            Event::McpServerDeleted {} | Event::CreationAbandoned {} => Self::Deleted,
        }
    }
}

impl Present {
    fn switched(&self, disabled: bool) -> Vec<Event> {
        match (self.disabled, disabled) {
            (false, true) => vec![Event::McpServerDisabled {}],
            (true, false) => vec![Event::McpServerEnabled {}],
            (false, false) | (true, true) => vec![],
        }
    }
}

/// News of the tools, if there are any.
fn listed(known: &[Tool], told: &[Tool]) -> Option<Event> {
    let told = &told[..told.len().min(TOOLS)];
    (known != told).then(|| Event::ToolsListed { tools: told.to_vec() })
}

#[cfg(test)]
#[path = "mcp_server_tests.rs"]
mod tests;

//! An agent: a saved configuration of prompt, tools and limits that people chat with.

use crate::{
    Decider, Kind,
    ids::{AgentId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody made an agent.
    AgentCreated {
        /// Whose.
        owner: UserId,
        /// How it works.
        config: Box<Config>,
    },
    /// It is gone; conversations with it stay.
    AgentDeleted {},
    /// Its creation never came this far, and never will: its name went to another.
    CreationAbandoned {},
}

/// How an agent works.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Unique among its owner's agents.
    pub name: String,
    /// System prompt.
    pub system_prefix: Option<String>,
    /// Structured context.
    pub system_context: Option<Map<String, Value>>,
    /// Named lists of steps.
    pub available_workflows: Option<Map<String, Value>>,
    /// Tool names.
    pub available_tools: Option<Vec<String>>,
    /// Agents it may delegate to.
    pub available_sub_agent_ids: Option<Vec<String>>,
    /// Skill names.
    pub available_skills: Option<Vec<String>>,
    /// Knowledge bases it answers from.
    pub available_knowledge_bases: Option<Vec<String>>,
    /// `session` or `user`.
    pub memory_type: Option<String>,
    /// Most model turns per run.
    pub max_loop_count: Option<u32>,
    /// Thinks longer.
    pub deep_thinking: Option<bool>,
    /// Pinned model provider.
    pub llm_provider_id: Option<String>,
    /// Takes images.
    pub enable_multimodal: Option<bool>,
    /// Works with sub-agents.
    pub multi_agent: Option<bool>,
    /// Free text, for example `default`, `simple`, `fibre`, `team`.
    pub agent_mode: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Create.
    Create {
        /// Whose.
        owner: UserId,
        /// How it works.
        config: Box<Config>,
    },
    /// Make sure that it never comes to be, or find that it is gone.
    Abandon,
    /// Delete; only its owner or an admin, which the caller has established.
    Delete,
}

/// The state.
#[derive(Debug, Clone, Default)]
pub enum Agent {
    /// Never created.
    #[default]
    Absent,
    /// There.
    Present,
    /// Deleted, or never to come.
    Deleted,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such agent.
    #[error("no such agent")]
    Unknown,
    /// The id is taken.
    #[error("the agent exists already")]
    Exists,
    /// An agent has a name of 1 to 255 characters.
    #[error("an agent has a name of 1 to 255 characters")]
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

impl Decider for Agent {
    const CATEGORY: &'static str = "agent";
    type Id = AgentId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Create { owner, config }) => {
                check_name(&config.name)?;
                Ok(vec![Event::AgentCreated { owner: owner.clone(), config: config.clone() }])
            }
            (Self::Present | Self::Deleted, Command::Create { .. })
            | (Self::Present, Command::Abandon) => Err(Refusal::Exists),
            (Self::Absent, Command::Abandon) => Ok(vec![Event::CreationAbandoned {}]),
            (Self::Deleted, Command::Abandon) => Ok(vec![]),
            (Self::Present, Command::Delete) => Ok(vec![Event::AgentDeleted {}]),
            (Self::Absent | Self::Deleted, Command::Delete) => Err(Refusal::Unknown),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::AgentCreated { .. } => Self::Present,
            Event::AgentDeleted {} | Event::CreationAbandoned {} => Self::Deleted,
        }
    }
}

/// Whether an agent may be called this.
///
/// # Errors
/// [`Refusal::BadName`] otherwise.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    match name.trim().is_empty() || name.chars().count() > 255 {
        true => Err(Refusal::BadName),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn named(name: &str) -> Box<Config> {
        Box::new(Config { name: name.to_owned(), ..Config::default() })
    }

    fn create(name: &str) -> Command {
        Command::Create { owner: "alice".into(), config: named(name) }
    }

    fn created(name: &str) -> Event {
        Event::AgentCreated { owner: "alice".into(), config: named(name) }
    }

    #[test]
    fn an_agent_needs_a_name() {
        given::<Agent>([]).when(create("Research")).then([created("Research")]);
        given::<Agent>([]).when(create(" ")).then_refused(Refusal::BadName);
    }

    #[test]
    fn an_abandoned_creation_never_comes_to_an_end() {
        given::<Agent>([]).when(Command::Abandon).then([Event::CreationAbandoned {}]);
        given::<Agent>([Event::CreationAbandoned {}])
            .when(create("a"))
            .then_refused(Refusal::Exists);
        given::<Agent>([created("a")]).when(Command::Abandon).then_refused(Refusal::Exists);
        given::<Agent>([created("a"), Event::AgentDeleted {}])
            .when(Command::Abandon)
            .then_nothing();
    }

    #[test]
    fn a_deleted_agent_is_gone() {
        given::<Agent>([created("a")]).when(Command::Delete).then([Event::AgentDeleted {}]);
        given::<Agent>([created("a"), Event::AgentDeleted {}])
            .when(Command::Delete)
            .then_refused(Refusal::Unknown);
    }
}

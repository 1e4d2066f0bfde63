//! An agent: a saved configuration of prompt, tools and limits that people chat with.

#[cfg(test)]
mod tests;

use crate::{
    Decider, Kind,
    ids::{AgentId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// People an agent can be shared with.
const MOST_SHARED: usize = 1_000;
/// Largest configuration, in bytes of JSON: lists show many of them whole.
pub const LARGEST_CONFIG: usize = 256 * 1024;

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
    /// It works in another way from now on; another name may be part of it.
    AgentReconfigured {
        /// How.
        config: Box<Config>,
    },
    /// These people may see it and chat with it from now on, and nobody else but its owner.
    AgentShared {
        /// Who, in order, without its owner.
        users: BTreeSet<UserId>,
    },
    /// It gave up a name that it had reserved and does not bear: another agent takes it.
    AgentNameForgone {},
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

impl Config {
    /// Whether an agent may be like this.
    ///
    /// # Errors
    /// [`Refusal::BadName`], [`Refusal::TooLarge`].
    pub fn check(&self) -> Result<(), Refusal> {
        if self.name.trim().is_empty() || self.name.chars().count() > 255 {
            return Err(Refusal::BadName);
        }
        match serde_json::to_vec(self).is_ok_and(|json| json.len() <= LARGEST_CONFIG) {
            true => Ok(()),
            false => Err(Refusal::TooLarge),
        }
    }
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
    /// Work in another way.
    Reconfigure {
        /// How.
        config: Box<Config>,
        /// How many names it had forgone when the new name was reserved for it: the reservation holds as long as that is
        /// so.
        forgone: u64,
    },
    /// Be shared with exactly these people.
    Share {
        /// Who.
        users: BTreeSet<UserId>,
    },
    /// Give up this name: it never comes to be, it is gone, or it bears another name.
    Forgo {
        /// The name that another agent wants.
        name: String,
    },
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
    Present(Box<Standing>),
    /// Deleted, or never to come.
    Deleted,
}

/// An agent as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Whose.
    pub owner: UserId,
    /// How it works.
    pub config: Config,
    /// Who else may see it and chat with it.
    pub shared: BTreeSet<UserId>,
    /// How many names it has forgone.
    pub forgone: u64,
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
    /// The name that was reserved went to another in the meantime.
    #[error("the name went to another agent")]
    NameLost,
    /// Too many people.
    #[error("an agent is shared with at most {MOST_SHARED} people")]
    TooManyPeople,
    /// An agent has a name of 1 to 255 characters.
    #[error("an agent has a name of 1 to 255 characters")]
    BadName,
    /// The configuration is larger than [`LARGEST_CONFIG`].
    #[error("an agent's configuration has at most {LARGEST_CONFIG} bytes")]
    TooLarge,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Exists | Self::NameLost => Kind::Conflict,
            Self::BadName | Self::TooLarge | Self::TooManyPeople => Kind::Invalid,
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
                config.check()?;
                Ok(vec![Event::AgentCreated { owner: owner.clone(), config: config.clone() }])
            }
            (Self::Present(_) | Self::Deleted, Command::Create { .. }) => Err(Refusal::Exists),
            (Self::Present(agent), Command::Reconfigure { config, forgone }) => {
                config.check()?;
                if config.name != agent.config.name && *forgone != agent.forgone {
                    return Err(Refusal::NameLost);
                }
                let changed = **config != agent.config;
                let event = changed.then(|| Event::AgentReconfigured { config: config.clone() });
                Ok(event.into_iter().collect())
            }
            (Self::Present(agent), Command::Share { users }) => {
                let others = users.iter().filter(|user| **user != agent.owner).cloned();
                let users: BTreeSet<_> = others.collect();
                match users.len() > MOST_SHARED {
                    true => Err(Refusal::TooManyPeople),
                    false if users == agent.shared => Ok(vec![]),
                    false => Ok(vec![Event::AgentShared { users }]),
                }
            }
            (Self::Present(agent), Command::Forgo { name }) if agent.config.name == *name => {
                Err(Refusal::Exists)
            }
            (Self::Present(_), Command::Forgo { .. }) => Ok(vec![Event::AgentNameForgone {}]),
            (Self::Absent, Command::Forgo { .. }) => Ok(vec![Event::CreationAbandoned {}]),
            (Self::Deleted, Command::Forgo { .. }) => Ok(vec![]),
            (Self::Present(_), Command::Delete) => Ok(vec![Event::AgentDeleted {}]),
            (
                Self::Absent | Self::Deleted,
                Command::Reconfigure { .. } | Command::Share { .. } | Command::Delete,
            ) => Err(Refusal::Unknown),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::AgentCreated { owner, config }) => Self::Present(Box::new(Standing {
                owner: owner.clone(),
                config: (**config).clone(),
                shared: BTreeSet::new(),
                forgone: 0,
            })),
            (Self::Present(mut agent), Event::AgentReconfigured { config }) => {
                agent.config = (**config).clone();
                Self::Present(agent)
            }
            (Self::Present(mut agent), Event::AgentShared { users }) => {
                agent.shared = users.clone();
                Self::Present(agent)
            }
            (Self::Present(mut agent), Event::AgentNameForgone {}) => {
                agent.forgone += 1;
                Self::Present(agent)
            }
            (_, Event::AgentDeleted {} | Event::CreationAbandoned {}) => Self::Deleted,
            (
                gone,
                Event::AgentReconfigured { .. }
                | Event::AgentShared { .. }
                | Event::AgentNameForgone {},
            ) => gone,
        }
    }
}

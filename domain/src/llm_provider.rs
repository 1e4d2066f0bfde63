//! A model provider that somebody saved: an endpoint of the OpenAI protocol, how to call it, and the key for it. The key
//! itself is in the secret store; the log holds its reference.

mod config;
#[cfg(test)]
mod tests;

pub use config::{Change, Config, Patch};

use crate::{
    Decider, Kind,
    ids::{ProviderId, SecretId, UserId},
};
use serde::{Deserialize, Serialize};

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody saved an endpoint and a key for it.
    ProviderAdded {
        /// Whose it is, for good.
        owner: UserId,
        /// How it is called.
        config: Box<Config>,
        /// Its key.
        key: SecretId,
    },
    /// It is called in another way from now on.
    ProviderReconfigured {
        /// How.
        config: Box<Config>,
    },
    /// It is called with another key from now on; the one before is destroyed.
    ProviderKeyReplaced {
        /// The new key.
        key: SecretId,
    },
    /// It is gone, and its keys are destroyed.
    ProviderDeleted {},
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Save a new one.
    Add {
        /// Whose.
        owner: UserId,
        /// How it is called.
        config: Box<Config>,
        /// Its key.
        key: SecretId,
    },
    /// Change what the patch names.
    Change {
        /// Who wants it.
        by: UserId,
        /// What changes.
        patch: Box<Patch>,
        /// Another key.
        key: Option<SecretId>,
    },
    /// Delete it.
    Delete {
        /// Who wants it.
        by: UserId,
    },
}

/// The state.
#[derive(Debug, Clone, Default)]
pub enum LlmProvider {
    /// Never saved.
    #[default]
    Absent,
    /// There.
    Present(Box<Saved>),
    /// Deleted.
    Deleted,
}

/// A provider as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Whose.
    pub owner: UserId,
    /// How it is called.
    pub config: Config,
    /// Its key.
    pub key: SecretId,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such provider, or it is somebody else's.
    #[error("Provider not found")]
    Unknown,
    /// The id is taken.
    #[error("the provider exists already")]
    Exists,
    /// It is its owner's default; another one has to be that first, or none.
    #[error("Cannot delete default provider")]
    IsDefault,
    /// A name has 1 to 255 characters.
    #[error("the name has to have 1 to 255 characters")]
    BadName,
    /// A model name has 1 to 255 characters.
    #[error("the model has to have 1 to 255 characters")]
    BadModel,
    /// A URL has 1 to 2048 characters.
    #[error("the base_url has to have 1 to 2048 characters")]
    BadUrl,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Exists | Self::IsDefault => Kind::Conflict,
            Self::BadName | Self::BadModel | Self::BadUrl => Kind::Invalid,
        }
    }
}

impl LlmProvider {
    /// The provider as it stands, if it is this person's. Nobody else's is ever looked at, not even by administrators:
    /// its key is personal.
    pub fn of(&self, person: &UserId) -> Option<&Saved> {
        match self {
            Self::Present(saved) if saved.owner == *person => Some(saved),
            Self::Absent | Self::Present(_) | Self::Deleted => None,
        }
    }
}

impl Decider for LlmProvider {
    const CATEGORY: &'static str = "llm_provider";
    type Id = ProviderId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Add { owner, config, key } => {
                let Self::Absent = self else { return Err(Refusal::Exists) };
                config.check()?;
                let (owner, config) = (owner.clone(), config.clone());
                Ok(vec![Event::ProviderAdded { owner, config, key: *key }])
            }
            Command::Change { by, patch, key } => {
                let saved = self.of(by).ok_or(Refusal::Unknown)?;
                let config = saved.config.patched(patch);
                config.check()?;
                let config = (config != saved.config)
                    .then(|| Event::ProviderReconfigured { config: Box::new(config) });
                let key = key.map(|key| Event::ProviderKeyReplaced { key });
                Ok(config.into_iter().chain(key).collect())
            }
            Command::Delete { by } => {
                self.of(by).ok_or(Refusal::Unknown)?;
                Ok(vec![Event::ProviderDeleted {}])
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::ProviderAdded { owner, config, key }) => {
                let config = (**config).clone();
                Self::Present(Box::new(Saved { owner: owner.clone(), config, key: *key }))
            }
            (Self::Present(saved), Event::ProviderReconfigured { config }) => {
                Self::Present(Box::new(Saved { config: (**config).clone(), ..*saved }))
            }
            (Self::Present(saved), Event::ProviderKeyReplaced { key }) => {
                Self::Present(Box::new(Saved { key: *key, ..*saved }))
            }
            (_, Event::ProviderDeleted {}) => Self::Deleted,
            (gone, Event::ProviderReconfigured { .. } | Event::ProviderKeyReplaced { .. }) => gone,
        }
    }
}

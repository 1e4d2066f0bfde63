//! Model providers that people save: their endpoints in the log, their keys in the secret store.

mod url;

pub use url::{BadUrl, base_url};

use crate::{
    effects::{
        Sensitive,
        secret::{is_masked, same},
        vault::{Vault, VaultError},
    },
    execute::{self, Failure, Loaded},
    log::EventLog,
};
use domain::{
    Metadata, Position,
    ids::{ProviderId, SecretId, UserId},
    llm_default::{self, DefaultProvider},
    llm_provider::{Command, Config, LlmProvider, Patch, Refusal},
};
use std::sync::Arc;
use uuid::Uuid;

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Providers {
    log: Arc<dyn EventLog>,
    vault: Vault,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The secret store failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// A provider and its key.
#[derive(Debug)]
pub struct Opened {
    /// How it is called.
    pub config: Config,
    /// The key; `None` when it was destroyed.
    pub key: Option<Sensitive>,
}

impl Providers {
    /// The use cases on this log and these secrets.
    pub fn new(log: Arc<dyn EventLog>, vault: Vault) -> Self {
        Self { log, vault }
    }

    /// Saves a provider.
    ///
    /// # Errors
    /// As [`Refusal`]; or a failure of log or vault.
    pub async fn add(
        &self,
        owner: &UserId,
        config: Config,
        key: &Sensitive,
        metadata: &Metadata,
    ) -> Result<(ProviderId, Option<Position>)> {
        let id = ProviderId(Uuid::new_v4().to_string());
        let secret = self.keep(&id, key).await?;
        let command = Command::Add { owner: owner.clone(), config: Box::new(config), key: secret };
        let position = self.execute(&id, command, Some(secret), metadata).await?;
        Ok((id, position))
    }

    /// Changes a provider. A key that is masked, or the same as before, changes nothing.
    ///
    /// # Errors
    /// As [`Refusal`]; or a failure of log or vault.
    pub async fn change(
        &self,
        id: &ProviderId,
        by: &UserId,
        patch: Patch,
        key: Option<&Sensitive>,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        let before = self.load(id, by).await?.ok_or(Refusal::Unknown)?;
        let new = match key.filter(|key| !is_masked(key.expose())) {
            Some(key) => {
                let old = self.key(id, before.key).await?;
                let known = old.is_some_and(|old| same(old.expose(), key.expose()));
                if known { None } else { Some(self.keep(id, key).await?) }
            }
            None => None,
        };
        let command = Command::Change { by: by.clone(), patch: Box::new(patch), key: new };
        let position = self.execute(id, command, new, metadata).await?;
        if new.is_some() {
            self.vault.discard(before.key).await?;
        }
        Ok(position)
    }

    /// Deletes a provider and destroys its key. The key goes first: should the server die in between, what is left is a
    /// provider that can be deleted again, not a key that nobody can reach.
    ///
    /// # Errors
    /// As [`Refusal`]; or a failure of log or vault.
    pub async fn remove(
        &self,
        id: &ProviderId,
        by: &UserId,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        self.load(id, by).await?.ok_or(Refusal::Unknown)?;
        let default = Loaded::<DefaultProvider>::load(&*self.log, by).await?;
        if default.state().0.as_ref() == Some(id) {
            return Err(Refusal::IsDefault.into());
        }
        self.vault.destroy(&subject(id)).await?;
        // Somebody may be making it the default at this very moment.
        let dropped = self.prefer(id, by, false, metadata).await?;
        let deleted = self.execute(id, Command::Delete { by: by.clone() }, None, metadata).await?;
        Ok(deleted.max(dropped))
    }

    /// Makes a provider the one that its owner uses when nothing else is named, or lets it be so no longer.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn prefer(
        &self,
        id: &ProviderId,
        owner: &UserId,
        preferred: bool,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        use llm_default::Command;
        let command =
            if preferred { Command::Choose(id.clone()) } else { Command::Drop(id.clone()) };
        let decided =
            execute::execute::<DefaultProvider>(&*self.log, owner, &command, metadata).await;
        match decided {
            Ok(decided) => Ok(decided.position),
            Err(execute::Error::Refused(never)) => match never {},
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// A provider with its key, as the log has them now; `None` when there is none of this id that is this person's.
    ///
    /// # Errors
    /// When log or vault fail.
    pub async fn open(&self, id: &ProviderId, owner: &UserId) -> Result<Option<Opened>> {
        let Some(saved) = self.load(id, owner).await? else { return Ok(None) };
        let key = self.key(id, saved.key).await?;
        Ok(Some(Opened { config: saved.config, key }))
    }

    /// A provider's key.
    ///
    /// # Errors
    /// When the vault fails.
    pub async fn key(&self, id: &ProviderId, key: SecretId) -> Result<Option<Sensitive>> {
        Ok(self.vault.get(&subject(id), key).await?)
    }

    async fn load(
        &self,
        id: &ProviderId,
        owner: &UserId,
    ) -> Result<Option<domain::llm_provider::Saved>> {
        let loaded = Loaded::<LlmProvider>::load(&*self.log, id).await?;
        Ok(loaded.state().of(owner).cloned())
    }

    async fn keep(&self, id: &ProviderId, key: &Sensitive) -> Result<SecretId> {
        let secret = SecretId(Uuid::now_v7());
        match self.vault.put(&subject(id), secret, key).await {
            Ok(()) => Ok(secret),
            // It is being deleted right now.
            Err(VaultError::Destroyed) => Err(Refusal::Unknown.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a command for which `fresh` was put into the vault; refused, nobody will ever ask for it.
    async fn execute(
        &self,
        id: &ProviderId,
        command: Command,
        fresh: Option<SecretId>,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        match execute::execute::<LlmProvider>(&*self.log, id, &command, metadata).await {
            Ok(decided) => Ok(decided.position),
            Err(execute::Error::Refused(refusal)) => {
                if let Some(fresh) = fresh {
                    self.vault.discard(fresh).await?;
                }
                Err(refusal.into())
            }
            // Whether it was written is unknown, so the secret stays.
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }
}

/// Each provider's keys are a subject of their own, so that they can be destroyed with it.
fn subject(id: &ProviderId) -> String {
    format!("llm-provider-{id}")
}

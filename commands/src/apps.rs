//! Apps as people write them, and what they keep in the secret store.

pub mod secrets;
pub mod yaml;

use crate::{
    effects::vault::{Vault, VaultError},
    execute::{self, Failure, Loaded},
    log::EventLog,
};
use domain::{
    Metadata, Position,
    app::{App, Command, Definition, Flaw, Patch, Refusal, secrets::Holder},
    ids::{AppId, UserId},
};
use secrets::Keeper;

/// The use cases.
#[derive(Clone, Copy)]
pub struct Apps<'a> {
    log: &'a dyn EventLog,
    vault: &'a Vault,
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

/// A version as somebody wrote it.
#[derive(Clone)]
pub struct Written {
    /// What it says; secrets as they were typed.
    pub patch: Box<Patch>,
    /// Whether it is a draft.
    pub draft: bool,
    /// For people.
    pub comment: String,
}

impl<'a> Apps<'a> {
    /// On this log and this secret store.
    pub fn new(log: &'a dyn EventLog, vault: &'a Vault) -> Self {
        Self { log, vault }
    }

    /// Makes an app.
    ///
    /// # Errors
    /// [`Refusal::Flawed`]; or a failure of log or vault.
    pub async fn create(
        &self,
        id: AppId,
        owner: UserId,
        written: Written,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        self.write(id, &owner, Definition::default(), written, true, metadata).await
    }

    /// Saves another version.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::Flawed`]; or a failure of log or vault.
    pub async fn save(
        &self,
        id: AppId,
        written: Written,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        let loaded = Loaded::<App>::load(self.log, &id).await?;
        let App::Present(app) = loaded.state() else { return Err(Refusal::Unknown.into()) };
        let mut old = (*app.newest.definition).clone();
        secrets::open(self.vault, &app.owner, id, &mut old).await?;
        self.write(id, &app.owner, old, written, false, metadata).await
    }

    /// Deletes an app. Its secrets go first: should the rest fail, an app without secrets is there to be deleted again.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::Published`]; or a failure of log or vault.
    pub async fn delete(&self, id: AppId, metadata: &Metadata) -> Result<Option<Position>, Error> {
        let loaded = Loaded::<App>::load(self.log, &id).await?;
        let App::Present(app) = loaded.state() else { return Err(Refusal::Unknown.into()) };
        if app.published.is_some() {
            return Err(Refusal::Published.into());
        }
        self.vault.destroy(&secrets::of_app(&app.owner, id)).await?;
        self.execute(id, Command::Delete, metadata).await
    }

    /// Writes a version that follows `old`, in which secrets are open.
    async fn write(
        &self,
        id: AppId,
        owner: &UserId,
        old: Definition,
        written: Written,
        first: bool,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        let Written { mut patch, draft, comment } = written;
        if patch.refers() {
            let text = format!("\"{}\" is a reserved key", domain::app::secrets::REFERENCE);
            return Err(Refusal::Flawed(Flaw { path: String::new(), text }).into());
        }
        // Steps that wait for one another may do so by what is about to be hidden.
        old.patched(&patch).check().map_err(Refusal::Flawed)?;
        let subject = secrets::of_app(owner, id);
        let mut keeper = Keeper::open(self.vault, &subject).await?;
        patch.seal(&mut |secret| keeper.keep(secret));
        if keeper.is_full() {
            let text = format!("more than {} secrets", secrets::MOST);
            return Err(Refusal::Flawed(Flaw { path: String::new(), text }).into());
        }
        let new = keeper.store().await?;
        let owner = owner.clone();
        let command = match first {
            true => Command::Create { owner, patch, draft, comment },
            false => Command::Save { patch, draft, comment },
        };
        let done = self.execute(id, command, metadata).await;
        if let Err(Error::Refused(_)) = &done {
            for secret in new {
                self.vault.discard(secret).await?;
            }
        }
        done
    }

    async fn execute(
        &self,
        id: AppId,
        command: Command,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        match execute::execute::<App>(self.log, &id, &command, metadata).await {
            Ok(decided) => Ok(decided.position),
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }
}

//! Accounts at platforms and their credentials: who has them in the log, what they are in the secret store.
//!
//! Each set of credentials is a subject of the vault of its own, below its owner's: storing another set or shredding this
//! one destroys its data key, deleting the owner destroys all of theirs.

use crate::{
    effects::{
        Sensitive, credential_v1,
        keys::Keys,
        vault::{Vault, VaultError},
    },
    execute::{self, Failure, Loaded},
    log::EventLog,
    names,
};
use domain::{
    Metadata, Position,
    connection::{By, Command, Connection, Denial, Event, Known, Refusal},
    ids::{ConnectionId, SecretId, UserId},
    name::{Connections as Names, Name, NameHash},
    platforms::{self, LimitReached, Platforms},
    quota::Limit,
    user::User,
};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// How often a connection that comes and goes at the same moment is looked for.
const ATTEMPTS: usize = 3;

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Connections {
    log: Arc<dyn EventLog>,
    vault: Vault,
    keys: Arc<Keys>,
    import: Option<Sensitive>,
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
    /// Sealed credentials cannot be opened.
    #[error(transparent)]
    Unopened(#[from] credential_v1::Unopened),
    /// The subscription allows no more platforms.
    #[error(transparent)]
    Limit(#[from] LimitReached),
    /// There is no key that opens sealed credentials.
    #[error("ANNALS_CREDENTIALS_KEY_B64 is not set")]
    NoImportKey,
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose account at which platform.
#[derive(Debug, Clone)]
pub struct Account {
    /// Whose.
    pub owner: UserId,
    /// Where.
    pub platform: String,
    /// What they are called there.
    pub username: Option<String>,
}

impl Connections {
    /// The use cases on this log and these secrets. `import` opens what the upstream product sealed.
    pub fn new(
        log: Arc<dyn EventLog>,
        vault: Vault,
        keys: Arc<Keys>,
        import: Option<Sensitive>,
    ) -> Self {
        Self { log, vault, keys, import }
    }

    /// Keeps credentials for somebody's account at a platform. Returns the connection, and whether it was there before.
    ///
    /// # Errors
    /// [`Error::Limit`] when the person is connected with as many platforms as `limit` allows; or a failure of log or vault.
    pub async fn connect(
        &self,
        account: Account,
        limit: Limit,
        credentials: &Sensitive,
        metadata: &Metadata,
    ) -> Result<(ConnectionId, bool)> {
        // Before anything is created: what is refused leaves nothing behind.
        self.count(&account.owner, &account.platform, limit, metadata).await?;
        let text = format!("{}\0{}", account.owner, account.platform);
        let name = NameHash(self.keys.lookup_hash("connection", &text));
        let by = By::Person(account.owner.clone());
        for _ in 0..ATTEMPTS {
            let id = ConnectionId(Uuid::new_v4());
            let give_way = Command::Abandon;
            if names::reserve::<Names, Connection>(&*self.log, &name, &id, &give_way, metadata)
                .await?
            {
                self.create(id, account, metadata).await?;
                self.store(id, by, limit, credentials, None, metadata).await?;
                return Ok((id, false));
            }
            let holder = Loaded::<Name<Names>>::load(&*self.log, &name).await?;
            if let Some(id) = holder.state().holder() {
                let username = account.username.clone();
                self.store(*id, by, limit, credentials, username, metadata).await?;
                return Ok((*id, true));
            }
        }
        Err(Refusal::Settled.into())
    }

    /// Creates a connection under an id that somebody else has chosen; one that is there stays as it is.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn create(
        &self,
        id: ConnectionId,
        account: Account,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        let Account { owner, platform, username } = account;
        match self.execute(id, Command::Create { owner, platform, username }, metadata).await {
            Err(Error::Refused(Refusal::Settled)) => Ok(None),
            other => other.map(|(_, position)| position),
        }
    }

    /// Keeps credentials for a connection; those before are destroyed.
    ///
    /// # Errors
    /// [`Refusal`] when the connection is not there for them; [`Error::Limit`]; or a failure of log or vault.
    pub async fn store(
        &self,
        id: ConnectionId,
        by: By,
        limit: Limit,
        credentials: &Sensitive,
        username: Option<String>,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        let known = self.known(id).await?;
        let allowed =
            Command::Store { by: by.clone(), secret: SecretId(Uuid::nil()), username: None };
        domain::Decider::decide(&Connection::Present(known.clone()), &allowed)?;
        let Known { owner, platform, .. } = known;
        self.count(&owner, &platform, limit, metadata).await?;
        let secret = SecretId(Uuid::now_v7());
        self.vault.put(&subject(&owner, id, secret), secret, credentials).await?;
        // In this order: an account that goes after this look takes what is in the vault with it.
        let account = Loaded::<User>::load(&*self.log, &owner).await?;
        if account.state().account().is_none() {
            self.vault.destroy(&subject(&owner, id, secret)).await?;
            return Err(Refusal::Unknown.into());
        }
        match self.execute(id, Command::Store { by, secret, username }, metadata).await {
            Ok((events, position)) => {
                for event in events {
                    if let Event::CredentialsStored { replaced: Some(old), .. } = event {
                        self.vault.destroy(&subject(&owner, id, old)).await?;
                    }
                }
                Ok(position)
            }
            Err(Error::Refused(refusal)) => {
                self.vault.destroy(&subject(&owner, id, secret)).await?;
                Err(refusal.into())
            }
            // Whether it was written is unknown, so the secret stays.
            Err(failed) => Err(failed),
        }
    }

    /// Opens what the upstream product sealed.
    ///
    /// # Errors
    /// [`Error::NoImportKey`], [`Error::Unopened`].
    pub fn unseal(&self, sealed: &Value) -> Result<Sensitive> {
        let key = self.import.as_ref().ok_or(Error::NoImportKey)?;
        Ok(credential_v1::open(key, sealed)?)
    }

    /// The credentials; the look is on record before they are shown, also one that is refused.
    ///
    /// # Errors
    /// [`Refusal`]; [`VaultError::Damaged`] when what is kept is not what was put there; or a failure of log or vault.
    pub async fn reveal(&self, id: ConnectionId, by: By, metadata: &Metadata) -> Result<Sensitive> {
        let (events, _) = self.execute(id, Command::Reveal(by), metadata).await?;
        match events.first() {
            Some(Event::RevealRefused { reason: Denial::Impersonation }) => {
                return Err(Refusal::Impersonation.into());
            }
            Some(Event::RevealRefused { reason: Denial::NotOwner }) => {
                return Err(Refusal::Unknown.into());
            }
            Some(Event::RevealRefused { reason: Denial::NothingStored }) => {
                return Err(Refusal::NoCredentials.into());
            }
            _ => {}
        }
        let loaded = Loaded::<Connection>::load(&*self.log, &id).await?;
        let Connection::Present(known) = loaded.state() else {
            return Err(Refusal::Unknown.into());
        };
        let secret = known.secret.ok_or(Refusal::NoCredentials)?;
        let found = self.vault.get(&subject(&known.owner, id, secret), secret).await?;
        Ok(found.ok_or(Refusal::NoCredentials)?)
    }

    /// Makes the credentials unreadable for ever. The key goes first: should the server die in between, what is left can
    /// be shredded again.
    ///
    /// # Errors
    /// [`Refusal`]; or a failure of log or vault.
    pub async fn shred(&self, id: ConnectionId, by: By, metadata: &Metadata) -> Result<()> {
        let loaded = Loaded::<Connection>::load(&*self.log, &id).await?;
        // The decider judges before anything is destroyed.
        domain::Decider::decide(loaded.state(), &Command::Shred(by.clone()))?;
        let Connection::Present(known) = loaded.state() else {
            return Err(Refusal::Unknown.into());
        };
        if let Some(secret) = known.secret {
            self.vault.destroy(&subject(&known.owner, id, secret)).await?;
        }
        self.execute(id, Command::Shred(by), metadata).await?;
        let platform = known.platform.clone();
        let disconnect = platforms::Command::Disconnect { platform };
        self.platforms(&known.owner, &disconnect, metadata).await
    }

    /// Counts the platform, unless it counts already.
    async fn count(
        &self,
        owner: &UserId,
        platform: &str,
        limit: Limit,
        metadata: &Metadata,
    ) -> Result<()> {
        let connect = platforms::Command::Connect { platform: platform.to_owned(), limit };
        self.platforms(owner, &connect, metadata).await
    }

    async fn platforms(
        &self,
        owner: &UserId,
        command: &platforms::Command,
        metadata: &Metadata,
    ) -> Result<()> {
        match execute::execute::<Platforms>(&*self.log, owner, command, metadata).await {
            Ok(_) => Ok(()),
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    async fn known(&self, id: ConnectionId) -> Result<Known> {
        match Loaded::<Connection>::load(&*self.log, &id).await?.state() {
            Connection::Present(known) => Ok(known.clone()),
            Connection::Absent | Connection::Abandoned => Err(Refusal::Unknown.into()),
        }
    }

    async fn execute(
        &self,
        id: ConnectionId,
        command: Command,
        metadata: &Metadata,
    ) -> Result<(Vec<Event>, Option<Position>)> {
        match execute::execute::<Connection>(&*self.log, &id, &command, metadata).await {
            Ok(decided) => Ok((decided.events, decided.position)),
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }
}

/// Whose data key seals them.
fn subject(owner: &UserId, id: ConnectionId, secret: SecretId) -> String {
    format!("{owner}/credentials/{id}/{secret}")
}

//! Registering with an invitation. The invitation is claimed for the new person's id before they are registered, and given
//! back when they cannot be: two who use the same one at the same moment end as one person.

use crate::{
    effects::{Sensitive, keys::Keys},
    execute::{self, Failure, Loaded},
    identity::{self, Identity, Registered, Registration},
    log::EventLog,
};
use chrono::{DateTime, Utc};
use domain::{
    Metadata,
    invite::{Command, Invite, Refusal},
    name::NameHash,
};
use std::sync::Arc;

/// Random bytes of a code.
const CODE: usize = 12;

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Invites {
    log: Arc<dyn EventLog>,
    identity: Identity,
    keys: Arc<Keys>,
}

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The invitation does not count.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The person cannot be registered.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Invites {
    /// The use cases on this log and for these people.
    pub fn new(log: Arc<dyn EventLog>, identity: Identity) -> Self {
        let keys = identity.keys().clone();
        Self { log, identity, keys }
    }

    /// A new invitation: its code, which nobody can read again later.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn create(
        &self,
        expires_at: Option<DateTime<Utc>>,
        metadata: &Metadata,
    ) -> Result<Sensitive, Error> {
        let code = Sensitive::random(CODE);
        self.tell(code.expose(), Command::Create { expires_at }, metadata).await?;
        Ok(code)
    }

    /// How an invitation stands.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn find(&self, code: &str) -> Result<Invite, Failure> {
        Ok(Loaded::<Invite>::load(&*self.log, &self.hash(code)).await?.state().clone())
    }

    /// Lets an invitation no longer count.
    ///
    /// # Errors
    /// [`Refusal::NotValid`] when there is none that could; or a failure of the log.
    pub async fn disable(&self, code: &str, metadata: &Metadata) -> Result<(), Error> {
        self.tell(code, Command::Disable, metadata).await
    }

    /// Registers somebody who has an invitation.
    ///
    /// # Errors
    /// [`Refusal::NotValid`], then whatever [`Identity::register`] refuses; the invitation counts on in that case.
    pub async fn register(
        &self,
        code: &str,
        wanted: Registration,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<Registered, Error> {
        let user = wanted.user.clone();
        self.tell(code, Command::Claim { user: user.clone(), now }, metadata).await?;
        match self.identity.register(wanted, metadata).await {
            Ok(registered) => Ok(registered),
            Err(error) => {
                self.tell(code, Command::Release(user), metadata).await?;
                Err(error.into())
            }
        }
    }

    async fn tell(&self, code: &str, command: Command, metadata: &Metadata) -> Result<(), Error> {
        let id = self.hash(code);
        match execute::execute::<Invite>(&*self.log, &id, &command, metadata).await {
            Ok(_) => Ok(()),
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    fn hash(&self, code: &str) -> NameHash {
        NameHash(self.keys.lookup_hash("invite", code.trim()))
    }
}

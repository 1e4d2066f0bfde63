//! Registering with an invitation. The invitation is claimed for the new person's id before they are registered, and given
//! back when they cannot be: two who use the same one at the same moment end as one person. A claim whose registration died
//! is found by whoever is refused because of it: that registration is closed for ever, and the claim given back.

use crate::{
    effects::{Sensitive, keys::Keys},
    execute::{self, Failure, Loaded},
    identity::{self, Identity, Registered, Registration},
    log::EventLog,
};
use chrono::{DateTime, Utc};
use domain::{
    Metadata, Position,
    ids::UserId,
    invite::{Command, Invite, Refusal},
    name::NameHash,
    user::{self, User},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Random bytes of a code.
const CODE: usize = 12;

/// How long a registration may take to come to be, before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An invitation that was just made.
#[derive(Debug, Clone)]
pub struct New {
    /// What people register with.
    pub code: Sensitive,
    /// What it is listed under.
    pub id: NameHash,
    /// Position of the news.
    pub position: Option<Position>,
}

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

    /// A new invitation for this many people: its code, which nobody can read again later.
    ///
    /// # Errors
    /// [`Refusal::Uses`]; or a failure of the log.
    pub async fn create(
        &self,
        expires_at: Option<DateTime<Utc>>,
        max_uses: u32,
        metadata: &Metadata,
    ) -> Result<New, Error> {
        let code = Sensitive::random(CODE);
        let id = self.hash(code.expose());
        let position = self.tell(&id, Command::Create { expires_at, max_uses }, metadata).await?;
        Ok(New { code, id, position })
    }

    /// How an invitation stands.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn find(&self, code: &str) -> Result<Invite, Failure> {
        Ok(Loaded::<Invite>::load(&*self.log, &self.hash(code)).await?.state().clone())
    }

    /// How an invitation stands that was in use when it was last looked at: registrations that died are closed first.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn settled(&self, code: &str, metadata: &Metadata) -> Result<Invite, Error> {
        let id = self.hash(code);
        let invite = Loaded::<Invite>::load(&*self.log, &id).await?.state().clone();
        if invite.status() != Some("claimed") {
            return Ok(invite);
        }
        self.release_dead(&id, &invite, metadata).await?;
        Ok(Loaded::<Invite>::load(&*self.log, &id).await?.state().clone())
    }

    /// Lets the invitation of this code or id no longer count.
    ///
    /// # Errors
    /// [`Refusal::NotValid`] when there is none that could; or a failure of the log.
    pub async fn disable(
        &self,
        code_or_id: &str,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        let named = NameHash(code_or_id.trim().to_owned());
        let known = Loaded::<Invite>::load(&*self.log, &named).await?.revision().is_some();
        let id = if known { named } else { self.hash(code_or_id) };
        self.tell(&id, Command::Disable, metadata).await
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
        let (id, user) = (self.hash(code), wanted.user.clone());
        let claim = || Command::Claim { user: user.clone(), now };
        match self.tell(&id, claim(), metadata).await {
            Err(Error::Refused(Refusal::NotValid)) => {
                self.settled(code, metadata).await?;
                self.tell(&id, claim(), metadata).await?;
            }
            other => {
                other?;
            }
        }
        match self.identity.register(wanted, metadata).await {
            Ok(registered) => Ok(registered),
            Err(error) => {
                self.tell(&id, Command::Release(user), metadata).await?;
                Err(error.into())
            }
        }
    }

    /// Gives back what people have claimed who never came to be.
    async fn release_dead(
        &self,
        id: &NameHash,
        invite: &Invite,
        metadata: &Metadata,
    ) -> Result<(), Error> {
        let patience = Instant::now() + PATIENCE;
        for claim in invite.claims() {
            while self.is_absent(claim).await? && Instant::now() < patience {
                sleep(LOOK_AGAIN).await;
            }
            let abandon = user::Command::Abandon;
            match execute::execute::<User>(&*self.log, claim, &abandon, metadata).await {
                Ok(_) => {
                    self.tell(id, Command::Release(claim.clone()), metadata).await?;
                }
                // They are registered.
                Err(execute::Error::Refused(_)) => {}
                Err(execute::Error::Failed(failure)) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    async fn is_absent(&self, user: &UserId) -> Result<bool, Failure> {
        Ok(Loaded::<User>::load(&*self.log, user).await?.revision().is_none())
    }

    async fn tell(
        &self,
        id: &NameHash,
        command: Command,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        match execute::execute::<Invite>(&*self.log, id, &command, metadata).await {
            Ok(decided) => Ok(decided.position),
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    fn hash(&self, code: &str) -> NameHash {
        NameHash(self.keys.lookup_hash("invite", code.trim()))
    }
}

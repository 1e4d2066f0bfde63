//! Fans of creators: who they are is decided by the accounts they were seen with.

mod record;

pub use record::{Record, Unreadable};

use crate::{
    effects::keys::Keys,
    execute::{self, Failure, Loaded},
    log::EventLog,
};
use chrono::{DateTime, Utc};
use domain::{
    Metadata, Position,
    fan::{Account, Command, Fan, Patch, Refusal},
    ids::{FanId, UserId},
    name::{self, FanAccounts, Name, NameHash},
};
use std::sync::Arc;

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Fans {
    log: Arc<dyn EventLog>,
    keys: Arc<Keys>,
}

/// What is known of a fan now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The fan, when the creator says which; otherwise whoever has one of the accounts.
    pub id: Option<FanId>,
    /// What is known; the rest stays.
    pub patch: Patch,
    /// Accounts of theirs.
    pub accounts: Vec<Account>,
    /// What is to be remembered.
    pub memories: Vec<String>,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Neither a fan nor an account is named.
    #[error("platform and platform_fan_id are required")]
    Nobody,
    /// The account is another fan's.
    #[error("the account at {0} belongs to another fan")]
    Taken(String),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A fan of whom something was said.
#[derive(Debug, Clone)]
pub struct Upserted {
    /// Who.
    pub id: FanId,
    /// Whether nobody knew them before.
    pub created: bool,
    /// Position of the news; `None` when there was none.
    pub position: Option<Position>,
}

impl Fans {
    /// The use cases on this log.
    pub fn new(log: Arc<dyn EventLog>, keys: Arc<Keys>) -> Self {
        Self { log, keys }
    }

    /// Keeps what is known of a fan. The same again is nothing new.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn upsert(
        &self,
        owner: &UserId,
        known: Known,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<Upserted, Error> {
        let id = self.who(owner, &known).await?;
        let loaded = Loaded::<Fan>::load(&*self.log, &id).await?;
        let created = loaded.state().owner.is_none();
        let Known { id: named, patch, accounts, memories } = known;
        if named.is_some() && created {
            return Err(Refusal::Unknown.into());
        }
        let command = |accounts| Command::Upsert {
            owner: owner.clone(),
            patch: Box::new(patch.clone()),
            accounts,
            memories: memories.clone(),
            now,
        };
        // Judged as a whole before an account is reserved: what is refused leaves nothing behind.
        domain::Decider::decide(loaded.state(), &command(accounts.clone()))?;
        let mut theirs = Vec::with_capacity(accounts.len());
        for account in accounts {
            match self.reserve(owner, &account, id, metadata).await? {
                true => theirs.push(account),
                false if named.is_some() => return Err(Error::Taken(account.platform)),
                // One person, as somebody says, and two, as is known: what is known stays.
                false => {}
            }
        }
        match execute::execute::<Fan>(&*self.log, &id, &command(theirs), metadata).await {
            Ok(decided) => Ok(Upserted { id, created, position: decided.position }),
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Remembers something of a fan.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn remember(
        &self,
        id: FanId,
        by: UserId,
        text: String,
        now: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        let command = Command::Remember { by, text, now };
        match execute::execute::<Fan>(&*self.log, &id, &command, metadata).await {
            Ok(decided) => Ok(decided.position),
            Err(execute::Error::Refused(refusal)) => Err(refusal.into()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// The fan who is meant. The id of a new one follows from their first account, so that two who make the same fan at the
    /// same moment, or one who does it again after a crash, make one.
    async fn who(&self, owner: &UserId, known: &Known) -> Result<FanId, Error> {
        if let Some(id) = known.id {
            return Ok(id);
        }
        for account in &known.accounts {
            let hash = self.hash(owner, account);
            let name = Loaded::<Name<FanAccounts>>::load(&*self.log, &hash).await?;
            if let Some(holder) = name.state().holder() {
                return Ok(*holder);
            }
        }
        let first = known.accounts.first().ok_or(Error::Nobody)?;
        Ok(FanId::of(owner, &first.platform, &first.platform_fan_id))
    }

    /// Whether the account is this fan's now.
    async fn reserve(
        &self,
        owner: &UserId,
        account: &Account,
        fan: FanId,
        metadata: &Metadata,
    ) -> Result<bool, Failure> {
        let hash = self.hash(owner, account);
        let command = name::Command::Reserve { holder: fan, instead_of: None };
        match execute::execute::<Name<FanAccounts>>(&*self.log, &hash, &command, metadata).await {
            Ok(_) => Ok(true),
            Err(execute::Error::Refused(_)) => Ok(false),
            Err(execute::Error::Failed(failure)) => Err(failure),
        }
    }

    fn hash(&self, owner: &UserId, account: &Account) -> NameHash {
        let text = format!("{owner}\0{}\0{}", account.platform, account.platform_fan_id);
        NameHash(self.keys.lookup_hash("fan account", &text))
    }
}

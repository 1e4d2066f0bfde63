//! Accounts, logins and roles: the use cases behind every dialect and the command line.
//!
//! Everything is decided on the log, never on a read model. Several streams take part in some of them; each order of
//! steps is such that a crash in between leaves nothing that a repeat does not complete.

mod accounts;
mod bootstrap;
mod deletion;
mod logins;
mod standing;
mod upstream;

pub use accounts::{Registered, Registration};
pub use bootstrap::Bootstrapped;
pub use logins::{Authenticated, OpenedLogin};
pub use standing::{Standing, StandingChange};
pub use upstream::Upstream;

use crate::{
    effects::{
        keys::Keys,
        passwords::{PasswordError, Passwords},
        vault::{Vault, VaultError},
    },
    execute::{self, Decided, Failure, Loaded},
    log::EventLog,
};
use domain::{
    Decider, Metadata,
    admins::{Admins, Everywhere},
    ids::UserId,
    name::{Emails, Name, NameHash, Usernames},
    system::{self, System},
    user::{Account, EmailAddress, User, Username},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    log: Arc<dyn EventLog>,
    vault: Vault,
    passwords: Passwords,
    keys: Arc<Keys>,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody has this user name, in whatever case.
    #[error("the user name is taken")]
    UsernameTaken,
    /// Somebody has this e-mail address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// Unknown name or wrong password; which of the two is nobody's business.
    #[error("wrong user name or password")]
    BadCredentials,
    /// The old password is wrong.
    #[error("the old password is wrong")]
    WrongOldPassword,
    /// There is no such person.
    #[error("there is no such user")]
    UnknownUser,
    /// The account is suspended.
    #[error("the account is suspended")]
    Suspended,
    /// Nobody would be left to administer.
    #[error("the last administrator has to stay")]
    LastAdmin,
    /// Administrators are not deleted.
    #[error("an administrator cannot be deleted")]
    Administers,
    /// The person has as many API tokens as anybody may have.
    #[error("too many API tokens")]
    TooManyApiTokens,
    /// The password cannot be used, or not now.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The secret store failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// A new person's id: 32 hex digits.
pub fn mint_user_id() -> UserId {
    UserId(Uuid::now_v7().simple().to_string())
}

impl Identity {
    /// The use cases on this log and these secrets.
    pub fn new(
        log: Arc<dyn EventLog>,
        vault: Vault,
        passwords: Passwords,
        keys: Arc<Keys>,
    ) -> Self {
        Self { log, vault, passwords, keys }
    }

    /// The derived keys of this installation.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Who has this user name, written exactly so.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn named(&self, username: &str) -> Result<Option<(UserId, Account)>> {
        let found = self.holder::<Usernames>(&username_hash(username)).await?;
        Ok(found.filter(|(_, account)| account.username.as_str() == username.trim()))
    }

    /// Whether somebody has this user name, in whatever case.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn is_taken(&self, username: &Username) -> Result<bool> {
        let hash = username_hash(username.as_str());
        Ok(self.holder::<Usernames>(&hash).await?.is_some())
    }

    /// Who has this e-mail address.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn reached_at(&self, email: &EmailAddress) -> Result<Option<(UserId, Account)>> {
        self.holder::<Emails>(&self.email_hash(email)).await
    }

    /// What is known of a person.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], or when the log cannot be read.
    pub async fn account(&self, user: &UserId) -> Result<Account> {
        self.load::<User>(user).await?.account().cloned().ok_or(Error::UnknownUser)
    }

    /// Whether people may register themselves; `None` as long as nobody has decided.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn registration_allowed(&self) -> Result<Option<bool>> {
        Ok(self.load::<System>(&Everywhere).await?.allow_registration)
    }

    /// Lets people register themselves, or not.
    ///
    /// # Errors
    /// When the log does not take it.
    pub async fn allow_registration(&self, allowed: bool, metadata: &Metadata) -> Result<()> {
        let command = system::Command::AllowRegistration(allowed);
        match self.execute::<System>(&Everywhere, command, metadata).await {
            Ok(_) => Ok(()),
            Err(execute::Error::Refused(never)) => match never {},
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    async fn admins(&self) -> Result<Admins> {
        self.load::<Admins>(&Everywhere).await
    }

    async fn holder<N: domain::name::Namespace<Holder = UserId>>(
        &self,
        name: &NameHash,
    ) -> Result<Option<(UserId, Account)>> {
        let name = self.load::<Name<N>>(name).await?;
        let Some(holder) = name.holder() else { return Ok(None) };
        let account = self.load::<User>(holder).await?.account().cloned();
        Ok(account.map(|account| (holder.clone(), account)))
    }

    async fn load<D: Decider + Clone>(&self, id: &D::Id) -> Result<D> {
        Ok(Loaded::<D>::load(&*self.log, id).await?.state().clone())
    }

    async fn execute<D: Decider>(
        &self,
        id: &D::Id,
        command: D::Command,
        metadata: &Metadata,
    ) -> std::result::Result<Decided<D>, execute::Error<D::Refusal>> {
        execute::execute(&*self.log, id, &command, metadata).await
    }

    fn email_hash(&self, email: &EmailAddress) -> NameHash {
        NameHash(self.keys.lookup_hash("e-mail", email.as_str()))
    }
}

fn username_hash(username: &str) -> NameHash {
    let digest = Sha256::digest(Username::normalised(username).as_bytes());
    NameHash(crate::effects::secret::hex(&digest))
}

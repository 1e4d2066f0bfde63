//! Creating accounts, and what proves who somebody is.

use super::{Error, Identity, Result, username_hash};
use crate::{effects::Sensitive, execute, names};
use domain::{
    Metadata, Position,
    ids::{LoginId, SecretId, UserId},
    name::{self, Emails, Name, NameHash, Namespace, Usernames},
    user::{self, Account, EmailAddress, Role, User, Username},
};
use uuid::Uuid;

/// Somebody who wants an account.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The new person's id, from [`super::mint_user_id`].
    pub user: UserId,
    /// The name to sign in with.
    pub username: Username,
    /// The first password.
    pub password: Sensitive,
    /// Where to reach them.
    pub email: Option<EmailAddress>,
    /// Where to call them.
    pub phone: Option<String>,
    /// What they shall be.
    pub role: Role,
}

/// Somebody who has an account now.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Who.
    pub user: UserId,
    /// Position of the last event; the read model `users` shows them from there on.
    pub position: Option<Position>,
}

impl Identity {
    /// Creates an account. Two people who want the same name or address at the same moment: exactly one gets it.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`], [`Error::EmailTaken`], [`Error::Password`]; or a failure of log or vault.
    pub async fn register(&self, wanted: Registration, metadata: &Metadata) -> Result<Registered> {
        let username = username_hash(wanted.username.as_str());
        if self.holder::<Usernames>(&username).await?.is_some() {
            return Err(Error::UsernameTaken);
        }
        if let Some(email) = &wanted.email
            && self.reached_at(email).await?.is_some()
        {
            return Err(Error::EmailTaken);
        }
        // The slow part comes before the first reservation: the shorter a registration is unfinished, the more rarely
        // it is taken for one that crashed.
        let hash = self.passwords.hash(&wanted.password).await?;
        if !self.reserve::<Usernames>(&username, &wanted.user, metadata).await? {
            return Err(Error::UsernameTaken);
        }
        let registered = self.register_named(&wanted, &hash, metadata).await;
        if registered.is_err() {
            // Best effort: a name left with nobody is taken over by whoever wants it next.
            let _ = self.release::<Usernames>(&username, &wanted.user, metadata).await;
            if let Some(email) = &wanted.email {
                let email = self.email_hash(email);
                let _ = self.release::<Emails>(&email, &wanted.user, metadata).await;
            }
        }
        let mut registered = registered?;
        if wanted.role == Role::Administrator {
            let appointed = self.appoint(&[wanted.user], metadata).await?;
            registered.position = appointed.or(registered.position);
        }
        Ok(registered)
    }

    async fn register_named(
        &self,
        wanted: &Registration,
        hash: &Sensitive,
        metadata: &Metadata,
    ) -> Result<Registered> {
        if let Some(email) = &wanted.email {
            let email = self.email_hash(email);
            if !self.reserve::<Emails>(&email, &wanted.user, metadata).await? {
                return Err(Error::EmailTaken);
            }
        }
        let secret = SecretId(Uuid::now_v7());
        self.vault.put(wanted.user.as_str(), secret, hash).await?;
        let command = user::Command::Register {
            username: wanted.username.clone(),
            email: wanted.email.clone(),
            phone: wanted.phone.clone(),
            role: wanted.role,
            secret: Some(secret),
        };
        match self.execute::<User>(&wanted.user, command, metadata).await {
            Ok(decided) => Ok(Registered { user: wanted.user.clone(), position: decided.position }),
            Err(execute::Error::Refused(_)) => {
                // Somebody took the name over in the meantime and closed this registration.
                self.vault.discard(secret).await?;
                Err(Error::UsernameTaken)
            }
            // Whether it was written is unknown, so the secret stays.
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Sets a new password for somebody who knows the old one. Every login but `kept` ends.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::WrongOldPassword`], [`Error::Password`]; or a failure of log or vault.
    pub async fn change_password(
        &self,
        user: &UserId,
        old: &Sensitive,
        new: &Sensitive,
        kept: Option<LoginId>,
        metadata: &Metadata,
    ) -> Result<Position> {
        let account = self.account(user).await?;
        if !self.knows_password(user, &account, old).await? {
            return Err(Error::WrongOldPassword);
        }
        self.put_password(user, new, kept, account.password, metadata).await
    }

    /// Sets a new password for somebody, as an operator. Every login of theirs ends.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::Password`]; or a failure of log or vault.
    pub async fn reset_password(
        &self,
        user: &UserId,
        new: &Sensitive,
        metadata: &Metadata,
    ) -> Result<Position> {
        self.account(user).await?;
        self.put_password(user, new, None, None, metadata).await
    }

    /// Lets a program act for the person: a new token of 40 hex digits, which nobody can read again later.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::TooManyApiTokens`]; or a failure of the log.
    pub async fn issue_api_token(
        &self,
        user: &UserId,
        metadata: &Metadata,
    ) -> Result<(Sensitive, Option<Position>)> {
        let token = Sensitive::random(20);
        let command = user::Command::IssueApiToken(token.digest());
        let decided = self.execute::<User>(user, command, metadata).await.map_err(refused)?;
        Ok((token, decided.position))
    }

    pub(super) async fn knows_password(
        &self,
        user: &UserId,
        account: &Account,
        password: &Sensitive,
    ) -> Result<bool> {
        let hash = match account.password {
            Some(secret) => self.vault.get(user.as_str(), secret).await?,
            None => None,
        };
        Ok(self.passwords.verify(password, hash).await?)
    }

    async fn put_password(
        &self,
        user: &UserId,
        new: &Sensitive,
        kept_login: Option<LoginId>,
        checked: Option<SecretId>,
        metadata: &Metadata,
    ) -> Result<Position> {
        let hash = self.passwords.hash(new).await?;
        let secret = SecretId(Uuid::now_v7());
        self.vault.put(user.as_str(), secret, &hash).await?;
        let command = user::Command::ChangePassword { secret, kept_login, checked };
        match self.execute::<User>(user, command, metadata).await {
            Ok(decided) => {
                if let Some(old) = checked {
                    self.vault.discard(old).await?;
                }
                Ok(decided.position.unwrap_or_default())
            }
            Err(error @ execute::Error::Refused(_)) => {
                self.vault.discard(secret).await?;
                Err(refused(error))
            }
            Err(failed) => Err(refused(failed)),
        }
    }

    /// Whether the name is the person's now.
    pub(super) async fn reserve<N: Namespace<Holder = UserId>>(
        &self,
        name: &NameHash,
        holder: &UserId,
        metadata: &Metadata,
    ) -> Result<bool> {
        let abandon = user::Command::Abandon;
        Ok(names::reserve::<N, User>(&*self.log, name, holder, &abandon, metadata).await?)
    }

    pub(super) async fn release<N: Namespace<Holder = UserId>>(
        &self,
        name: &NameHash,
        holder: &UserId,
        metadata: &Metadata,
    ) -> Result<()> {
        let command = name::Command::Release { holder: holder.clone() };
        match self.execute::<Name<N>>(name, command, metadata).await {
            Ok(_) | Err(execute::Error::Refused(_)) => Ok(()),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }
}

/// What a person's stream refuses, in the words of the use cases.
pub(super) fn refused(error: execute::Error<user::Refusal>) -> Error {
    match error {
        execute::Error::Refused(user::Refusal::Unknown) => Error::UnknownUser,
        execute::Error::Refused(user::Refusal::TooManyApiTokens) => Error::TooManyApiTokens,
        execute::Error::Refused(user::Refusal::PasswordSuperseded) => Error::WrongOldPassword,
        execute::Error::Refused(user::Refusal::Settled) => Error::UsernameTaken,
        execute::Error::Failed(failure) => failure.into(),
    }
}

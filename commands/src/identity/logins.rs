//! Proving who somebody is, and the logins that come of it.

use super::{Error, Identity, Result};
use crate::{effects::Sensitive, execute};
use chrono::{DateTime, Utc};
use domain::{
    Metadata, Position,
    ids::{LoginId, SecretId, UserId},
    login::{self, Audience, CloseReason, Login},
    user::{Account, EmailAddress, Role, Status, User},
};
use uuid::Uuid;

/// Somebody who has proved who they are.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who.
    pub user: UserId,
    /// What is known of them.
    pub account: Account,
    /// What they may do.
    pub role: Role,
}

/// A login that has begun.
#[derive(Debug, Clone)]
pub struct OpenedLogin {
    /// Which.
    pub login: LoginId,
    /// What the browser keeps: the login's id and a random secret.
    pub cookie: Sensitive,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// The read model `logins` shows it from here on.
    pub position: Position,
}

impl OpenedLogin {
    /// The parts of a cookie's value: which login, and the secret that proves it.
    pub fn parse_cookie(value: &str) -> Option<(LoginId, Sensitive)> {
        let (login, secret) = value.split_once('.')?;
        let login = Uuid::try_parse(login).ok()?;
        (secret.len() == 2 * SECRET_BYTES)
            .then(|| (LoginId(login), Sensitive::from(secret.to_owned())))
    }
}

const SECRET_BYTES: usize = 32;

impl Identity {
    /// Who signs in with this name (exactly as registered) or else this e-mail address, and this password.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] after the same time whether the person exists or not; [`Error::Suspended`] only for
    /// those who know the password; or a failure of log or vault.
    pub async fn authenticate(
        &self,
        username_or_email: &str,
        password: &Sensitive,
    ) -> Result<Authenticated> {
        let mut found = self.named(username_or_email).await?;
        if found.is_none()
            && let Ok(email) = EmailAddress::parse(username_or_email)
        {
            found = self.reached_at(&email).await?;
        }
        let Some((user, account)) = found else {
            // All the steps that somebody's password would take.
            let (nobody, nothing) = (UserId::anonymous(), SecretId(Uuid::nil()));
            self.load::<User>(&nobody).await?;
            let hash = self.vault.get(nobody.as_str(), nothing).await?;
            self.passwords.verify(password, hash).await?;
            return Err(Error::BadCredentials);
        };
        if !self.knows_password(&user, &account, password).await? {
            return Err(Error::BadCredentials);
        }
        let admins = self.admins().await?;
        if admins.status_of(&user, &account) != Status::Active {
            return Err(Error::Suspended);
        }
        let role = admins.role_of(&user, &account);
        Ok(Authenticated { user, account, role })
    }

    /// Begins a login of somebody who has proved who they are. A password changed since then ends it at once.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn open_login(
        &self,
        who: &Authenticated,
        audience: Audience,
        expires_at: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<OpenedLogin> {
        let login = LoginId(Uuid::now_v7());
        let secret = Sensitive::random(SECRET_BYTES);
        let command = login::Command::Open {
            user: who.user.clone(),
            audience,
            digest: secret.digest(),
            generation: who.account.generation,
            expires_at,
            impersonator: None,
            reason: None,
        };
        self.open_as(login, &secret, command, expires_at, metadata).await
    }

    /// Begins a login of an administrator who acts as somebody else until `expires_at`.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] when the person does not exist or is suspended, [`Error::Administers`] when they
    /// administer; or a failure of the log.
    pub async fn impersonate(
        &self,
        (admin, reason): (&UserId, Option<String>),
        user: &UserId,
        audience: Audience,
        expires_at: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<(Authenticated, OpenedLogin)> {
        let (account, role, status) = self.standing_of(user).await?;
        if status != Status::Active {
            return Err(Error::UnknownUser);
        }
        if role.is_admin() {
            return Err(Error::Administers);
        }
        let login = LoginId(Uuid::now_v7());
        let secret = Sensitive::random(SECRET_BYTES);
        let command = login::Command::Open {
            user: user.clone(),
            audience,
            digest: secret.digest(),
            generation: account.generation,
            expires_at,
            impersonator: Some(admin.clone()),
            reason,
        };
        let opened = self.open_as(login, &secret, command, expires_at, metadata).await?;
        Ok((Authenticated { user: user.clone(), account, role }, opened))
    }

    /// Replaces the secret of a login by a new one. A secret that had been replaced before ends the login.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] when the secret does not count (any more), [`Error::Suspended`]; or a failure of the log.
    pub async fn renew_login(
        &self,
        (login, shown): (LoginId, &Sensitive),
        audience: Audience,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<(Authenticated, OpenedLogin)> {
        let Login::Open(open) = self.load::<Login>(&login).await? else {
            return Err(Error::BadCredentials);
        };
        if open.audience != audience {
            return Err(Error::BadCredentials);
        }
        let (account, role, status) = match self.standing_of(&open.user).await {
            Err(Error::UnknownUser) => return Err(Error::BadCredentials),
            other => other?,
        };
        if status != Status::Active {
            return Err(Error::Suspended);
        }
        if open.generation < account.generation && account.kept_login != Some(login) {
            return Err(Error::BadCredentials);
        }
        let secret = Sensitive::random(SECRET_BYTES);
        let (shown, digest) = (shown.digest(), secret.digest());
        let command = login::Command::Renew { shown, digest, expires_at, now };
        match self.execute::<Login>(&login, command, metadata).await {
            Ok(decided) if matches!(decided.state, Login::Open(_)) => {
                let position = decided.position.unwrap_or_default();
                let opened =
                    OpenedLogin { login, cookie: cookie(login, &secret), expires_at, position };
                Ok((Authenticated { user: open.user, account, role }, opened))
            }
            Ok(_) | Err(execute::Error::Refused(_)) => Err(Error::BadCredentials),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Ends the login whose secret this is or was. `None` when it had ended before.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] when there is no such login, or the secret is none of its; or a failure of the log.
    pub async fn sign_out(
        &self,
        (login, shown): (LoginId, &Sensitive),
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        match self.load::<Login>(&login).await? {
            Login::Open(open) if open.knows(&shown.digest()) => {
                self.close_login(login, CloseReason::SignedOut, metadata).await
            }
            Login::Closed => Ok(None),
            Login::Open(_) | Login::Absent => Err(Error::BadCredentials),
        }
    }

    async fn open_as(
        &self,
        login: LoginId,
        secret: &Sensitive,
        command: login::Command,
        expires_at: DateTime<Utc>,
        metadata: &Metadata,
    ) -> Result<OpenedLogin> {
        match self.execute::<Login>(&login, command, metadata).await {
            Ok(decided) => {
                let position = decided.position.unwrap_or_default();
                Ok(OpenedLogin { login, cookie: cookie(login, secret), expires_at, position })
            }
            // The id is fresh, so nothing can have been opened under it.
            Err(execute::Error::Refused(_)) => Err(Error::BadCredentials),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Ends a login. `None` when it had ended before, or never begun.
    ///
    /// # Errors
    /// A failure of the log.
    pub async fn close_login(
        &self,
        login: LoginId,
        reason: CloseReason,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        match self.execute::<Login>(&login, login::Command::Close { reason }, metadata).await {
            Ok(decided) => Ok(decided.position),
            Err(execute::Error::Refused(_)) => Ok(None),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }
}

fn cookie(login: LoginId, secret: &Sensitive) -> Sensitive {
    Sensitive::from(format!("{}.{}", login.0.simple(), secret.expose()))
}

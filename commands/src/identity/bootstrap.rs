//! The first administrator.

use super::{Error, Identity, Registration, Result, mint_user_id};
use crate::effects::Sensitive;
use domain::{
    Metadata, Position,
    ids::UserId,
    user::{Role, Username},
};

/// The first administrator has just come to be.
#[derive(Debug, Clone)]
pub struct Bootstrapped {
    /// Who.
    pub user: UserId,
    /// The password, when it was made up here: to be shown once.
    pub made_up: Option<Sensitive>,
    /// The read model `users` shows them from here on.
    pub position: Option<Position>,
}

impl Identity {
    /// Makes sure that somebody administers: when nobody ever did, creates an account of this name. `None` when there is
    /// nothing to do. Safe to call on several nodes at once; a start that was cut off in the middle is completed by the
    /// next one, with a new password.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`] when somebody else registered under the name before; [`Error::Password`] when the given
    /// password cannot be used; or a failure of log or vault.
    pub async fn bootstrap_admin(
        &self,
        username: Username,
        password: Option<Sensitive>,
        metadata: &Metadata,
    ) -> Result<Option<Bootstrapped>> {
        if !self.admins().await?.is_empty() {
            return Ok(None);
        }
        let (password, made_up) = match password {
            Some(given) => (given, None),
            None => {
                let random = Sensitive::random(12);
                (random.clone(), Some(random))
            }
        };
        let name = username.as_str().to_owned();
        let wanted = Registration {
            user: mint_user_id(),
            username,
            password: password.clone(),
            email: None,
            phone: None,
            role: Role::Administrator,
        };
        match self.register(wanted, metadata).await {
            Ok(registered) => {
                let (user, position) = (registered.user, registered.position);
                // A node that met the account before its appointment has set a password of its own, and shows that.
                let mine = self.account(&user).await?.generation == 1;
                Ok(mine.then_some(Bootstrapped { user, made_up, position }))
            }
            Err(Error::UsernameTaken) => self.complete(&name, &password, made_up, metadata).await,
            Err(error) => Err(error),
        }
    }

    /// The name is taken: by another node that was faster, by an earlier start that did not come to the appointment, or
    /// by somebody else, who must not become an administrator by having guessed the name.
    async fn complete(
        &self,
        name: &str,
        password: &Sensitive,
        made_up: Option<Sensitive>,
        metadata: &Metadata,
    ) -> Result<Option<Bootstrapped>> {
        if !self.admins().await?.is_empty() {
            return Ok(None);
        }
        let found = self.named(name).await?;
        let Some((user, account)) = found else { return Err(Error::UsernameTaken) };
        if account.role != Role::Administrator {
            return Err(Error::UsernameTaken);
        }
        self.reset_password(&user, password, metadata).await?;
        let position = self.appoint(&[user.clone()], metadata).await?;
        Ok(Some(Bootstrapped { user, made_up, position }))
    }
}

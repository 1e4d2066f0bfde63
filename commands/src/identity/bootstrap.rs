//! The first administrator.

use super::{Error, Identity, Registration, Result, mint_user_id};
use crate::effects::Sensitive;
use domain::{
    Metadata, Position,
    ids::UserId,
    user::{Account, Role, Username},
};

/// How often the account is tried for while other nodes try for it too.
const ATTEMPTS: usize = 10;

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
        for _ in 0..ATTEMPTS {
            let wanted = Registration {
                user: mint_user_id(),
                username: username.clone(),
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
                    return Ok(mine.then_some(Bootstrapped { user, made_up, position }));
                }
                Err(Error::UsernameTaken) => {}
                Err(error) => return Err(error),
            }
            if !self.admins().await?.is_empty() {
                return Ok(None);
            }
            if let Some((user, account)) = self.named(username.as_str()).await? {
                return self.complete(user, &account, password, made_up, metadata).await.map(Some);
            }
            // Another node has just taken the name from this one and is not done with it: the next round finds out.
        }
        Err(Error::UsernameTaken)
    }

    /// The name is taken: by another node or an earlier start that did not come to the appointment, or by somebody
    /// else, who must not become an administrator by having guessed the name.
    async fn complete(
        &self,
        user: UserId,
        account: &Account,
        password: Sensitive,
        made_up: Option<Sensitive>,
        metadata: &Metadata,
    ) -> Result<Bootstrapped> {
        if account.role != Role::Administrator {
            return Err(Error::UsernameTaken);
        }
        self.reset_password(&user, &password, metadata).await?;
        let position = self.appoint(std::slice::from_ref(&user), metadata).await?;
        Ok(Bootstrapped { user, made_up, position })
    }
}

//! Removing accounts.

use super::{Error, Identity, Result, accounts::refused, username_hash};
use domain::{
    Metadata, Position,
    ids::UserId,
    name::{Emails, Usernames},
    user::{self, User},
};

impl Identity {
    /// Removes an account: its logins and tokens stop counting, its secrets can never be read again, its names are free.
    /// A crash after the fact is in the log leaves nothing in anybody's way: names of people who are gone are taken over.
    ///
    /// # Errors
    /// [`Error::Administers`] for administrators, [`Error::UnknownUser`]; or a failure of log or vault.
    pub async fn delete(&self, user: &UserId, metadata: &Metadata) -> Result<Option<Position>> {
        let account = self.account(user).await?;
        if self.admins().await?.contains(user) {
            return Err(Error::Administers);
        }
        let deleted = self.execute::<User>(user, user::Command::Delete, metadata).await;
        let position = deleted.map_err(refused)?.position;
        self.release::<Usernames>(&username_hash(account.username.as_str()), user, metadata)
            .await?;
        if let Some(email) = &account.email {
            self.release::<Emails>(&self.email_hash(email), user, metadata).await?;
        }
        self.vault.destroy(user.as_str()).await?;
        // Whoever was appointed in the meantime must not count as somebody who can act.
        match self.dismiss(user, metadata).await {
            Ok(dismissed) => Ok(dismissed.or(position)),
            Err(Error::LastAdmin) => Ok(position),
            Err(error) => Err(error),
        }
    }
}

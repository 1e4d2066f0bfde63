//! People who log in through an upstream provider.
//!
//! The identity's reservation comes first and fixes the person's id; whoever finds it reserved for an account that is not
//! there yet goes on with the same id. So parallel first logins, and a repeat after a crash, make one person.

use super::{
    Authenticated, Error, Identity, Result, accounts::refused, mint_user_id, username_hash,
};
use crate::execute;
use domain::{
    Metadata, Position,
    ids::UserId,
    name::{self, Emails, Name, NameHash, UpstreamIdentities, Usernames},
    user::{self, EmailAddress, Role, Status, User, Username},
};

/// How often it is tried anew while others try at the same moment.
const ATTEMPTS: usize = 8;
/// User names tried for one person before the last resort.
const NAMES: usize = 4;

/// Who somebody is, as a provider says.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Which provider.
    pub provider: String,
    /// Who, there.
    pub subject: String,
    /// The name they would like; may be taken, or none at all.
    pub username: String,
    /// Their address, if the provider has verified it.
    pub email: Option<EmailAddress>,
    /// Whether the address proves who they are here.
    pub link_by_email: bool,
    /// What they become when they are new and administer nothing.
    pub default_role: Role,
    /// Whether they administer: `None` when the provider does not say.
    pub admin: Option<bool>,
}

impl Identity {
    /// The person who is somebody at a provider: known already, known by address, or new. They are the actor of what is
    /// recorded. Also returns the position from which the read model `users` shows them.
    ///
    /// # Errors
    /// [`Error::Suspended`]; [`Error::UsernameTaken`] when too many people try for the same names at once; or a failure
    /// of log or vault.
    pub async fn enter(
        &self,
        upstream: &Upstream,
        metadata: &Metadata,
    ) -> Result<(Authenticated, Option<Position>)> {
        let (user, mut reached) = self.resolve(upstream, metadata).await?;
        let metadata = &Metadata { actor: user.clone(), ..metadata.clone() };
        let (_, role, _) = self.standing_of(&user).await?;
        match upstream.admin {
            Some(true) if !role.is_admin() => {
                reached = self.appoint(std::slice::from_ref(&user), metadata).await?.or(reached);
            }
            Some(false) if role.is_admin() => match self.dismiss(&user, metadata).await {
                Ok(dismissed) => reached = dismissed.or(reached),
                // The provider does not know that somebody has to stay.
                Err(Error::LastAdmin) => tracing::warn!(%user, "the last administrator stays"),
                Err(error) => return Err(error),
            },
            _ => {}
        }
        let (account, role, status) = self.standing_of(&user).await?;
        if status != Status::Active {
            return Err(Error::Suspended);
        }
        Ok((Authenticated { user, account, role }, reached))
    }

    async fn resolve(
        &self,
        upstream: &Upstream,
        metadata: &Metadata,
    ) -> Result<(UserId, Option<Position>)> {
        let key = self.upstream_hash(upstream);
        for _ in 0..ATTEMPTS {
            let holder = self.load::<Name<UpstreamIdentities>>(&key).await?.holder().cloned();
            let (candidate, gone) = match holder {
                None => (None, None),
                Some(holder) => match self.load::<User>(&holder).await? {
                    User::Registered(_) => return Ok((holder, None)),
                    User::Absent => (Some(holder), None),
                    User::Abandoned | User::Deleted => (None, Some(holder)),
                },
            };
            let candidate = match candidate {
                Some(begun) => begun,
                None => {
                    let linked = match &upstream.email {
                        Some(email) if upstream.link_by_email => self.reached_at(email).await?,
                        _ => None,
                    };
                    let known = linked.is_some();
                    let holder = linked.map_or_else(mint_user_id, |(user, _)| user);
                    if !self.claim(&key, &holder, gone, metadata).await? {
                        continue;
                    }
                    if known {
                        return Ok((holder, None));
                    }
                    holder
                }
            };
            if let Some(position) = self.register_upstream(&candidate, upstream, metadata).await? {
                return Ok((candidate, position));
            }
        }
        Err(Error::UsernameTaken)
    }

    /// Whether the identity is this person's now.
    async fn claim(
        &self,
        key: &NameHash,
        holder: &UserId,
        gone: Option<UserId>,
        metadata: &Metadata,
    ) -> Result<bool> {
        let metadata = Metadata { actor: holder.clone(), ..metadata.clone() };
        let command = name::Command::Reserve { holder: holder.clone(), instead_of: gone };
        match self.execute::<Name<UpstreamIdentities>>(key, command, &metadata).await {
            Ok(_) => Ok(true),
            Err(execute::Error::Refused(_)) => Ok(false),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Creates the account under this id; `None` when somebody else settled it first, for better or worse.
    async fn register_upstream(
        &self,
        user: &UserId,
        upstream: &Upstream,
        metadata: &Metadata,
    ) -> Result<Option<Option<Position>>> {
        let metadata = &Metadata { actor: user.clone(), ..metadata.clone() };
        let username = self.reserve_name(user, upstream, metadata).await?;
        // An address that somebody else has stays theirs: the account goes without.
        let email = match &upstream.email {
            Some(email) => {
                let free = self.reached_at(email).await?.is_none()
                    && self.reserve::<Emails>(&self.email_hash(email), user, metadata).await?;
                free.then(|| email.clone())
            }
            None => None,
        };
        let command = user::Command::Register {
            username: username.clone(),
            email: email.clone(),
            phone: None,
            role: upstream.default_role,
            secret: None,
        };
        match self.execute::<User>(user, command, metadata).await {
            Ok(decided) => Ok(Some(decided.position)),
            Err(execute::Error::Refused(_)) => {
                let settled = self.load::<User>(user).await?;
                let account = settled.account();
                if account.is_none_or(|account| account.username != username) {
                    let name = username_hash(username.as_str());
                    self.release::<Usernames>(&name, user, metadata).await?;
                }
                if let Some(email) = &email
                    && account.is_none_or(|account| account.email.as_ref() != Some(email))
                {
                    self.release::<Emails>(&self.email_hash(email), user, metadata).await?;
                }
                Ok(None)
            }
            Err(failed) => Err(refused(failed)),
        }
    }

    /// A free name like the one they would like: itself, or with `_` and six hexadecimal digits.
    async fn reserve_name(
        &self,
        user: &UserId,
        upstream: &Upstream,
        metadata: &Metadata,
    ) -> Result<Username> {
        let wish = wish(&upstream.username);
        let digits = self.upstream_hash(upstream).0;
        // Everybody who makes this person tries the same names in the same order.
        let endings = digits.as_bytes().chunks(6).take(NAMES);
        let endings = endings.map(|six| format!("_{}", String::from_utf8_lossy(six)));
        for ending in std::iter::once(String::new()).chain(endings) {
            let Ok(name) = Username::parse(&format!("{wish}{ending}"), None) else { continue };
            let hash = username_hash(name.as_str());
            if self.holder::<Usernames>(&hash).await?.is_none()
                && self.reserve::<Usernames>(&hash, user, metadata).await?
            {
                return Ok(name);
            }
        }
        Err(Error::UsernameTaken)
    }

    fn upstream_hash(&self, upstream: &Upstream) -> NameHash {
        let text = format!("{}\0{}", upstream.provider, upstream.subject);
        NameHash(self.keys.lookup_hash("upstream identity", &text))
    }
}

/// What can be made a user name of, with room for an ending.
fn wish(text: &str) -> String {
    let local = text.split('@').next().unwrap_or_default();
    let shown: String = local.chars().filter(|c| !c.is_control()).take(57).collect();
    match shown.trim() {
        "" => "user".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_become_possible_names() {
        for (sent, made) in
            [("ann", "ann"), ("ann@example.org", "ann"), (" \n", "user"), ("", "user")]
        {
            assert_eq!(wish(sent), made);
        }
        assert!(Username::parse(&format!("{}_0123ab", wish(&"名".repeat(200))), None).is_ok());
    }
}

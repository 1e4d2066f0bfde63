//! A creator's account at a platform, and the credentials for it. The credentials themselves are in the secret store: each
//! set under a data key of its own, which is destroyed with the set.

use crate::{
    Decider, Kind,
    ids::{ConnectionId, SecretId, UserId},
};
use serde::{Deserialize, Serialize};

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody has an account at a platform.
    ConnectionCreated {
        /// Whose it is, for good.
        owner: UserId,
        /// Where.
        platform: String,
        /// What they are called there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        username: Option<String>,
    },
    /// It never came to be, and never will: its name went to another one.
    ConnectionAbandoned {},
    /// They are called something else there.
    ConnectionRenamed {
        /// What.
        username: String,
    },
    /// There are credentials, or other ones.
    CredentialsStored {
        /// Where the vault keeps them.
        secret: SecretId,
        /// Those before, which are destroyed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<SecretId>,
    },
    /// Somebody was shown the credentials; who, the metadata says.
    CredentialsRevealed {
        /// Whether it was another server of the same operator, and not the owner.
        server: bool,
    },
    /// Somebody wanted to see the credentials and was not shown them.
    RevealRefused {
        /// Why.
        reason: Denial,
    },
    /// The credentials can never be read again, wherever copies may lie.
    CredentialsShredded {
        /// Those.
        secret: SecretId,
    },
}

/// Why somebody was not shown credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// They are somebody else's.
    NotOwner,
    /// Nobody sees them while acting as somebody else.
    Impersonation,
    /// There are none (any more).
    NothingStored,
}

/// Who wants something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Another server of the same operator.
    Server,
    /// A person.
    Person(UserId),
    /// Somebody who acts as this person.
    Impersonator(UserId),
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it.
    Create {
        /// Whose.
        owner: UserId,
        /// Where.
        platform: String,
        /// What they are called there.
        username: Option<String>,
    },
    /// Make sure that it never comes to be.
    Abandon,
    /// Keep these credentials instead of those before, and this name if one is given.
    Store {
        /// Who wants it.
        by: By,
        /// Where the vault keeps them.
        secret: SecretId,
        /// What they are called there.
        username: Option<String>,
    },
    /// Put on record that somebody sees the credentials, or does not.
    Reveal(By),
    /// Destroy the credentials.
    Shred(By),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such connection, or not for this person.
    #[error("there is no such connection")]
    Unknown,
    /// It exists, or never will.
    #[error("this connection was settled before")]
    Settled,
    /// Nobody does this while acting as somebody else.
    #[error("not while acting as somebody else")]
    Impersonation,
    /// There are no credentials.
    #[error("there are no credentials")]
    NoCredentials,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::NoCredentials => Kind::Unknown,
            Self::Settled => Kind::Conflict,
            Self::Impersonation => Kind::Forbidden,
        }
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Connection {
    /// Never created.
    #[default]
    Absent,
    /// Never to be created.
    Abandoned,
    /// There.
    Present(Known),
}

/// What is known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whose it is.
    pub owner: UserId,
    /// Where.
    pub platform: String,
    /// What they are called there.
    pub username: Option<String>,
    /// Where the vault keeps the credentials.
    pub secret: Option<SecretId>,
}

impl Known {
    fn may(&self, by: &By) -> Result<(), Refusal> {
        match by {
            By::Server => Ok(()),
            By::Person(person) if *person == self.owner => Ok(()),
            By::Impersonator(person) if *person == self.owner => Err(Refusal::Impersonation),
            By::Person(_) | By::Impersonator(_) => Err(Refusal::Unknown),
        }
    }

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Create { .. } | Command::Abandon => Err(Refusal::Settled),
            Command::Store { by, secret, username } => {
                self.may(by)?;
                let named = username.clone().filter(|name| self.username.as_ref() != Some(name));
                let renamed = named.map(|username| Event::ConnectionRenamed { username });
                let stored = Event::CredentialsStored { secret: *secret, replaced: self.secret };
                Ok(renamed.into_iter().chain([stored]).collect())
            }
            Command::Reveal(by) => match self.may(by) {
                Ok(()) if self.secret.is_none() => {
                    Ok(vec![Event::RevealRefused { reason: Denial::NothingStored }])
                }
                Ok(()) => Ok(vec![Event::CredentialsRevealed { server: *by == By::Server }]),
                Err(Refusal::Impersonation) => {
                    Ok(vec![Event::RevealRefused { reason: Denial::Impersonation }])
                }
                Err(_) => Ok(vec![Event::RevealRefused { reason: Denial::NotOwner }]),
            },
            Command::Shred(by) => {
                self.may(by)?;
                let secret = self.secret.ok_or(Refusal::NoCredentials)?;
                Ok(vec![Event::CredentialsShredded { secret }])
            }
        }
    }
}

impl Decider for Connection {
    const CATEGORY: &'static str = "connection";
    type Id = ConnectionId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Create { owner, platform, username }) => {
                Ok(vec![Event::ConnectionCreated {
                    owner: owner.clone(),
                    platform: platform.clone(),
                    username: username.clone(),
                }])
            }
            (Self::Absent, Command::Abandon) => Ok(vec![Event::ConnectionAbandoned {}]),
            (Self::Abandoned, Command::Abandon) => Ok(vec![]),
            (Self::Abandoned, Command::Create { .. }) => Err(Refusal::Settled),
            (Self::Absent | Self::Abandoned, _) => Err(Refusal::Unknown),
            (Self::Present(known), command) => known.decide(command),
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::ConnectionCreated { owner, platform, username } => {
                let (owner, platform) = (owner.clone(), platform.clone());
                let username = username.clone();
                return Self::Present(Known { owner, platform, username, secret: None });
            }
            Event::ConnectionAbandoned {} => return Self::Abandoned,
            Event::CredentialsRevealed { .. } | Event::RevealRefused { .. } => {}
            Event::ConnectionRenamed { username } => {
                if let Self::Present(known) = &mut self {
                    known.username = Some(username.clone());
                }
            }
            Event::CredentialsStored { secret, .. } => {
                if let Self::Present(known) = &mut self {
                    known.secret = Some(*secret);
                }
            }
            Event::CredentialsShredded { .. } => {
                if let Self::Present(known) = &mut self {
                    known.secret = None;
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use uuid::Uuid;

    const ONE: SecretId = SecretId(Uuid::from_u128(1));
    const TWO: SecretId = SecretId(Uuid::from_u128(2));

    fn created() -> Event {
        let platform = "onlyfans".to_owned();
        Event::ConnectionCreated { owner: "ann".into(), platform, username: None }
    }

    fn stored(secret: SecretId, replaced: Option<SecretId>) -> Event {
        Event::CredentialsStored { secret, replaced }
    }

    fn store(by: By, secret: SecretId) -> Command {
        Command::Store { by, secret, username: None }
    }

    fn ann() -> By {
        By::Person("ann".into())
    }

    #[test]
    fn new_credentials_name_those_they_replace() {
        given::<Connection>([created()]).when(store(ann(), ONE)).then([stored(ONE, None)]);
        given::<Connection>([created(), stored(ONE, None)])
            .when(store(By::Server, TWO))
            .then([stored(TWO, Some(ONE))]);
    }

    #[test]
    fn anothers_connection_does_not_exist() {
        let bob = || By::Person("bob".into());
        given::<Connection>([created()]).when(store(bob(), ONE)).then_refused(Refusal::Unknown);
        given::<Connection>([created(), stored(ONE, None)])
            .when(Command::Shred(bob()))
            .then_refused(Refusal::Unknown);
        given::<Connection>([]).when(store(By::Server, ONE)).then_refused(Refusal::Unknown);
    }

    #[test]
    fn every_look_is_on_record_also_the_refused_ones() {
        let given = || given::<Connection>([created(), stored(ONE, None)]);
        given().when(Command::Reveal(ann())).then([Event::CredentialsRevealed { server: false }]);
        given()
            .when(Command::Reveal(By::Server))
            .then([Event::CredentialsRevealed { server: true }]);
        for (by, reason) in [
            (By::Person("bob".into()), Denial::NotOwner),
            (By::Impersonator("ann".into()), Denial::Impersonation),
        ] {
            given().when(Command::Reveal(by)).then([Event::RevealRefused { reason }]);
        }
    }

    #[test]
    fn what_was_shredded_is_gone() {
        let shredded = Event::CredentialsShredded { secret: ONE };
        let history = || [created(), stored(ONE, None), shredded.clone()];
        given::<Connection>(history())
            .when(Command::Reveal(ann()))
            .then([Event::RevealRefused { reason: Denial::NothingStored }]);
        given::<Connection>(history())
            .when(Command::Shred(ann()))
            .then_refused(Refusal::NoCredentials);
        given::<Connection>(history()).when(store(ann(), TWO)).then([stored(TWO, None)]);
    }
}

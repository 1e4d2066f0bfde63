//! Names that only one may have: a person, or one of a person's agents. The stream's key is a hash of the normalised name, so the log shows neither
//! names nor addresses in its stream names; an e-mail's hash is keyed.
//!
//! A name is reserved before its person's stream is written. When the second step never came (a crash in between),
//! the next taker first closes that stream for ever and then takes the name over, naming whom it takes it from.

use crate::{
    Decider, Kind,
    ids::{AgentId, ConnectionId, FanId, McpServerId, UserId},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fmt::{self, Debug},
    marker::PhantomData,
};

/// A set of names within which each is unique.
pub trait Namespace: Send + Sync {
    /// First part of the stream names.
    const CATEGORY: &'static str;
    /// What bears the names.
    type Holder: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// The names people sign in with.
#[derive(Debug)]
pub enum Usernames {}

impl Namespace for Usernames {
    const CATEGORY: &'static str = "username";
    type Holder = UserId;
}

/// E-mail addresses.
#[derive(Debug)]
pub enum Emails {}

impl Namespace for Emails {
    const CATEGORY: &'static str = "email";
    type Holder = UserId;
}

/// Who somebody is at an upstream provider; the keyed hash is of provider and subject. A reservation fixes the id of the
/// person before there is one, so that two first logins at the same moment make the same person.
#[derive(Debug)]
pub enum UpstreamIdentities {}

impl Namespace for UpstreamIdentities {
    const CATEGORY: &'static str = "upstream_identity";
    type Holder = UserId;
}

/// The names of each person's agents; the hash is of owner and name.
#[derive(Debug)]
pub enum AgentNames {}

impl Namespace for AgentNames {
    const CATEGORY: &'static str = "agent_name";
    type Holder = AgentId;
}

/// The names of each person's MCP servers, and of everybody's; the hash is of owner and name.
#[derive(Debug)]
pub enum McpServerNames {}

impl Namespace for McpServerNames {
    const CATEGORY: &'static str = "mcp_server_name";
    type Holder = McpServerId;
}

/// Each person's accounts at platforms, one per platform; the hash is of owner and platform.
#[derive(Debug)]
pub enum Connections {}

impl Namespace for Connections {
    const CATEGORY: &'static str = "connection_name";
    type Holder = ConnectionId;
}

/// Accounts of fans at platforms; the keyed hash is of creator, platform and the platform's id for the fan.
#[derive(Debug)]
pub enum FanAccounts {}

impl Namespace for FanAccounts {
    const CATEGORY: &'static str = "fan_account";
    type Holder = FanId;
}

/// Hash of a normalised name, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameHash(pub String);

impl fmt::Display for NameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event<H = UserId> {
    /// The name belongs to this holder from now on.
    NameReserved {
        /// Whose it is.
        holder: H,
    },
    /// The name is free again.
    NameReleased {
        /// Whose it was.
        holder: H,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<H = UserId> {
    /// Have the name.
    Reserve {
        /// Who wants it.
        holder: H,
        /// A holder known never to have come to exist or to exist no more, from whom it may be taken.
        instead_of: Option<H>,
    },
    /// Give the name back. Nothing happens when somebody else has it.
    Release {
        /// Who has it.
        holder: H,
    },
}

/// The name is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name is taken")]
pub struct Taken<H: Debug = UserId> {
    /// By whom.
    pub holder: H,
}

impl<H: Debug + Send + Sync + 'static> crate::Refusal for Taken<H> {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }
}

/// One name of the namespace `N`.
pub struct Name<N: Namespace> {
    holder: Option<N::Holder>,
    namespace: PhantomData<N>,
}

impl<N: Namespace> Clone for Name<N> {
    fn clone(&self) -> Self {
        Self { holder: self.holder.clone(), namespace: PhantomData }
    }
}

impl<N: Namespace> Default for Name<N> {
    fn default() -> Self {
        Self { holder: None, namespace: PhantomData }
    }
}

impl<N: Namespace> Debug for Name<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Name").field("holder", &self.holder).finish()
    }
}

impl<N: Namespace> Name<N> {
    /// Whose the name is.
    pub fn holder(&self) -> Option<&N::Holder> {
        self.holder.as_ref()
    }
}

impl<N: Namespace> Decider for Name<N> {
    const CATEGORY: &'static str = N::CATEGORY;
    type Id = NameHash;
    type Command = Command<N::Holder>;
    type Event = Event<N::Holder>;
    type Refusal = Taken<N::Holder>;

    fn decide(
        &self,
        command: &Command<N::Holder>,
    ) -> Result<Vec<Event<N::Holder>>, Taken<N::Holder>> {
        match (command, &self.holder) {
            (Command::Reserve { holder, .. }, Some(current)) if holder == current => Ok(vec![]),
            (Command::Reserve { instead_of, .. }, Some(current))
                if instead_of.as_ref() != Some(current) =>
            {
                Err(Taken { holder: current.clone() })
            }
            (Command::Reserve { holder, .. }, _) => {
                Ok(vec![Event::NameReserved { holder: holder.clone() }])
            }
            (Command::Release { holder }, Some(current)) if holder == current => {
                Ok(vec![Event::NameReleased { holder: holder.clone() }])
            }
            (Command::Release { .. }, _) => Ok(vec![]),
        }
    }

    fn evolve(self, event: &Event<N::Holder>) -> Self {
        let holder = match event {
            Event::NameReserved { holder } => Some(holder.clone()),
            Event::NameReleased { .. } => None,
        };
        Self { holder, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn reserved(by: &str) -> Event {
        Event::NameReserved { holder: by.into() }
    }

    fn reserve(by: &str) -> Command {
        Command::Reserve { holder: by.into(), instead_of: None }
    }

    #[test]
    fn a_free_name_is_reserved() {
        given::<Name<Usernames>>([]).when(reserve("ann")).then([reserved("ann")]);
    }

    #[test]
    fn reserving_twice_changes_nothing() {
        given::<Name<Usernames>>([reserved("ann")]).when(reserve("ann")).then_nothing();
    }

    #[test]
    fn a_taken_name_stays_with_its_holder() {
        given::<Name<Emails>>([reserved("ann")])
            .when(reserve("bob"))
            .then_refused(Taken { holder: "ann".into() });
    }

    #[test]
    fn a_name_is_taken_over_only_from_the_holder_that_was_meant() {
        let over =
            |who: &str| Command::Reserve { holder: "bob".into(), instead_of: Some(who.into()) };
        given::<Name<Emails>>([reserved("ann")]).when(over("ann")).then([reserved("bob")]);
        given::<Name<Emails>>([reserved("cid")])
            .when(over("ann"))
            .then_refused(Taken { holder: "cid".into() });
    }

    #[test]
    fn only_the_holder_releases_it() {
        let release = |who: &str| Command::Release { holder: who.into() };
        given::<Name<Emails>>([reserved("ann")]).when(release("bob")).then_nothing();
        given::<Name<Emails>>([reserved("ann")])
            .when(release("ann"))
            .then([Event::NameReleased { holder: "ann".into() }]);
    }
}

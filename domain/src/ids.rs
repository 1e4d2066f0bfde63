//! Typed ids. Uuid ids print in lower-case hyphenated form; text ids print as they are.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )+};
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }
    )+};
}

uuid_ids! {
    /// One model run, from request to end line.
    RunId,
    /// One conversation of one owner; derived from both, see [`ConversationId::of`].
    ConversationId,
    /// One chat of one person with their assistant; see [`ChatId::of`].
    ChatId,
    /// One thing in one of a person's collections.
    ItemId,
    /// One process of annals, from its start to its end.
    NodeId,
    /// One login of one person (browser session or token family).
    LoginId,
    /// Something that is written for a person in the background.
    TaskId,
    /// One authorization that a person gave an OAuth2 client.
    GrantId,
    /// A value in the secret store; the log holds only this reference.
    SecretId,
    /// A file to be linked to; cannot be guessed.
    UploadId,
    /// One person's account at a platform.
    ConnectionId,
    /// One job; clients choose it.
    JobId,
    /// One operation that an administrator asked for.
    OperationId,
    /// One post, from draft to what became of it.
    PostId,
    /// Somebody who follows a creator; derived from the account they were first known by, see [`FanId::of`].
    FanId,
    /// One skill; derived from where it belongs and what it is called.
    SkillId,
    /// One app.
    AppId,
    /// One session of one person with one app; derived from these, see [`AppSessionId::of`].
    AppSessionId,
}

text_ids! {
    /// A person: 32 hex digits for our own accounts, the proxy's name for accounts a trusted proxy vouches for.
    UserId,
    /// `agent_` and 8 hex digits.
    AgentId,
    /// A knowledge base: 32 hex digits.
    KnowledgeBaseId,
    /// A document of a knowledge base: 32 hex digits.
    DocumentId,
    /// An MCP server: 32 hex digits.
    McpServerId,
    /// A saved model provider: a hyphenated UUID.
    ProviderId,
    /// An OAuth2 client, as the operator named it.
    ClientId,
}

impl UserId {
    /// The actor of what no person did.
    pub fn system() -> Self {
        Self("system".to_owned())
    }

    /// Owner of what a caller without login starts, where the operator allows that.
    pub fn anonymous() -> Self {
        Self("default_user".to_owned())
    }
}

/// Namespace under which ids of delegated runs are derived.
const DELEGATIONS: Uuid = Uuid::from_u128(0x0b6e_8f0d_6f0c_4d5e_9b43_7a55_c1a2_e90f);

impl RunId {
    /// The run in which a sub-agent does the `nth` task of a call of this run. Derived, so that whoever makes the call
    /// anew finds the run that is there.
    #[must_use]
    pub fn delegated(self, call: &str, nth: usize) -> Self {
        let name = format!("{self}\0{nth}\0{call}");
        Self(Uuid::new_v5(&DELEGATIONS, name.as_bytes()))
    }
}

/// Namespace under which conversation ids are derived; any fixed value serves.
const CONVERSATIONS: Uuid = Uuid::from_u128(0x5a0c_55b3_9f0e_4c55_8a51_97f2_61d3_f6b4);

impl ConversationId {
    /// Session ids are chosen by clients, so the same id of two owners names two conversations.
    pub fn of(owner: &UserId, session_id: &str) -> Self {
        let name = format!("{}\0{session_id}", owner.0);
        Self(Uuid::new_v5(&CONVERSATIONS, name.as_bytes()))
    }
}

/// Namespace under which ids of apps' sessions are derived; any fixed value serves.
const APP_SESSIONS: Uuid = Uuid::from_u128(0x1f6f_02c9_5b0d_4b5e_9d0b_67a1_5d8e_3c22);

impl AppSessionId {
    /// Session ids are chosen by clients, so the same id of two people, or with two apps, names two sessions.
    pub fn of(app: AppId, caller: &UserId, session_id: &str) -> Self {
        let name = format!("{app}\0{}\0{session_id}", caller.0);
        Self(Uuid::new_v5(&APP_SESSIONS, name.as_bytes()))
    }
}

/// Namespace under which ids of chats are derived; any fixed value serves.
const CHATS: Uuid = Uuid::from_u128(0x8d2c_51f7_3a0e_4e6b_b1c4_9f20_7e5a_6d13);

impl ChatId {
    /// Session ids are chosen by clients, so the same id of two people names two chats; and it names another thing than the
    /// same id does in other products.
    pub fn of(owner: &UserId, session_id: &str) -> Self {
        let name = format!("{}\0{session_id}", owner.0);
        Self(Uuid::new_v5(&CHATS, name.as_bytes()))
    }
}

/// Namespace under which ids of fans are derived; any fixed value serves.
const FANS: Uuid = Uuid::from_u128(0x51c7_0b5e_96d2_4d0a_8f3e_2ab9_14c6_7d80);

impl FanId {
    /// Platforms choose ids of their own, so the same account as seen by two creators is two fans.
    pub fn of(owner: &UserId, platform: &str, platform_fan_id: &str) -> Self {
        let name = format!("{}\0{platform}\0{platform_fan_id}", owner.0);
        Self(Uuid::new_v5(&FANS, name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_session_ids_of_two_owners_never_meet() {
        let (alice, bob) = (UserId::from("alice"), UserId::from("bob"));
        assert_ne!(ConversationId::of(&alice, "1710"), ConversationId::of(&bob, "1710"));
        assert_eq!(ConversationId::of(&alice, "1710"), ConversationId::of(&alice, "1710"));
    }

    #[test]
    fn the_border_between_owner_and_session_counts() {
        assert_ne!(
            ConversationId::of(&UserId::from("a"), "bc"),
            ConversationId::of(&UserId::from("ab"), "c")
        );
    }
}

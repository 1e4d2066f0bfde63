//! One login of one person: a browser session, or what a bearer token stands for.

use crate::{
    Decider, Kind,
    ids::{LoginId, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Which of the products the login was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The Sage clients.
    Sage,
    /// The GenieHelper clients.
    Genie,
}

impl Audience {
    /// The name in tokens and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sage => "sage",
            Self::Genie => "genie",
        }
    }

    /// The audience of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sage, Self::Genie].into_iter().find(|audience| audience.as_str() == name)
    }
}

/// Why a login ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The person signed out.
    SignedOut,
    /// An administrator ended it.
    Revoked,
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody proved who they are.
    LoginOpened {
        /// Who.
        user: UserId,
        /// For which product.
        audience: Audience,
        /// SHA-256 of the secret the browser keeps, hexadecimal.
        digest: String,
        /// How often the password had been set then; a later password ends the login.
        generation: u32,
        /// When it ends by itself.
        expires_at: DateTime<Utc>,
    },
    /// The login ended.
    LoginClosed {
        /// Why.
        reason: CloseReason,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin a login; the fields are those of [`Event::LoginOpened`].
    Open {
        /// Who.
        user: UserId,
        /// For which product.
        audience: Audience,
        /// SHA-256 of the secret the browser keeps, hexadecimal.
        digest: String,
        /// How often the password had been set.
        generation: u32,
        /// When it ends by itself.
        expires_at: DateTime<Utc>,
    },
    /// End it.
    Close {
        /// Why.
        reason: CloseReason,
    },
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such login.
    #[error("there is no such login")]
    Unknown,
    /// A login of this id exists already.
    #[error("this login was opened before")]
    AlreadyOpened,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::AlreadyOpened => Kind::Conflict,
        }
    }
}

/// A login's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Login {
    /// Never opened.
    #[default]
    Absent,
    /// Usable until it expires.
    Open,
    /// Ended.
    Closed,
}

impl Decider for Login {
    const CATEGORY: &'static str = "login";
    type Id = LoginId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Open { user, audience, digest, generation, expires_at }) => {
                Ok(vec![Event::LoginOpened {
                    user: user.clone(),
                    audience: *audience,
                    digest: digest.clone(),
                    generation: *generation,
                    expires_at: *expires_at,
                }])
            }
            (Self::Open | Self::Closed, Command::Open { .. }) => Err(Refusal::AlreadyOpened),
            (Self::Absent, Command::Close { .. }) => Err(Refusal::Unknown),
            (Self::Open, Command::Close { reason }) => {
                Ok(vec![Event::LoginClosed { reason: *reason }])
            }
            (Self::Closed, Command::Close { .. }) => Ok(vec![]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::LoginOpened { .. } => Self::Open,
            Event::LoginClosed { .. } => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn opened() -> Event {
        Event::LoginOpened {
            user: "ann".into(),
            audience: Audience::Sage,
            digest: "00ff".to_owned(),
            generation: 1,
            expires_at: DateTime::UNIX_EPOCH,
        }
    }

    fn open() -> Command {
        Command::Open {
            user: "ann".into(),
            audience: Audience::Sage,
            digest: "00ff".to_owned(),
            generation: 1,
            expires_at: DateTime::UNIX_EPOCH,
        }
    }

    fn close() -> Command {
        Command::Close { reason: CloseReason::SignedOut }
    }

    fn closed() -> Event {
        Event::LoginClosed { reason: CloseReason::SignedOut }
    }

    #[test]
    fn a_login_is_opened_once() {
        given::<Login>([]).when(open()).then([opened()]);
        given::<Login>([opened()]).when(open()).then_refused(Refusal::AlreadyOpened);
    }

    #[test]
    fn a_closed_login_is_never_opened_again() {
        given::<Login>([opened(), closed()]).when(open()).then_refused(Refusal::AlreadyOpened);
    }

    #[test]
    fn signing_out_twice_changes_nothing() {
        given::<Login>([opened()]).when(close()).then([closed()]);
        given::<Login>([opened(), closed()]).when(close()).then_nothing();
    }

    #[test]
    fn what_was_never_opened_cannot_be_closed() {
        given::<Login>([]).when(close()).then_refused(Refusal::Unknown);
    }
}

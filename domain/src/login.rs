//! One login of one person: a browser session, or what a bearer token stands for.

use crate::{
    Decider, Kind,
    ids::{LoginId, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Replaced secrets of one login that are recognised.
const SPENT: usize = 256;

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
    /// A secret that had been replaced was shown again: somebody has a copy.
    Reused,
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
        /// The administrator who acts as this person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impersonator: Option<UserId>,
        /// What the administrator says it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The secret was replaced by a new one, which counts until later.
    LoginRenewed {
        /// SHA-256 of the new secret, hexadecimal.
        digest: String,
        /// When the login ends by itself from now on.
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
        /// The administrator who acts as this person.
        impersonator: Option<UserId>,
        /// What the administrator says it is for.
        reason: Option<String>,
    },
    /// Replace the secret. One that was replaced before ends the login.
    Renew {
        /// SHA-256 of the secret that is shown, hexadecimal.
        shown: String,
        /// SHA-256 of the one that replaces it, hexadecimal.
        digest: String,
        /// When the login shall end by itself.
        expires_at: DateTime<Utc>,
        /// The time of the request.
        now: DateTime<Utc>,
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
    /// The login ended, or the secret is none of its.
    #[error("this login cannot be renewed")]
    NotRenewable,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::AlreadyOpened => Kind::Conflict,
            Self::NotRenewable => Kind::Forbidden,
        }
    }
}

/// A login's life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// Never opened.
    #[default]
    Absent,
    /// Usable until it expires.
    Open(Box<Open>),
    /// Ended.
    Closed,
}

/// A login that has not been ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Who.
    pub user: UserId,
    /// For which product.
    pub audience: Audience,
    /// How often the password had been set then.
    pub generation: u32,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// SHA-256 of the secret that counts.
    digest: String,
    /// Those of the last secrets that were replaced.
    spent: Vec<String>,
}

impl Open {
    /// Whether the secret of this digest is this login's, or was.
    pub fn knows(&self, digest: &str) -> bool {
        self.digest == digest || self.spent.iter().any(|spent| spent == digest)
    }

    fn renew(&self, shown: &str, now: DateTime<Utc>, next: Event) -> Result<Vec<Event>, Refusal> {
        if self.spent.iter().any(|spent| spent == shown) {
            return Ok(vec![Event::LoginClosed { reason: CloseReason::Reused }]);
        }
        // Whoever only guesses ends nobody's login.
        if self.digest != shown || self.expires_at <= now {
            return Err(Refusal::NotRenewable);
        }
        Ok(vec![next])
    }
}

impl Decider for Login {
    const CATEGORY: &'static str = "login";
    type Id = LoginId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (
                Self::Absent,
                Command::Open {
                    user,
                    audience,
                    digest,
                    generation,
                    expires_at,
                    impersonator,
                    reason,
                },
            ) => Ok(vec![Event::LoginOpened {
                user: user.clone(),
                audience: *audience,
                digest: digest.clone(),
                generation: *generation,
                expires_at: *expires_at,
                impersonator: impersonator.clone(),
                reason: reason.clone(),
            }]),
            (Self::Open(_) | Self::Closed, Command::Open { .. }) => Err(Refusal::AlreadyOpened),
            (Self::Absent, Command::Close { .. } | Command::Renew { .. }) => Err(Refusal::Unknown),
            (Self::Open(login), Command::Renew { shown, digest, expires_at, now }) => {
                let (digest, expires_at) = (digest.clone(), *expires_at);
                login.renew(shown, *now, Event::LoginRenewed { digest, expires_at })
            }
            (Self::Closed, Command::Renew { .. }) => Err(Refusal::NotRenewable),
            (Self::Open(_), Command::Close { reason }) => {
                Ok(vec![Event::LoginClosed { reason: *reason }])
            }
            (Self::Closed, Command::Close { .. }) => Ok(vec![]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::LoginOpened { user, audience, digest, generation, expires_at, .. }) => {
                Self::Open(Box::new(Open {
                    user: user.clone(),
                    audience: *audience,
                    generation: *generation,
                    expires_at: *expires_at,
                    digest: digest.clone(),
                    spent: vec![],
                }))
            }
            (Self::Open(mut login), Event::LoginRenewed { digest, expires_at }) => {
                login.spent.push(std::mem::replace(&mut login.digest, digest.clone()));
                if login.spent.len() > SPENT {
                    login.spent.remove(0);
                }
                login.expires_at = *expires_at;
                Self::Open(login)
            }
            (other, Event::LoginRenewed { .. }) => other,
            (_, Event::LoginClosed { .. }) => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use chrono::TimeDelta;

    fn opened() -> Event {
        Event::LoginOpened {
            user: "ann".into(),
            audience: Audience::Sage,
            digest: "00ff".to_owned(),
            generation: 1,
            expires_at: DateTime::UNIX_EPOCH + TimeDelta::days(7),
            impersonator: None,
            reason: None,
        }
    }

    fn open() -> Command {
        Command::Open {
            user: "ann".into(),
            audience: Audience::Sage,
            digest: "00ff".to_owned(),
            generation: 1,
            expires_at: DateTime::UNIX_EPOCH + TimeDelta::days(7),
            impersonator: None,
            reason: None,
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

    fn renew(shown: &str, day: i64) -> Command {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(day);
        let (shown, digest) = (shown.to_owned(), "11ff".to_owned());
        Command::Renew { shown, digest, expires_at: now + TimeDelta::days(7), now }
    }

    fn renewed(day: i64) -> Event {
        let expires_at = DateTime::UNIX_EPOCH + TimeDelta::days(day + 7);
        Event::LoginRenewed { digest: "11ff".to_owned(), expires_at }
    }

    #[test]
    fn a_secret_is_replaced_once_and_its_second_use_ends_the_login() {
        given::<Login>([opened()]).when(renew("00ff", 1)).then([renewed(1)]);
        let reused = Event::LoginClosed { reason: CloseReason::Reused };
        given::<Login>([opened(), renewed(1)]).when(renew("00ff", 2)).then([reused]);
        given::<Login>([opened(), renewed(1)]).when(renew("11ff", 2)).then([renewed(2)]);
    }

    #[test]
    fn guesses_and_late_comers_renew_nothing_and_end_nothing() {
        let refused = Refusal::NotRenewable;
        given::<Login>([opened()]).when(renew("beef", 1)).then_refused(refused.clone());
        given::<Login>([opened()]).when(renew("00ff", 7)).then_refused(refused.clone());
        given::<Login>([opened(), closed()]).when(renew("00ff", 1)).then_refused(refused);
        given::<Login>([]).when(renew("00ff", 1)).then_refused(Refusal::Unknown);
    }
}

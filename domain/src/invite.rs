//! An invitation to register. The stream's key is a hash of the code, so the log shows no code that works.

use crate::{Decider, Kind, ids::UserId, name::NameHash};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody may register.
    InviteCreated {
        /// When it ends by itself; never without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
    },
    /// This person registers with it.
    InviteClaimed {
        /// Who.
        user: UserId,
    },
    /// The person could not be registered: it may be used again.
    InviteReleased {
        /// Who.
        user: UserId,
    },
    /// It no longer counts.
    InviteDisabled {},
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let somebody register.
    Create {
        /// When it ends by itself.
        expires_at: Option<DateTime<Utc>>,
    },
    /// Register with it.
    Claim {
        /// Who.
        user: UserId,
        /// The time.
        now: DateTime<Utc>,
    },
    /// Give it back.
    Release(UserId),
    /// Let it no longer count.
    Disable,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Unknown, used, expired or disabled: which of them is nobody's business.
    #[error("the invite code is not valid")]
    NotValid,
    /// There is one with this code.
    #[error("there is such an invite")]
    Exists,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::NotValid => Kind::Invalid,
            Self::Exists => Kind::Conflict,
        }
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Invite {
    /// Never created.
    #[default]
    Absent,
    /// It waits for somebody, until then.
    Pending(Option<DateTime<Utc>>),
    /// Somebody registered with it.
    Claimed(UserId, Option<DateTime<Utc>>),
    /// It does not count.
    Disabled,
}

impl Invite {
    /// The name on the wire; `None` when there is none.
    pub fn status(&self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::Pending(_) => Some("pending"),
            Self::Claimed(..) => Some("claimed"),
            Self::Disabled => Some("disabled"),
        }
    }
}

impl Decider for Invite {
    const CATEGORY: &'static str = "invite";
    type Id = NameHash;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Create { expires_at }) => {
                Ok(vec![Event::InviteCreated { expires_at: *expires_at }])
            }
            (_, Command::Create { .. }) => Err(Refusal::Exists),
            (Self::Pending(ends), Command::Claim { user, now })
                if ends.is_none_or(|e| e > *now) =>
            {
                Ok(vec![Event::InviteClaimed { user: user.clone() }])
            }
            (_, Command::Claim { .. }) => Err(Refusal::NotValid),
            (Self::Claimed(by, _), Command::Release(user)) if by == user => {
                Ok(vec![Event::InviteReleased { user: user.clone() }])
            }
            (_, Command::Release(_)) => Ok(vec![]),
            (Self::Pending(_), Command::Disable) => Ok(vec![Event::InviteDisabled {}]),
            (Self::Disabled, Command::Disable) => Ok(vec![]),
            (Self::Absent | Self::Claimed(..), Command::Disable) => Err(Refusal::NotValid),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::InviteCreated { expires_at }) => Self::Pending(*expires_at),
            (Self::Pending(ends), Event::InviteClaimed { user }) => {
                Self::Claimed(user.clone(), ends)
            }
            (Self::Claimed(_, ends), Event::InviteReleased { .. }) => Self::Pending(ends),
            (_, Event::InviteDisabled {}) => Self::Disabled,
            (other, Event::InviteClaimed { .. } | Event::InviteReleased { .. }) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use chrono::TimeDelta;

    fn created(expires_at: Option<DateTime<Utc>>) -> Event {
        Event::InviteCreated { expires_at }
    }

    fn claim(user: &str) -> Command {
        Command::Claim { user: user.into(), now: DateTime::UNIX_EPOCH }
    }

    fn claimed(user: &str) -> Event {
        Event::InviteClaimed { user: user.into() }
    }

    #[test]
    fn an_invite_lets_one_person_in() {
        given::<Invite>([created(None)]).when(claim("ann")).then([claimed("ann")]);
        given::<Invite>([created(None), claimed("ann")])
            .when(claim("bob"))
            .then_refused(Refusal::NotValid);
    }

    #[test]
    fn what_is_unknown_expired_or_disabled_looks_the_same() {
        let past = DateTime::UNIX_EPOCH - TimeDelta::seconds(1);
        for history in
            [vec![], vec![created(Some(past))], vec![created(None), Event::InviteDisabled {}]]
        {
            given::<Invite>(history).when(claim("ann")).then_refused(Refusal::NotValid);
        }
    }

    #[test]
    fn who_could_not_be_registered_gives_it_back() {
        let released = || Event::InviteReleased { user: "ann".into() };
        given::<Invite>([created(None), claimed("ann")])
            .when(Command::Release("ann".into()))
            .then([released()]);
        given::<Invite>([created(None), claimed("ann"), released()])
            .when(claim("bob"))
            .then([claimed("bob")]);
        given::<Invite>([created(None), claimed("ann")])
            .when(Command::Release("bob".into()))
            .then_nothing();
    }
}

//! An invitation to register. The stream's key is a hash of the code, so the log shows no code that works.

use crate::{Decider, Kind, ids::UserId, name::NameHash};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Most people who may register with one invitation.
pub const MOST_USES: u32 = 10_000;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody may register.
    InviteCreated {
        /// When it ends by itself; never without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
        /// How many people may register with it.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        max_uses: u32,
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

fn one() -> u32 {
    1
}

fn is_one(uses: &u32) -> bool {
    *uses == 1
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let somebody register.
    Create {
        /// When it ends by itself.
        expires_at: Option<DateTime<Utc>>,
        /// How many people may register with it: 1 to [`MOST_USES`].
        max_uses: u32,
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
    /// Not 1 to [`MOST_USES`].
    #[error("maxUses is 1 to {MOST_USES}")]
    Uses,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::NotValid | Self::Uses => Kind::Invalid,
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
    /// It counts, unless it has ended or is used up.
    Open(Box<Open>),
    /// It does not count.
    Disabled,
}

/// An invitation that nobody has disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// How many people may register with it.
    pub max_uses: u32,
    /// Who did, or is about to.
    pub claims: Vec<UserId>,
}

impl Open {
    fn used_up(&self) -> bool {
        self.claims.len() >= self.max_uses as usize
    }
}

impl Invite {
    /// The name on the wire; `None` when there is none.
    pub fn status(&self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::Open(open) if open.used_up() => Some("claimed"),
            Self::Open(_) => Some("pending"),
            Self::Disabled => Some("disabled"),
        }
    }

    /// Whether somebody may register with it.
    pub fn counts(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Open(open) => !open.used_up() && open.expires_at.is_none_or(|ends| ends > now),
            Self::Absent | Self::Disabled => false,
        }
    }

    /// Who has claimed it.
    pub fn claims(&self) -> &[UserId] {
        match self {
            Self::Open(open) => &open.claims,
            Self::Absent | Self::Disabled => &[],
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
            (_, Command::Create { max_uses, .. }) if !(1..=MOST_USES).contains(max_uses) => {
                Err(Refusal::Uses)
            }
            (Self::Absent, Command::Create { expires_at, max_uses }) => {
                let (expires_at, max_uses) = (*expires_at, *max_uses);
                Ok(vec![Event::InviteCreated { expires_at, max_uses }])
            }
            (_, Command::Create { .. }) => Err(Refusal::Exists),
            (_, Command::Claim { user, .. }) if self.claims().contains(user) => Ok(vec![]),
            (_, Command::Claim { user, now }) if self.counts(*now) => {
                Ok(vec![Event::InviteClaimed { user: user.clone() }])
            }
            (_, Command::Claim { .. }) => Err(Refusal::NotValid),
            (_, Command::Release(user)) if self.claims().contains(user) => {
                Ok(vec![Event::InviteReleased { user: user.clone() }])
            }
            (_, Command::Release(_)) | (Self::Disabled, Command::Disable) => Ok(vec![]),
            (Self::Open(open), Command::Disable) if !open.used_up() => {
                Ok(vec![Event::InviteDisabled {}])
            }
            (Self::Absent | Self::Open(_), Command::Disable) => Err(Refusal::NotValid),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::InviteCreated { expires_at, max_uses }) => {
                let (expires_at, max_uses, claims) = (*expires_at, *max_uses, vec![]);
                Self::Open(Box::new(Open { expires_at, max_uses, claims }))
            }
            (Self::Open(mut open), Event::InviteClaimed { user }) => {
                open.claims.push(user.clone());
                Self::Open(open)
            }
            (Self::Open(mut open), Event::InviteReleased { user }) => {
                open.claims.retain(|claim| claim != user);
                Self::Open(open)
            }
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
        Event::InviteCreated { expires_at, max_uses: 1 }
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

    #[test]
    fn an_invite_for_several_lets_as_many_in() {
        let two = || Event::InviteCreated { expires_at: None, max_uses: 2 };
        let history = || [two(), claimed("ann")];
        given::<Invite>(history()).when(claim("ann")).then_nothing();
        given::<Invite>(history()).when(claim("bob")).then([claimed("bob")]);
        let full = || [two(), claimed("ann"), claimed("bob")];
        given::<Invite>(full()).when(claim("eve")).then_refused(Refusal::NotValid);
        given::<Invite>(full()).when(Command::Disable).then_refused(Refusal::NotValid);
        given::<Invite>(history()).when(Command::Disable).then([Event::InviteDisabled {}]);
        let none = Command::Create { expires_at: None, max_uses: 0 };
        given::<Invite>([]).when(none).then_refused(Refusal::Uses);
    }
}

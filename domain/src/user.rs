//! A person: who they are, what they may do, and which secrets prove it. The secrets themselves are not here.

mod values;

pub use values::{EmailAddress, NotAName, NotAnAddress, Role, Status, Username};

use crate::{
    Decider, Kind,
    billing::{Subscription, Tier},
    ids::{LoginId, SecretId, UserId},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// API tokens one person may have at a time.
pub const MOST_API_TOKENS: usize = 50;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The person has an account.
    UserRegistered {
        /// The name to sign in with, as it was typed.
        username: Username,
        /// Where to reach them, lower case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<EmailAddress>,
        /// Where to call them, as it was typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<String>,
        /// What they were registered as. [`Role::Administrator`] takes effect with the appointment only.
        role: Role,
    },
    /// The registration never came this far, and never will: its names went to somebody else.
    RegistrationAbandoned {},
    /// The account is gone, for good. Its names are free.
    UserDeleted {},
    /// The person has a new password. Ends every login but the one it was changed from.
    PasswordChanged {
        /// Where the vault keeps its hash.
        secret: SecretId,
        /// The login that goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_login: Option<LoginId>,
    },
    /// The person may do other things than before, unless they administer.
    RoleChanged {
        /// What they are from now on.
        role: Role,
    },
    /// The account was suspended, or works again.
    StatusChanged {
        /// How it is from now on.
        status: Status,
    },
    /// The person pays for something else; the billing cycle stays.
    TierChanged {
        /// The new tier.
        tier: Tier,
    },
    /// The person's billing cycle hangs on another date or length.
    SubscriptionChanged {
        /// The tier.
        tier: Tier,
        /// Period and beginning.
        subscription: Subscription,
    },
    /// A program may act for the person.
    ApiTokenIssued {
        /// SHA-256 of the token, hexadecimal.
        digest: String,
    },
    /// A program may no longer act for the person.
    ApiTokenRevoked {
        /// SHA-256 of the token, hexadecimal.
        digest: String,
    },
}

/// What somebody wants. Fields are those of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create the account.
    Register {
        /// The name to sign in with.
        username: Username,
        /// Where to reach them.
        email: Option<EmailAddress>,
        /// Where to call them.
        phone: Option<String>,
        /// What they shall be.
        role: Role,
        /// Their first password; `None` for those who log in elsewhere.
        secret: Option<SecretId>,
    },
    /// Make sure that the account never comes to be.
    Abandon,
    /// Remove the account.
    Delete,
    /// Set a password.
    ChangePassword {
        /// Where the vault keeps its hash.
        secret: SecretId,
        /// The login that goes on.
        kept_login: Option<LoginId>,
        /// The password that was checked before; somebody else's change in between wins.
        checked: Option<SecretId>,
    },
    /// Give another role.
    ChangeRole(Role),
    /// Suspend the account or let it work again.
    ChangeStatus(Status),
    /// Give another tier and keep the cycle.
    ChangeTier(Tier),
    /// Give another tier and cycle.
    ChangeSubscription(Tier, Subscription),
    /// Let a program act for the person; the token's digest.
    IssueApiToken(String),
    /// Let it no longer; the token's digest.
    RevokeApiToken(String),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such person.
    #[error("there is no such user")]
    Unknown,
    /// The account exists, or its registration was abandoned.
    #[error("this account cannot be registered any more")]
    Settled,
    /// The password was changed by somebody else in the meantime.
    #[error("the password has just been changed")]
    PasswordSuperseded,
    /// The person has [`MOST_API_TOKENS`] tokens.
    #[error("no more than {MOST_API_TOKENS} API tokens per user")]
    TooManyApiTokens,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Settled | Self::PasswordSuperseded | Self::TooManyApiTokens => Kind::Conflict,
        }
    }
}

/// A person's stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum User {
    /// Nobody yet.
    #[default]
    Absent,
    /// Nobody ever.
    Abandoned,
    /// Nobody any more.
    Deleted,
    /// Somebody.
    Registered(Account),
}

/// What is known of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name to sign in with.
    pub username: Username,
    /// Where to reach them.
    pub email: Option<EmailAddress>,
    /// Where to call them.
    pub phone: Option<String>,
    /// What they are when they do not administer; see [`crate::admins`].
    pub role: Role,
    /// Whether the account works, when they do not administer.
    pub status: Status,
    /// What they pay for.
    pub tier: Tier,
    /// What their billing cycle hangs on; calendar months without one.
    pub subscription: Option<Subscription>,
    /// Where the vault keeps the hash of the password.
    pub password: Option<SecretId>,
    /// How often the password was set.
    pub generation: u32,
    /// The one login that outlived the last change of the password.
    pub kept_login: Option<LoginId>,
    /// Digests of the API tokens.
    pub api_tokens: BTreeSet<String>,
}

impl User {
    /// The account, when there is one.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Registered(account) => Some(account),
            Self::Absent | Self::Abandoned | Self::Deleted => None,
        }
    }
}

impl Decider for User {
    const CATEGORY: &'static str = "user";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Register { username, email, phone, role, secret }) => {
                let registered = Event::UserRegistered {
                    username: username.clone(),
                    email: email.clone(),
                    phone: phone.clone(),
                    role: *role,
                };
                let password =
                    secret.map(|secret| Event::PasswordChanged { secret, kept_login: None });
                Ok([registered].into_iter().chain(password).collect())
            }
            (Self::Abandoned | Self::Deleted | Self::Registered(_), Command::Register { .. })
            | (Self::Registered(_), Command::Abandon) => Err(Refusal::Settled),
            (Self::Absent, Command::Abandon) => Ok(vec![Event::RegistrationAbandoned {}]),
            (Self::Abandoned | Self::Deleted, Command::Abandon) => Ok(vec![]),
            (Self::Registered(account), command) => account.decide(command),
            (Self::Absent | Self::Abandoned | Self::Deleted, _) => Err(Refusal::Unknown),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::UserRegistered { username, email, phone, role }) => {
                Self::Registered(Account {
                    username: username.clone(),
                    email: email.clone(),
                    phone: phone.clone(),
                    role: *role,
                    status: Status::Active,
                    tier: Tier::starter(),
                    subscription: None,
                    password: None,
                    generation: 0,
                    kept_login: None,
                    api_tokens: BTreeSet::new(),
                })
            }
            (_, Event::RegistrationAbandoned {}) => Self::Abandoned,
            (_, Event::UserDeleted {}) => Self::Deleted,
            (Self::Registered(account), event) => Self::Registered(account.evolve(event)),
            (absent, _) => absent,
        }
    }
}

impl Account {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let change = |news: bool, event: Event| if news { vec![event] } else { vec![] };
        Ok(match command {
            Command::Register { .. } | Command::Abandon => return Err(Refusal::Settled),
            Command::Delete => vec![Event::UserDeleted {}],
            Command::ChangePassword { checked, .. }
                if checked.is_some() && *checked != self.password =>
            {
                return Err(Refusal::PasswordSuperseded);
            }
            Command::ChangePassword { secret, kept_login, .. } => change(
                self.password != Some(*secret),
                Event::PasswordChanged { secret: *secret, kept_login: *kept_login },
            ),
            Command::ChangeRole(role) => {
                change(self.role != *role, Event::RoleChanged { role: *role })
            }
            Command::ChangeStatus(status) => {
                change(self.status != *status, Event::StatusChanged { status: *status })
            }
            Command::ChangeTier(tier) => {
                change(self.tier != *tier, Event::TierChanged { tier: tier.clone() })
            }
            Command::ChangeSubscription(tier, subscription) => change(
                (&self.tier, self.subscription) != (tier, Some(*subscription)),
                Event::SubscriptionChanged { tier: tier.clone(), subscription: *subscription },
            ),
            Command::IssueApiToken(digest) => {
                let news = !self.api_tokens.contains(digest);
                if news && self.api_tokens.len() >= MOST_API_TOKENS {
                    return Err(Refusal::TooManyApiTokens);
                }
                change(news, Event::ApiTokenIssued { digest: digest.clone() })
            }
            Command::RevokeApiToken(digest) => change(
                self.api_tokens.contains(digest),
                Event::ApiTokenRevoked { digest: digest.clone() },
            ),
        })
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::UserRegistered { .. }
            | Event::RegistrationAbandoned {}
            | Event::UserDeleted {} => {}
            Event::PasswordChanged { secret, kept_login } => {
                self.password = Some(*secret);
                self.generation += 1;
                self.kept_login = *kept_login;
            }
            Event::RoleChanged { role } => self.role = *role,
            Event::StatusChanged { status } => self.status = *status,
            Event::TierChanged { tier } => self.tier = tier.clone(),
            Event::SubscriptionChanged { tier, subscription } => {
                self.tier = tier.clone();
                self.subscription = Some(*subscription);
            }
            Event::ApiTokenIssued { digest } => {
                self.api_tokens.insert(digest.clone());
            }
            Event::ApiTokenRevoked { digest } => {
                self.api_tokens.remove(digest);
            }
        }
        self
    }
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;

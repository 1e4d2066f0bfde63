//! A fan: one real person who follows a creator, at one platform or several, and what the creator knows of them.

mod details;
#[cfg(test)]
mod tests;

pub use details::{Account, Details, Money, Patch, Purchase, Stage, Subscription};

use crate::{
    Decider, Kind,
    ids::{FanId, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Accounts of one fan.
pub const MOST_ACCOUNTS: usize = 20;
/// Things remembered of one fan.
pub const MOST_MEMORIES: usize = 500;
/// Characters of one thing that is remembered.
pub const LONGEST_MEMORY: usize = 2_000;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The creator knows this of the fan from now on.
    FanUpserted {
        /// Whose fan, for good.
        owner: UserId,
        /// What is known, all of it.
        details: Box<Details>,
    },
    /// The fan has this account, or it stands otherwise with an account they have.
    FanAccountLinked {
        /// The account.
        account: Account,
    },
    /// Something to be remembered when somebody writes to the fan.
    FanMemoryAdded {
        /// What.
        text: String,
        /// When it was noted.
        noted_at: DateTime<Utc>,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Know more of a fan, who may be new.
    Upsert {
        /// Whose fan.
        owner: UserId,
        /// What is known now; the rest stays.
        patch: Box<Patch>,
        /// Accounts of the fan.
        accounts: Vec<Account>,
        /// What is to be remembered.
        memories: Vec<String>,
        /// The time.
        now: DateTime<Utc>,
    },
    /// Remember something of a fan who is known.
    Remember {
        /// Who wants it.
        by: UserId,
        /// What.
        text: String,
        /// The time.
        now: DateTime<Utc>,
    },
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such fan, or not for this person.
    #[error("there is no such fan")]
    Unknown,
    /// A value that does not fit.
    #[error("{0}")]
    Unfit(&'static str),
    /// The fan has [`MOST_ACCOUNTS`].
    #[error("a fan has at most {MOST_ACCOUNTS} accounts")]
    TooManyAccounts,
    /// [`MOST_MEMORIES`] are remembered.
    #[error("at most {MOST_MEMORIES} memories are kept of a fan")]
    TooManyMemories,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Unfit(_) => Kind::Invalid,
            Self::TooManyAccounts | Self::TooManyMemories => Kind::Conflict,
        }
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fan {
    /// Whose fan; `None` as long as nobody knows them.
    pub owner: Option<UserId>,
    details: Details,
    accounts: Vec<Account>,
    memories: Vec<String>,
}

impl Fan {
    fn remember(&self, texts: &[String], now: DateTime<Utc>) -> Result<Vec<Event>, Refusal> {
        let mut news: Vec<Event> = Vec::new();
        for text in texts.iter().map(|text| text.trim()) {
            if text.is_empty() || text.chars().count() > LONGEST_MEMORY || text.contains('\0') {
                return Err(Refusal::Unfit("a memory has 1 to 2000 characters"));
            }
            let noted = Event::FanMemoryAdded { text: text.to_owned(), noted_at: now };
            if !self.memories.iter().any(|known| known == text) && !news.contains(&noted) {
                news.push(noted);
            }
        }
        match self.memories.len() + news.len() > MOST_MEMORIES {
            true => Err(Refusal::TooManyMemories),
            false => Ok(news),
        }
    }

    fn link(&self, accounts: &[Account]) -> Result<Vec<Event>, Refusal> {
        let mut known = self.accounts.clone();
        let mut news = Vec::new();
        for account in accounts {
            account.check()?;
            match known.iter_mut().find(|other| other.is_same(account)) {
                Some(other) => {
                    let merged = other.with(account);
                    if merged == *other {
                        continue;
                    }
                    *other = merged.clone();
                    news.push(Event::FanAccountLinked { account: merged });
                }
                None => {
                    known.push(account.clone());
                    news.push(Event::FanAccountLinked { account: account.clone() });
                }
            }
        }
        if known.len() > MOST_ACCOUNTS { Err(Refusal::TooManyAccounts) } else { Ok(news) }
    }
}

impl Decider for Fan {
    const CATEGORY: &'static str = "fan";
    type Id = FanId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Upsert { owner, patch, accounts, memories, now } => {
                if self.owner.as_ref().is_some_and(|known| known != owner) {
                    return Err(Refusal::Unknown);
                }
                let mut details = patch.applied_to(&self.details)?;
                if details.display_name.is_empty() {
                    let first = accounts.first().ok_or(Refusal::Unfit("a fan needs a name"))?;
                    let handle = first.handle.as_ref().unwrap_or(&first.platform_fan_id);
                    details.display_name.clone_from(handle);
                }
                let news = self.owner.is_none() || details != self.details;
                let upserted = news.then(|| Event::FanUpserted {
                    owner: owner.clone(),
                    details: Box::new(details),
                });
                let mut events: Vec<Event> = upserted.into_iter().collect();
                events.extend(self.link(accounts)?);
                events.extend(self.remember(memories, *now)?);
                Ok(events)
            }
            Command::Remember { by, text, now } => match &self.owner {
                Some(owner) if owner == by => self.remember(std::slice::from_ref(text), *now),
                _ => Err(Refusal::Unknown),
            },
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::FanUpserted { owner, details } => {
                self.owner = Some(owner.clone());
                self.details = (**details).clone();
            }
            Event::FanAccountLinked { account } => {
                self.accounts.retain(|known| !known.is_same(account));
                self.accounts.push(account.clone());
            }
            Event::FanMemoryAdded { text, .. } => self.memories.push(text.clone()),
        }
        self
    }
}

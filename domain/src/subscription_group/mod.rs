//! Persistent subscriptions: consumers that share what comes of a source, and how far they are together.
//!
//! What is kept: which groups there are (here), what each has set aside (`parked.rs`) and how far it is (`checkpoint.rs`). What is not: whose turn it
//! is and what is under way to whom (`delivery.rs`), which is known only to the node that delivers, and begins anew with it.

pub mod checkpoint;
pub mod consumers;
pub mod delivery;
#[cfg(test)]
mod delivery_tests;
pub mod parked;
pub mod settings;

use crate::{Decider, Kind, admins::Everywhere};
use serde::{Deserialize, Serialize};
use settings::{Settings, Start};
use std::{collections::BTreeMap, fmt};
use uuid::Uuid;

/// Groups at a time.
pub const MOST: usize = 1_000;
/// The source that is everything.
pub const ALL: &str = "$all";

/// One life of a group: who deletes it and creates it again gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub Uuid);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a group is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// A stream, or [`ALL`].
    pub source: String,
    /// Which of the groups of that source.
    pub group: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.source, self.group)
    }
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// There is one more group.
    SubscriptionGroupCreated {
        /// This life of it.
        id: GroupId,
        /// What it is called.
        name: Name,
        /// How it delivers.
        settings: Settings,
        /// Where it begins.
        start: Start,
    },
    /// A group delivers in another way.
    SubscriptionGroupChanged {
        /// Which.
        id: GroupId,
        /// How it delivers.
        settings: Settings,
        /// Where it begins, unless it is on its way already.
        start: Start,
    },
    /// There is one less.
    SubscriptionGroupDeleted {
        /// Which.
        id: GroupId,
    },
}

/// What somebody wants. Fields are those of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create a group.
    Create {
        /// This life of it.
        id: GroupId,
        /// What it is called.
        name: Name,
        /// How it delivers.
        settings: Settings,
        /// Where it begins.
        start: Start,
    },
    /// Deliver in another way. What passes stays as it is.
    Change {
        /// Which.
        name: Name,
        /// How it delivers.
        settings: Settings,
        /// Where it begins.
        start: Start,
    },
    /// Remove a group.
    Delete(Name),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is a group of this name.
    #[error("the group exists")]
    Exists,
    /// There is none.
    #[error("there is no such group")]
    Unknown,
    /// There are as many as there may be.
    #[error("there are {MOST} groups, which is all there may be")]
    TooMany,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists | Self::TooMany => Kind::Conflict,
            Self::Unknown => Kind::Unknown,
        }
    }
}

/// A group as it is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// This life of it.
    pub id: GroupId,
    /// How it delivers.
    pub settings: Settings,
    /// Where it begins.
    pub start: Start,
    /// How often it was changed.
    pub changes: u64,
}

/// All groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups(BTreeMap<Name, Group>);

impl Groups {
    /// The group of this name.
    pub fn get(&self, name: &Name) -> Option<&Group> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Group)> {
        self.0.iter()
    }

    fn known(&self, name: &Name) -> Result<&Group, Refusal> {
        self.get(name).ok_or(Refusal::Unknown)
    }
}

impl Decider for Groups {
    const CATEGORY: &'static str = "subscription_groups";
    type Id = Everywhere;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        Ok(match command {
            Command::Create { name, .. } if self.0.contains_key(name) => {
                return Err(Refusal::Exists);
            }
            Command::Create { .. } if self.0.len() >= MOST => return Err(Refusal::TooMany),
            Command::Create { id, name, settings, start } => {
                let (name, settings) = (name.clone(), settings.clone());
                vec![Event::SubscriptionGroupCreated { id: *id, name, settings, start: *start }]
            }
            Command::Change { name, settings, start } => {
                let group = self.known(name)?;
                let settings =
                    Settings { filter: group.settings.filter.clone(), ..settings.clone() };
                vec![Event::SubscriptionGroupChanged { id: group.id, settings, start: *start }]
            }
            Command::Delete(name) => {
                vec![Event::SubscriptionGroupDeleted { id: self.known(name)?.id }]
            }
        })
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::SubscriptionGroupCreated { id, name, settings, start } => {
                let settings = settings.clone();
                let group = Group { id: *id, settings, start: *start, changes: 0 };
                self.0.insert(name.clone(), group);
            }
            Event::SubscriptionGroupChanged { id, settings, start } => {
                for group in self.0.values_mut().filter(|group| group.id == *id) {
                    let (settings, changes) = (settings.clone(), group.changes + 1);
                    *group = Group { id: *id, settings, start: *start, changes };
                }
            }
            Event::SubscriptionGroupDeleted { id } => self.0.retain(|_, group| group.id != *id),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{settings::Filter, *};
    use crate::testing::given;

    fn name() -> Name {
        Name { source: "order-1".to_owned(), group: "billing".to_owned() }
    }

    fn id(n: u128) -> GroupId {
        GroupId(Uuid::from_u128(n))
    }

    fn filtered() -> Settings {
        let prefixes = vec!["order".to_owned()];
        let filter = Filter { on_type: false, regex: String::new(), prefixes };
        Settings { filter: Some(filter), ..Settings::default() }
    }

    fn created(n: u128) -> Event {
        let (settings, start) = (filtered(), Start::Beginning);
        Event::SubscriptionGroupCreated { id: id(n), name: name(), settings, start }
    }

    fn create(n: u128) -> Command {
        let (settings, start) = (filtered(), Start::Beginning);
        Command::Create { id: id(n), name: name(), settings, start }
    }

    fn change() -> Command {
        let settings = Settings { max_retries: 3, ..Settings::default() };
        Command::Change { name: name(), settings, start: Start::At(7) }
    }

    #[test]
    fn a_name_is_given_once_and_again_after_it_is_free() {
        given::<Groups>([]).when(create(1)).then([created(1)]);
        given::<Groups>([created(1)]).when(create(2)).then_refused(Refusal::Exists);
        let gone = Event::SubscriptionGroupDeleted { id: id(1) };
        given::<Groups>([created(1), gone]).when(create(2)).then([created(2)]);
    }

    #[test]
    fn a_change_leaves_what_passes() {
        let settings = Settings { max_retries: 3, ..filtered() };
        let changed = Event::SubscriptionGroupChanged { id: id(1), settings, start: Start::At(7) };
        given::<Groups>([created(1)]).when(change()).then([changed]);
    }

    #[test]
    fn what_is_not_there_is_neither_changed_nor_deleted() {
        given::<Groups>([]).when(change()).then_refused(Refusal::Unknown);
        given::<Groups>([]).when(Command::Delete(name())).then_refused(Refusal::Unknown);
        let gone = Event::SubscriptionGroupDeleted { id: id(1) };
        given::<Groups>([created(1)]).when(Command::Delete(name())).then([gone]);
    }

    #[test]
    fn there_is_an_end_to_groups() {
        let all = (0..MOST as u128).map(|n| {
            let Event::SubscriptionGroupCreated { settings, start, .. } = created(n) else {
                unreachable!("it is one");
            };
            let name = Name { group: n.to_string(), ..name() };
            Event::SubscriptionGroupCreated { id: id(n), name, settings, start }
        });
        given::<Groups>(all).when(create(9_999)).then_refused(Refusal::TooMany);
    }
}

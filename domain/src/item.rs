//! A thing in one of a person's collections: a node of what the assistant knows of them, a draft.

use crate::{
    Decider, Kind,
    flow::COLLECTIONS,
    ids::{ItemId, UserId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Bytes of a thing's fields at most.
pub const LARGEST: usize = 32 << 10;

/// Names of imported things are below this one.
const IMPORTED: Uuid = Uuid::from_u128(0x6f0c_2d5e_93b7_4a18_8e41_d7a2_5b9c_3f60);

/// The thing that somebody took along from elsewhere, where it had this name: the same name names the same thing.
pub fn imported(owner: &UserId, name: &str) -> ItemId {
    ItemId(Uuid::new_v5(&IMPORTED, format!("{owner}\0{name}").as_bytes()))
}

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody put it into a collection.
    ItemWritten {
        /// Whose.
        owner: UserId,
        /// Which collection.
        collection: String,
        /// What it says.
        fields: Map<String, Value>,
    },
    /// It says something else.
    ItemChanged {
        /// All that it says from now on.
        fields: Map<String, Value>,
    },
    /// Its owner has no more use for it.
    ItemDeleted {},
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Put it into a collection.
    Write {
        /// Which.
        collection: String,
        /// What it says.
        fields: Map<String, Value>,
        /// Whose it is.
        owner: UserId,
    },
    /// Change these fields.
    Change {
        /// In which collection it has to be.
        collection: String,
        /// The fields; null takes one away.
        fields: Map<String, Value>,
        /// Whose it has to be.
        owner: UserId,
    },
    /// Delete it.
    Delete {
        /// In which collection it has to be.
        collection: String,
        /// Whose it has to be.
        owner: UserId,
    },
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Item {
    /// Not written.
    #[default]
    Absent,
    /// There.
    Present {
        /// Whose.
        owner: UserId,
        /// In which collection.
        collection: String,
        /// What it says.
        fields: Map<String, Value>,
    },
    /// There no longer.
    Deleted {
        /// Whose it was.
        owner: UserId,
    },
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not there, or somebody else's.
    #[error("there is no such item")]
    Unknown,
    /// Another thing has this id.
    #[error("an item with this id exists already")]
    Taken,
    /// No such collection.
    #[error("there is no such collection")]
    NoCollection,
    /// It says nothing.
    #[error("an item has at least one field")]
    Empty,
    /// It says too much.
    #[error("an item has at most {LARGEST} bytes")]
    TooLarge,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::NoCollection => Kind::Unknown,
            Self::Taken => Kind::Conflict,
            Self::Empty | Self::TooLarge => Kind::Invalid,
        }
    }
}

impl Item {
    /// What it says, if it is there, in this collection, and this person's.
    pub fn of(&self, by: &UserId, within: &str) -> Option<&Map<String, Value>> {
        match self {
            Self::Present { owner, collection, fields } if owner == by && collection == within => {
                Some(fields)
            }
            Self::Present { .. } | Self::Absent | Self::Deleted { .. } => None,
        }
    }
}

fn check(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let size = Value::Object(fields.clone()).to_string().len();
    match (fields.is_empty(), size > LARGEST) {
        (true, _) => Err(Refusal::Empty),
        (_, true) => Err(Refusal::TooLarge),
        (false, false) => Ok(()),
    }
}

impl Decider for Item {
    const CATEGORY: &'static str = "item";
    type Id = ItemId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Write { owner, collection, fields } => {
                if !COLLECTIONS.contains(&collection.as_str()) {
                    return Err(Refusal::NoCollection);
                }
                check(fields)?;
                match self {
                    Self::Absent => {
                        let (owner, collection) = (owner.clone(), collection.clone());
                        Ok(vec![Event::ItemWritten { owner, collection, fields: fields.clone() }])
                    }
                    // Whoever writes again what was written before its answer got lost.
                    known if known.of(owner, collection) == Some(fields) => Ok(vec![]),
                    Self::Present { .. } | Self::Deleted { .. } => Err(Refusal::Taken),
                }
            }
            Command::Change { owner, collection, fields: new } => {
                let fields = self.of(owner, collection).ok_or(Refusal::Unknown)?;
                let mut changed = fields.clone();
                for (name, value) in new {
                    match value {
                        Value::Null => changed.remove(name),
                        value => changed.insert(name.clone(), value.clone()),
                    };
                }
                check(&changed)?;
                if changed == *fields {
                    return Ok(vec![]);
                }
                Ok(vec![Event::ItemChanged { fields: changed }])
            }
            Command::Delete { owner, collection } => match self {
                Self::Deleted { owner: own } if own == owner => Ok(vec![]),
                known if known.of(owner, collection).is_some() => Ok(vec![Event::ItemDeleted {}]),
                _ => Err(Refusal::Unknown),
            },
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::ItemWritten { owner, collection, fields }) => Self::Present {
                owner: owner.clone(),
                collection: collection.clone(),
                fields: fields.clone(),
            },
            (Self::Present { owner, collection, .. }, Event::ItemChanged { fields }) => {
                Self::Present { owner, collection, fields: fields.clone() }
            }
            (Self::Present { owner, .. }, Event::ItemDeleted {}) => Self::Deleted { owner },
            (other, Event::ItemChanged { .. } | Event::ItemDeleted {}) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use serde_json::json;

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn written() -> Event {
        let (owner, collection) = ("ann".into(), "user_nodes".to_owned());
        Event::ItemWritten { owner, collection, fields: fields(json!({"name": "sea"})) }
    }

    fn write(collection: &str, value: Value) -> Command {
        let (owner, collection) = ("ann".into(), collection.to_owned());
        Command::Write { owner, collection, fields: fields(value) }
    }

    fn change(owner: &str, value: Value) -> Command {
        let (owner, collection) = (owner.into(), "user_nodes".to_owned());
        Command::Change { owner, collection, fields: fields(value) }
    }

    fn delete(owner: &str) -> Command {
        Command::Delete { owner: owner.into(), collection: "user_nodes".to_owned() }
    }

    #[test]
    fn a_thing_is_written_once() {
        let sea = || write("user_nodes", json!({"name": "sea"}));
        given::<Item>([]).when(sea()).then([written()]);
        given::<Item>([written()]).when(sea()).then_nothing();
        let other = write("user_nodes", json!({"name": "land"}));
        given::<Item>([written()]).when(other).then_refused(Refusal::Taken);
        given::<Item>([]).when(write("users", json!({"a": 1}))).then_refused(Refusal::NoCollection);
        given::<Item>([]).when(write("user_nodes", json!({}))).then_refused(Refusal::Empty);
        let large = json!({"a": "x".repeat(LARGEST)});
        given::<Item>([]).when(write("user_nodes", large)).then_refused(Refusal::TooLarge);
    }

    #[test]
    fn only_its_owner_changes_a_thing() {
        let changed = Event::ItemChanged { fields: fields(json!({"tags": ["a"]})) };
        let wish = |owner| change(owner, json!({"name": null, "tags": ["a"]}));
        given::<Item>([written()]).when(wish("ann")).then([changed]);
        given::<Item>([written()]).when(wish("bob")).then_refused(Refusal::Unknown);
        given::<Item>([written()]).when(change("ann", json!({"name": "sea"}))).then_nothing();
        given::<Item>([written()])
            .when(change("ann", json!({"name": null})))
            .then_refused(Refusal::Empty);
        given::<Item>([]).when(wish("ann")).then_refused(Refusal::Unknown);
    }

    #[test]
    fn only_its_owner_deletes_a_thing_and_it_stays_deleted() {
        given::<Item>([written()]).when(delete("ann")).then([Event::ItemDeleted {}]);
        given::<Item>([written()]).when(delete("bob")).then_refused(Refusal::Unknown);
        let gone = || [written(), Event::ItemDeleted {}];
        given::<Item>(gone()).when(delete("ann")).then_nothing();
        given::<Item>(gone()).when(delete("bob")).then_refused(Refusal::Unknown);
        let again = write("user_nodes", json!({"name": "sea"}));
        given::<Item>(gone()).when(again).then_refused(Refusal::Taken);
    }
}

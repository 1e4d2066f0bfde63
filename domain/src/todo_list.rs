//! What an agent has set out to do in a conversation.

use crate::{Decider, Kind, ids::ConversationId};
use serde::{Deserialize, Serialize};

/// Most things on a list.
pub const MAX_ITEMS: usize = 200;
/// Longest text of a thing, in characters.
pub const LONGEST_TEXT: usize = 4_000;
/// Longest id of a thing, in characters.
pub const LONGEST_ID: usize = 100;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Unique within the list; chosen by the agent.
    pub id: String,
    /// What.
    pub content: String,
    /// How far it is.
    pub status: Status,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<String>,
}

/// How far a thing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Something came onto the list, at its end.
    TaskPlanned {
        /// What.
        item: Item,
    },
    /// Something on the list is different now.
    TaskRevised {
        /// How it is now.
        item: Item,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Have these on the list: new ones at the end, known ones changed where a field says so.
    Note(Vec<Change>),
}

/// A new thing, or what is different about a known one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// Which.
    pub id: String,
    /// What; a new thing needs one.
    #[serde(default)]
    pub content: Option<String>,
    /// How far.
    #[serde(default)]
    pub status: Option<Status>,
    /// What came of it.
    #[serde(default)]
    pub conclusion: Option<String>,
}

/// The state: the list, in the order in which things came onto it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TodoList(pub Vec<Item>);

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A thing without an id, or with one that is long or cannot be seen.
    #[error("a task has an id of 1 to {LONGEST_ID} visible characters")]
    BadId,
    /// A new thing that says nothing.
    #[error("the new task {0:?} has no content")]
    NoContent(String),
    /// A text is too long.
    #[error("a task's texts have at most {LONGEST_TEXT} characters")]
    TooLong,
    /// Too many things.
    #[error("a list has at most {MAX_ITEMS} tasks")]
    TooMany,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl Decider for TodoList {
    const CATEGORY: &'static str = "todo";
    type Id = ConversationId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, Command::Note(changes): &Command) -> Result<Vec<Event>, Refusal> {
        let mut list = self.clone();
        let mut events = Vec::new();
        for change in changes {
            if let Some(event) = list.noted(change)? {
                list = list.evolve(&event);
                events.push(event);
            }
        }
        if list.0.len() > MAX_ITEMS { Err(Refusal::TooMany) } else { Ok(events) }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::TaskPlanned { item } => self.0.push(item.clone()),
            Event::TaskRevised { item } => {
                if let Some(known) = self.0.iter_mut().find(|known| known.id == item.id) {
                    *known = item.clone();
                }
            }
        }
        self
    }
}

impl TodoList {
    fn noted(&self, change: &Change) -> Result<Option<Event>, Refusal> {
        let (id, content) = (change.id.trim(), said(&change.content));
        if id.is_empty() || id.chars().count() > LONGEST_ID || id.contains(char::is_control) {
            return Err(Refusal::BadId);
        }
        let texts = [&change.content, &change.conclusion];
        if texts.into_iter().flatten().any(|text| text.chars().count() > LONGEST_TEXT) {
            return Err(Refusal::TooLong);
        }
        let conclusion = said(&change.conclusion);
        let Some(known) = self.0.iter().find(|known| known.id == id) else {
            let content = content.ok_or_else(|| Refusal::NoContent(id.to_owned()))?;
            let status = change.status.unwrap_or_default();
            let item = Item { id: id.to_owned(), content, status, conclusion };
            return Ok(Some(Event::TaskPlanned { item }));
        };
        let item = Item {
            id: id.to_owned(),
            content: content.unwrap_or_else(|| known.content.clone()),
            status: change.status.unwrap_or(known.status),
            conclusion: conclusion.or_else(|| known.conclusion.clone()),
        };
        Ok((item != *known).then_some(Event::TaskRevised { item }))
    }
}

/// A text that says something.
fn said(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn item(id: &str, content: &str, status: Status) -> Item {
        Item { id: id.to_owned(), content: content.to_owned(), status, conclusion: None }
    }

    fn planned(id: &str) -> Event {
        Event::TaskPlanned { item: item(id, "read", Status::Pending) }
    }

    fn change(id: &str, content: Option<&str>, status: Option<Status>) -> Change {
        let content = content.map(str::to_owned);
        Change { id: id.to_owned(), content, status, conclusion: None }
    }

    #[test]
    fn new_things_go_to_the_end_and_known_ones_change() {
        given::<TodoList>([planned("1")])
            .when(Command::Note(vec![
                change("2", Some("write"), None),
                change("1", None, Some(Status::Completed)),
            ]))
            .then([
                Event::TaskPlanned { item: item("2", "write", Status::Pending) },
                Event::TaskRevised { item: item("1", "read", Status::Completed) },
            ]);
    }

    #[test]
    fn saying_it_again_changes_nothing() {
        given::<TodoList>([planned("1")])
            .when(Command::Note(vec![change("1", Some("read"), Some(Status::Pending))]))
            .then_nothing();
    }

    #[test]
    fn a_thing_has_an_id_and_says_something() {
        let when = |id: &str, content: Option<&str>| {
            given::<TodoList>([]).when(Command::Note(vec![change(id, content, None)]))
        };
        when(" ", Some("read")).then_refused(Refusal::BadId);
        when("a\0", Some("read")).then_refused(Refusal::BadId);
        when("1", None).then_refused(Refusal::NoContent("1".to_owned()));
        when("1", Some(" ")).then_refused(Refusal::NoContent("1".to_owned()));
        when("1", Some(&"x".repeat(LONGEST_TEXT + 1))).then_refused(Refusal::TooLong);
    }

    #[test]
    fn a_list_has_an_end() {
        let many = |count: usize| {
            (0..count).map(|n| change(&n.to_string(), Some("x"), None)).collect::<Vec<_>>()
        };
        given::<TodoList>([])
            .when(Command::Note(many(MAX_ITEMS + 1)))
            .then_refused(Refusal::TooMany);
    }
}

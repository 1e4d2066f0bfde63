//! What a person's clients keep for them: one JSON object. Also people whom a proxy vouches for have one, so it is not
//! part of the account.

use crate::{Decider, Kind, ids::UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of the whole object as JSON.
pub const MOST_BYTES: usize = 64 * 1024;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// These keys have these values from now on; others stay.
    UserConfigured {
        /// Only what differs from before.
        changes: Map<String, Value>,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Give these keys these values; others stay.
    Merge(Map<String, Value>),
}

/// The object would be larger than [`MOST_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a configuration has at most {MOST_BYTES} bytes")]
pub struct TooLarge;

impl crate::Refusal for TooLarge {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

/// The object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserConfig {
    /// Its keys and values.
    pub values: Map<String, Value>,
}

impl Decider for UserConfig {
    const CATEGORY: &'static str = "user_config";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = TooLarge;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, TooLarge> {
        let Command::Merge(wanted) = command;
        let news = wanted.iter().filter(|(key, value)| self.values.get(*key) != Some(*value));
        let changes: Map<String, Value> =
            news.map(|(key, value)| (key.clone(), value.clone())).collect();
        if changes.is_empty() {
            return Ok(vec![]);
        }
        let event = Event::UserConfigured { changes };
        let after = self.clone().evolve(&event);
        if Value::Object(after.values).to_string().len() > MOST_BYTES {
            return Err(TooLarge);
        }
        Ok(vec![event])
    }

    fn evolve(mut self, event: &Event) -> Self {
        let Event::UserConfigured { changes } = event;
        self.values.extend(changes.clone());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn configured(changes: Value) -> Event {
        Event::UserConfigured { changes: object(changes) }
    }

    fn merge(values: Value) -> Command {
        Command::Merge(object(values))
    }

    #[test]
    fn only_what_changes_is_recorded() {
        given::<UserConfig>([configured(json!({"a": 1, "b": {"c": 2}}))])
            .when(merge(json!({"a": 1, "b": {"d": 3}})))
            .then([configured(json!({"b": {"d": 3}}))]);
        given::<UserConfig>([configured(json!({"a": 1}))])
            .when(merge(json!({"a": 1})))
            .then_nothing();
        given::<UserConfig>([]).when(merge(json!({}))).then_nothing();
    }

    #[test]
    fn what_would_grow_too_large_is_refused() {
        let half = "x".repeat(MOST_BYTES / 2);
        given::<UserConfig>([configured(json!({"a": half}))])
            .when(merge(json!({"b": half})))
            .then_refused(TooLarge);
        given::<UserConfig>([configured(json!({"a": half}))])
            .when(merge(json!({"a": "", "b": half})))
            .then([configured(json!({"a": "", "b": half}))]);
    }
}

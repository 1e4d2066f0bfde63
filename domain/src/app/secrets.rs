//! Secrets in definitions and inputs. The log holds a reference where somebody typed a key; the key itself is in the secret
//! store, and comes back where it is used, and where whoever may change the app reads it.

pub mod telling;

use super::{Definition, Patch, Processor};
use crate::ids::SecretId;
use serde_json::{Map, Value};
use telling::Place;

/// The only key of an object that stands for a secret: `{"$vault": id}`.
pub const REFERENCE: &str = "$vault";
/// What those see who may not read a secret.
pub const MASK: &str = "********";

/// Something in which secrets may be.
pub trait Holder {
    /// Calls `visit` on every object in which they may be.
    fn visit(&mut self, visit: &mut dyn FnMut(&mut Map<String, Value>));

    /// Puts references where secrets were typed. `keep` takes each secret, which may be any JSON value.
    fn seal(&mut self, keep: &mut dyn FnMut(&Value) -> SecretId) {
        self.visit(&mut |fields| {
            telling::each(fields, Place::default(), &mut |secret| {
                *secret = referring(keep(secret));
            });
        });
    }

    /// Replaces references by what `find` knows of them; what it does not know stays.
    fn open(&mut self, find: &dyn Fn(SecretId) -> Option<Value>) {
        self.visit(&mut |fields| fields.values_mut().for_each(|value| replace(value, find)));
    }

    /// Replaces references by [`MASK`].
    fn mask(&mut self) {
        self.open(&|_| Some(MASK.into()));
    }

    /// Whether there is a reference in it, or what could be taken for one.
    fn refers(&mut self) -> bool {
        let mut found = false;
        self.visit(&mut |fields| found |= fields.contains_key(REFERENCE) || any(fields));
        found
    }
}

impl Holder for Map<String, Value> {
    fn visit(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        visit(self);
    }
}

impl Holder for Processor {
    fn visit(&mut self, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
        visit(&mut self.input);
        visit(&mut self.config);
        visit(&mut self.rest);
        self.input_fields.iter_mut().flatten().for_each(visit);
    }
}

impl Holder for Definition {
    fn visit(&mut self, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
        visit(&mut self.config);
        self.input_fields.iter_mut().for_each(&mut *visit);
        self.processors.iter_mut().for_each(|step| step.visit(visit));
        visit(&mut self.integrations);
    }
}

impl Holder for Patch {
    fn visit(&mut self, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
        let whole = [&mut self.config, &mut self.web_config, &mut self.slack_config];
        whole.into_iter().flatten().for_each(&mut *visit);
        let more = [&mut self.discord_config, &mut self.twilio_config];
        more.into_iter().flatten().for_each(&mut *visit);
        self.input_fields.iter_mut().flatten().for_each(&mut *visit);
        self.processors.iter_mut().flatten().for_each(|step| step.visit(visit));
    }
}

impl Definition {
    /// Puts references where the caller typed secrets into an input: where a declared field asks for a password, and
    /// where the name of the field leaves no doubt.
    pub fn seal_input(
        &self,
        input: &mut Map<String, Value>,
        keep: &mut dyn FnMut(&Value) -> SecretId,
    ) {
        for (name, value) in input.iter_mut() {
            let declared = self
                .input_fields
                .iter()
                .find(|field| field.get("name") == Some(&Value::from(name.as_str())));
            let asked = declared.is_some_and(telling::asks_for_a_password);
            if (asked || telling::is_surely_secret(name)) && telling::is_typed(value) {
                *value = referring(keep(value));
            }
        }
    }
}

/// What stands for this secret.
fn referring(id: SecretId) -> Value {
    Map::from_iter([(REFERENCE.to_owned(), id.to_string().into())]).into()
}

/// The secret for which this value stands, if it does.
fn referred(value: &Value) -> Option<SecretId> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    fields.get(REFERENCE)?.as_str()?.parse().ok()
}

fn replace(value: &mut Value, find: &dyn Fn(SecretId) -> Option<Value>) {
    if let Some(id) = referred(value) {
        if let Some(secret) = find(id) {
            *value = secret;
        }
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, find)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, find)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn any(fields: &Map<String, Value>) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.contains_key(REFERENCE) || any(fields),
            Value::Array(items) => items.iter().any(within),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    fields.values().any(within)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    /// The fields with references, and what they refer to.
    fn sealed(fields: Value) -> (Map<String, Value>, Vec<Value>) {
        let Value::Object(mut fields) = fields else { return Default::default() };
        let mut kept = Vec::new();
        fields.seal(&mut |secret| {
            kept.push(secret.clone());
            SecretId(Uuid::from_u128(kept.len() as u128))
        });
        (fields, kept)
    }

    #[test]
    fn keys_are_found_wherever_definitions_have_them() {
        for (fields, secrets) in [
            (
                json!({"headers": [{"key": "Authorization", "value": "Bearer abc"}, {"key": "Accept", "value": "text/html"}]}),
                vec!["Bearer abc"],
            ),
            (json!({"headers": [{"key": "X-Acme", "value": "1"}]}), vec!["1"]),
            (json!({"headers": {"X-Acme": "1", "Content-Type": "text/plain"}}), vec!["1"]),
            (json!({"cookies": [{"name": "sid", "value": "c", "domain": "d.org"}]}), vec!["c"]),
            (
                json!({"query_params": [{"key": "api_key", "value": "k"}, {"key": "q", "value": "x"}]}),
                vec!["k"],
            ),
            (
                json!({"parameters": [{"name": "X-Key", "location": "header", "value": "h"}, {"name": "q", "location": "query", "value": "x"}]}),
                vec!["h"],
            ),
            (
                json!({"provider_config": {"provider": "openai", "api_key": "sk", "model": "m"}}),
                vec!["sk"],
            ),
            (
                json!({"twilio_config": {"account_sid": "AC", "authToken": "t"}, "bot_token": "b"}),
                vec!["b", "t"],
            ),
            (json!({"url": "https://u:pw@x.org/a"}), vec!["https://u:pw@x.org/a"]),
            (json!({"url": "https://x.org/a?apikey=1&q=2"}), vec!["https://x.org/a?apikey=1&q=2"]),
            (
                json!({"payload": "{\"q\": 1, \"client_secret\": \"s\"}"}),
                vec!["{\"q\": 1, \"client_secret\": \"s\"}"],
            ),
            (
                json!({"note": "use sk-abcdefghijklmnopqrstuvwx here"}),
                vec!["use sk-abcdefghijklmnopqrstuvwx here"],
            ),
        ] {
            assert_eq!(sealed(fields.clone()).1, secrets, "{fields}");
        }
        assert_eq!(sealed(json!({"password": 1234})).1, [json!(1234)]);
    }

    #[test]
    fn what_is_no_key_stays_readable() {
        for fields in [
            json!({"max_tokens": 100, "model": "gpt", "temperature": 0.2, "seed": 7}),
            json!({"headers": [{"key": "Authorization", "value": "Bearer {{ _inputs0.t }}"}]}),
            json!({"headers": [{"key": "Accept", "value": "*/*"}], "url": "https://x.org/?q={{ a.b }}&token={{ a.c }}"}),
            json!({"api_key": "", "token": null, "password": true}),
            json!({"system_message": "Say which token comes next: a password?", "slug": "sk-ating"}),
            json!({"parameters": [{"name": "city", "location": "path", "value": "Bern"}]}),
        ] {
            let (left, kept) = sealed(fields.clone());
            assert!(kept.is_empty() && Value::Object(left) == fields, "{fields}: {kept:?}");
        }
    }

    #[test]
    fn references_open_and_are_masked() {
        let (fields, kept) = sealed(json!({"a": [{"api_key": "k"}], "b": 1}));
        let mut open = fields.clone();
        assert!(open.refers());
        open.open(&|id| (id.0 == Uuid::from_u128(1)).then(|| kept[0].clone()));
        assert_eq!(json!(open), json!({"a": [{"api_key": "k"}], "b": 1}));
        assert!(!open.refers());
        let mut masked = fields;
        masked.mask();
        assert_eq!(json!(masked)["a"][0]["api_key"], MASK);
    }

    #[test]
    fn inputs_hide_what_their_fields_ask_to_hide() {
        let definition: Definition = serde_json::from_value(json!({
            "input_fields": [{"name": "code", "widget": "password"}, {"name": "token"}],
        }))
        .unwrap();
        let input = json!({"code": "c", "token": "t", "api_key": "k", "question": "q"});
        let Value::Object(mut input) = input else { return };
        let mut kept = Vec::new();
        definition.seal_input(&mut input, &mut |secret| {
            kept.push(secret.clone());
            SecretId(Uuid::nil())
        });
        assert_eq!(kept, ["k", "c"]);
        assert_eq!((&input["token"], &input["question"]), (&json!("t"), &json!("q")));
    }
}

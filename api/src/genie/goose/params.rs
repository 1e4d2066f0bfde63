//! What an operation is asked with, and what of it may be remembered.

use super::super::{Fault, ids};
use domain::ids::UserId;
use serde_json::{Map, Value, json};

/// Names whose values are remembered: none of them is ever a secret.
const PLAIN: [&str; 15] = [
    "userId",
    "user_id",
    "tier",
    "period",
    "start",
    "status",
    "count",
    "limit",
    "offset",
    "maxUses",
    "max_uses",
    "expiresAt",
    "expires_at",
    "name",
    "id",
];
/// Characters of a value that is remembered.
const LONGEST: usize = 200;
/// Names that are remembered at all.
const MOST: usize = 20;

/// The parameters of an operation.
pub(super) struct Params(pub Map<String, Value>);

impl Params {
    pub fn get(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.0.get(*name)).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        let text = self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| Fault::invalid(format!("params.{name} is required")))
    }

    /// A text that may be left out.
    pub fn optional(&self, names: &[&str]) -> Result<Option<&str>, Fault> {
        let Some(value) = self.get(names) else { return Ok(None) };
        let text = value.as_str().filter(|text| !text.is_empty());
        let bad = || Fault::invalid(format!("params.{} has to be a text", names[0]));
        text.map(Some).ok_or_else(bad)
    }

    pub fn number(&self, names: &[&str], default: u64) -> Result<u64, Fault> {
        let Some(value) = self.get(names) else { return Ok(default) };
        let bad = || Fault::invalid(format!("params.{} has to be a number", names[0]));
        value.as_u64().ok_or_else(bad)
    }

    pub fn user(&self) -> Result<UserId, Fault> {
        let sent = self.optional(&["userId", "user_id"])?;
        let sent = sent.ok_or_else(|| Fault::invalid("params.userId is required"))?;
        Ok(ids::user(sent.into()))
    }

    /// As they are remembered: what is not known to be harmless is only named.
    pub fn redacted(&self) -> Map<String, Value> {
        let shown = |(name, value): (&String, &Value)| {
            let short = match value {
                Value::String(text) => text.chars().count() <= LONGEST,
                Value::Number(_) | Value::Bool(_) | Value::Null => true,
                Value::Array(_) | Value::Object(_) => false,
            };
            let plain = short && PLAIN.contains(&name.as_str());
            let name: String = name.chars().take(LONGEST).collect();
            (name, if plain { value.clone() } else { json!("[redacted]") })
        };
        self.0.iter().take(MOST).map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_harmless_is_only_named() {
        let sent = json!({"tier": "pro", "password": "p", "count": 3, "name": {"key": "k"}});
        let redacted = Params(sent.as_object().cloned().unwrap_or_default()).redacted();
        let expected =
            json!({"tier": "pro", "password": "[redacted]", "count": 3, "name": "[redacted]"});
        assert_eq!(Value::Object(redacted), expected);
    }
}

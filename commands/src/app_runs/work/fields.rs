//! Fields of inputs and configurations. Rendering makes texts of everything, so a number may be written as one.

use serde_json::{Map, Value};

/// The text of a field; what is no text as JSON; empty when it is absent.
pub fn text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).map(worded).unwrap_or_default()
}

/// As [`text`], `None` when it is absent or blank.
pub fn some(fields: &Map<String, Value>, name: &str) -> Option<String> {
    Some(text(fields, name)).filter(|text| !text.trim().is_empty())
}

/// A value as text.
pub fn worded(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number, `None` when it is absent or none.
pub fn number(fields: &Map<String, Value>, name: &str) -> Option<f64> {
    let number = match fields.get(name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A whole number from 0 on, `None` when it is absent or none.
pub fn count(fields: &Map<String, Value>, name: &str) -> Option<usize> {
    match fields.get(name)? {
        Value::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Whether a flag is set.
pub fn flag(fields: &Map<String, Value>, name: &str) -> Option<bool> {
    match fields.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" | "" => Some(false),
            _ => None,
        },
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        _ => None,
    }
}

/// A list; a lone value is a list of one, a text that is a JSON list is that list.
pub fn list(fields: &Map<String, Value>, name: &str) -> Vec<Value> {
    match fields.get(name) {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(items)) => items.clone(),
        Some(Value::String(text)) if text.trim().is_empty() => vec![],
        Some(Value::String(text)) => match json(text) {
            Some(Value::Array(items)) => items,
            _ => vec![Value::String(text.clone())],
        },
        Some(other) => vec![other.clone()],
    }
}

/// A text as JSON, if it is any.
pub fn json(text: &str) -> Option<Value> {
    match domain::json::is_too_deep(text.as_bytes()) {
        true => None,
        false => serde_json::from_str(text).ok(),
    }
}

/// A number as JSON, whole if it is.
pub fn as_json(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_flags_may_be_texts() {
        let Value::Object(fields) =
            json!({"a": "0.5", "b": 3, "c": "true", "d": " 7 ", "e": "x", "f": null})
        else {
            return;
        };
        assert_eq!(
            (number(&fields, "a"), number(&fields, "b"), number(&fields, "e")),
            (Some(0.5), Some(3.0), None)
        );
        assert_eq!(
            (count(&fields, "d"), count(&fields, "b"), count(&fields, "a")),
            (Some(7), Some(3), None)
        );
        assert_eq!(
            (flag(&fields, "c"), flag(&fields, "e"), flag(&fields, "f")),
            (Some(true), None, None)
        );
        assert_eq!(
            (text(&fields, "b"), text(&fields, "f"), text(&fields, "gone")),
            ("3".into(), String::new(), String::new())
        );
    }

    #[test]
    fn a_list_may_be_one_value_or_a_text() {
        let Value::Object(fields) = json!({"a": ["x"], "b": "x", "c": "[\"x\", \"y\"]", "d": ""})
        else {
            return;
        };
        assert_eq!(list(&fields, "a"), [json!("x")]);
        assert_eq!(list(&fields, "b"), [json!("x")]);
        assert_eq!(list(&fields, "c").len(), 2);
        assert!(list(&fields, "d").is_empty() && list(&fields, "gone").is_empty());
    }
}

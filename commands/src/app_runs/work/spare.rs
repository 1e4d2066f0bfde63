//! Templates that speak of what only the work knows: they are rendered twice, and such expressions survive the first time.

use super::super::{
    catalogue::Work,
    template::{self, Context},
};
use domain::app::names::roots;
use regex::{Captures, Regex};
use serde_json::Value;
use std::sync::LazyLock;

/// What only the work knows.
const OURS: &[&str] = &["_parameters", "_connection", "_splitter_item"];

#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)\{\{.*?\}\}").unwrap());
#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static PLACE: LazyLock<Regex> = LazyLock::new(|| Regex::new("\u{f8f0}(\\d+)\u{f8f1}").unwrap());

/// Whether a field of the configuration may speak of it.
pub fn may_speak(work: Work, field: &str) -> bool {
    match work {
        Work::HttpApi => matches!(field, "url" | "path" | "request_body"),
        Work::Split => field == "output_schema",
        _ => false,
    }
}

/// The value rendered, but for such expressions.
pub fn hydrate(value: &Value, context: &Context) -> Value {
    match value {
        Value::String(text) => render(text, context).into(),
        Value::Array(items) => items.iter().map(|item| hydrate(item, context)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (key.clone(), hydrate(field, context)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn render(text: &str, context: &Context) -> String {
    let mut kept: Vec<String> = Vec::new();
    let marked = EXPRESSION.replace_all(text, |found: &Captures<'_>| {
        let expression = &found[0];
        if roots(expression).iter().any(|root| OURS.contains(&root.as_str())) {
            kept.push(expression.to_owned());
            return format!("\u{f8f0}{}\u{f8f1}", kept.len() - 1);
        }
        expression.to_owned()
    });
    let rendered = template::render(&marked, context);
    let restored = PLACE.replace_all(&rendered, |found: &Captures<'_>| {
        let place: Option<usize> = found[1].parse().ok();
        place.and_then(|place| kept.get(place)).cloned().unwrap_or_default()
    });
    restored.into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_the_work_knows_survives() {
        let context = Context::new(json!({"x": "1"}).as_object().unwrap());
        let value = json!({"path": "/{{ x }}/{{ _parameters.t }}/{t}/{{ gone }}", "n": 1});
        assert_eq!(
            hydrate(&value, &context),
            json!({"path": "/1/{{ _parameters.t }}/{t}/", "n": 1})
        );
    }
}

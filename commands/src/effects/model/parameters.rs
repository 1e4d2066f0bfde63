//! The one place that knows how models differ in what they call their parameters.

use serde_json::{Map, Value};

/// The parameters as `model` wants them: OpenAI's reasoning models (the o-series, GPT-5 and later) refuse `max_tokens` and
/// take `max_completion_tokens`.
pub(super) fn fitted(mut parameters: Map<String, Value>, model: &str) -> Map<String, Value> {
    if reasons(model)
        && let Some(limit) = parameters.remove("max_tokens")
    {
        parameters.entry("max_completion_tokens").or_insert(limit);
    }
    parameters
}

/// Whether this is the name of one of OpenAI's reasoning models, also behind a router's prefix (`openai/o3-mini`).
fn reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let generation = |prefix: &str| {
        let rest = name.strip_prefix(prefix)?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let ends = rest[digits..].chars().next().is_none_or(|next| "-.:@".contains(next));
        rest[..digits].parse::<u32>().ok().filter(|_| ends)
    };
    generation("o").is_some() || generation("gpt-").is_some_and(|generation| generation >= 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reasoning_models_are_known_by_name() {
        for model in
            ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "GPT-5.1-codex", "openai/gpt-5-mini"]
        {
            assert!(reasons(model), "{model}");
        }
        for model in [
            "gpt-4o",
            "gpt-4.1",
            "gpt-oss-20b",
            "o",
            "opus",
            "o1x",
            "olmo-2",
            "qwen3",
            "gpt-50x",
            "",
        ] {
            assert!(!reasons(model), "{model}");
        }
    }

    #[test]
    fn their_limit_has_another_name() {
        let Value::Object(parameters) = json!({"max_tokens": 5, "top_p": 1}) else { return };
        let sent = |model| Value::Object(fitted(parameters.clone(), model));
        assert_eq!(sent("o3"), json!({"max_completion_tokens": 5, "top_p": 1}));
        assert_eq!(sent("gpt-4o"), json!({"max_tokens": 5, "top_p": 1}));
    }
}

//! One whole answer of a model, for callers that have no use for its pieces.

use super::{Delta, Model, ModelError, Request};
use domain::json::is_too_deep;
use futures::StreamExt;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of an answer at most.
const LARGEST: usize = 256 * 1024;

/// Why there is no whole answer. As [`ModelError`], no variant ever holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Not there in time.
    #[error("the model did not answer within {0:?}")]
    TooSlow(Duration),
    /// It goes on for too long.
    #[error("the model's answer is longer than {LARGEST} bytes")]
    TooLong,
    /// The call failed.
    #[error(transparent)]
    Failed(#[from] ModelError),
}

/// The text of the answer; what the model thought beforehand is left out.
///
/// # Errors
/// As [`Unanswered`].
pub async fn complete(
    model: &dyn Model,
    request: Request,
    within: Duration,
) -> Result<String, Unanswered> {
    let answer = async {
        let mut deltas = model.stream(request).await?;
        let mut answer = String::new();
        while let Some(delta) = deltas.next().await {
            match delta? {
                Delta::Text(text) => answer.push_str(&text),
                Delta::Finished(_) => break,
                Delta::Reasoning(_) | Delta::ToolCalls(_) | Delta::Usage(_) => {}
            }
            if answer.len() > LARGEST {
                return Err(Unanswered::TooLong);
            }
        }
        Ok(answer)
    };
    timeout(within, answer).await.unwrap_or(Err(Unanswered::TooSlow(within)))
}

/// The JSON object in a model's answer, be it the whole answer, inside a fence, or somewhere in prose.
pub fn object_in(answer: &str) -> Option<Map<String, Value>> {
    let fenced = answer
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim());
    let candidates = std::iter::once(answer.trim()).chain(fenced);
    candidates.into_iter().find_map(leading_object).or_else(|| {
        // A handful of places is enough: an answer full of braces is not one that was asked for.
        answer.match_indices('{').take(16).find_map(|(at, _)| leading_object(&answer[at..]))
    })
}

/// The object with which this text begins.
fn leading_object(text: &str) -> Option<Map<String, Value>> {
    if !text.starts_with('{') || is_too_deep(text.as_bytes()) {
        return None;
    }
    serde_json::Deserializer::from_str(text).into_iter().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_found_wherever_a_model_puts_it() {
        for answer in [
            r#"{"a": 1}"#,
            "```json\n{\"a\": 1}\n```",
            "Sure!\n```\n{\"a\": 1}\n```\nAnything else?",
            "Here {it} is: {\"a\": 1} as you wished.",
        ] {
            assert_eq!(object_in(answer).map(Value::Object), Some(json!({"a": 1})), "{answer}");
        }
    }

    #[test]
    fn rubbish_holds_no_object() {
        for answer in ["", "no", "[1, 2]", "{\"a\": ", "```json\n```", &"{".repeat(100)] {
            assert_eq!(object_in(answer), None, "{answer}");
        }
    }
}

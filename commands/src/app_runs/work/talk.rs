//! What all processors do that talk to a model.

use super::{super::steps::Task, fields};
use crate::{
    effects::model::{Delta, Request},
    reactors::reply::tokens,
};
use domain::run::TurnUsage;
use futures::StreamExt;
use serde_json::{Map, Value, json};

/// Bytes of an answer at most.
const LARGEST: usize = 1 << 20;
/// Bytes of a history that a session remembers at most.
const REMEMBERED: usize = 256 << 10;

/// A message of the chat protocol.
pub fn message(role: &str, content: impl Into<Value>) -> Value {
    json!({"role": role, "content": content.into()})
}

/// The history that a step remembers.
pub fn history(memory: Option<&Value>) -> Vec<Value> {
    let history = memory.and_then(|memory| memory["chat_history"].as_array());
    history.cloned().unwrap_or_default()
}

/// The last `most` messages of a history.
pub fn last(mut history: Vec<Value>, most: usize) -> Vec<Value> {
    history.drain(..history.len().saturating_sub(most));
    history
}

/// What is remembered of a history: the newest that fits.
pub fn remember(history: Vec<Value>) -> Value {
    let mut room = REMEMBERED;
    let mut kept: Vec<Value> = Vec::new();
    for message in history.into_iter().rev() {
        let size = message.to_string().len();
        if size > room {
            break;
        }
        room -= size;
        kept.push(message);
    }
    kept.reverse();
    json!({ "chat_history": kept })
}

/// The newest messages that are within so many tokens.
pub fn within(history: Vec<Value>, limit: usize) -> Vec<Value> {
    let mut left = limit;
    let mut kept: Vec<Value> = Vec::new();
    for message in history.into_iter().rev() {
        let Some(rest) = left.checked_sub(tokens::of_message(&message)) else { break };
        left = rest;
        kept.push(message);
    }
    kept.reverse();
    kept
}

/// The sampling parameters among these that are set, or have a usual value.
pub fn parameters(
    config: &Map<String, Value>,
    usual: &[(&str, Option<f64>)],
) -> Map<String, Value> {
    let mut parameters = Map::new();
    for (name, usual) in usual {
        let Some(number) = fields::number(config, name).or(*usual) else { continue };
        let whole = matches!(*name, "max_tokens" | "seed" | "n");
        #[expect(clippy::cast_possible_truncation, reason = "cut to the range of whole numbers")]
        let value = if whole { json!(number as i64) } else { fields::as_json(number) };
        parameters.insert((*name).to_owned(), value);
    }
    parameters
}

/// What a model said.
#[derive(Debug, Default)]
pub struct Spoken {
    pub text: String,
    pub usage: TurnUsage,
}

/// What is handed to the caller as it comes.
pub enum News<'a> {
    Text(&'a str),
    /// The delta list of the chat protocol.
    Calls(&'a [Value]),
}

/// Asks the model; `hear` turns what comes into pieces of the step's output.
pub async fn talk(
    task: &Task,
    model: Option<&str>,
    request: Request,
    hear: impl Fn(News<'_>) -> Option<Value>,
) -> Result<Spoken, String> {
    let choice = task.model(model).await.map_err(|unavailable| unavailable.to_string())?;
    let request = Request { endpoint: choice.endpoint, ..request };
    let mut spoken = Spoken::default();
    spoken.usage.model.clone_from(&request.endpoint.model);
    let mut deltas = choice.model.stream(request).await.map_err(|error| error.to_string())?;
    while let Some(delta) = deltas.next().await {
        let piece = match delta.map_err(|error| error.to_string())? {
            Delta::Text(text) => {
                if spoken.text.len() + text.len() > LARGEST {
                    return Err(format!("the model's answer is longer than {LARGEST} bytes"));
                }
                spoken.text.push_str(&text);
                hear(News::Text(&text))
            }
            Delta::ToolCalls(calls) => hear(News::Calls(&calls)),
            Delta::Usage(usage) => {
                spoken.usage.usage = Some(usage);
                None
            }
            Delta::Reasoning(_) => None,
            Delta::Finished(_) => return Ok(spoken),
        };
        if let Some(piece) = piece {
            task.say(piece).await;
        }
    }
    Err("the model's answer broke off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_messages_are_kept() {
        let history = |n: usize| (0..n).map(|i| message("user", i.to_string())).collect::<Vec<_>>();
        assert_eq!(last(history(5), 2), history(5)[3..]);
        assert_eq!(last(history(1), 2), history(1));
        assert!(last(history(3), 0).is_empty());
        assert_eq!(within(history(9), 10).len(), 2);
        let long = vec![message("user", "x".repeat(REMEMBERED)), message("user", "short")];
        assert_eq!(remember(long)["chat_history"], json!([message("user", "short")]));
    }

    #[test]
    fn parameters_are_what_is_set_or_usual() {
        let Value::Object(config) = json!({"temperature": "0.2", "seed": 7}) else { return };
        let sent = parameters(
            &config,
            &[
                ("temperature", Some(0.7)),
                ("max_tokens", Some(100.0)),
                ("seed", None),
                ("top_p", None),
            ],
        );
        assert_eq!(Value::Object(sent), json!({"temperature": 0.2, "max_tokens": 100, "seed": 7}));
    }
}

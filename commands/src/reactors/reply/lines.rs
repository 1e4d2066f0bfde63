//! The lines of a run's stream, exactly as clients get them.

use super::new_message_id;
use chrono::Utc;
use domain::{
    message::{Line, Message},
    run::{Request, TurnUsage},
};
use serde::Serialize;
use serde_json::{Map, Value, json, value::to_raw_value};
use std::collections::BTreeMap;

/// Seconds since the epoch, as lines carry them.
pub(crate) fn timestamp() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit in 53 bits")]
    let micros = Utc::now().timestamp_micros() as f64;
    micros / 1e6
}

/// The voice of one run: what all of its lines have in common.
pub(super) struct Voice<'a> {
    pub agent_name: &'a str,
    pub session_id: &'a str,
}

#[derive(Serialize)]
struct Delta<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<&'a [Value]>,
    message_id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: f64,
    agent_name: &'a str,
    metadata: &'a Map<String, Value>,
    session_id: &'a str,
}

/// What a delta adds to a message.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Reasoning(&'a str),
    ToolCalls(&'a [Value]),
    /// Text of the summary that closes a run.
    Summary(&'a str),
    /// One suggestion.
    Suggestion(&'a str),
}

impl Piece<'_> {
    /// The type of lines that carry it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Text(_) => "do_subtask_result",
            Self::Reasoning(_) => "reasoning_content",
            Self::ToolCalls(_) => "tool_call",
            Self::Summary(_) => "final_answer",
            Self::Suggestion(_) => "query_suggest",
        }
    }
}

impl<'a> Voice<'a> {
    pub fn of(request: &'a Request) -> Self {
        Self { agent_name: &request.agent_name, session_id: &request.session_id }
    }

    /// One more piece of this message of the model.
    pub fn delta(&self, message: &Message, piece: Piece<'_>) -> Option<Line> {
        let (content, reasoning_content, tool_calls) = match piece {
            Piece::Text(text) | Piece::Summary(text) | Piece::Suggestion(text) => {
                (Some(text), None, None)
            }
            Piece::Reasoning(text) => (None, Some(text), None),
            Piece::ToolCalls(calls) => (None, None, Some(calls)),
        };
        line(&Delta {
            role: "assistant",
            content,
            reasoning_content,
            tool_calls,
            message_id: &message.message_id,
            kind: piece.kind(),
            timestamp: message.timestamp,
            agent_name: self.agent_name,
            metadata: &message.metadata,
            session_id: self.session_id,
        })
    }

    /// A message of this run with nothing in it yet.
    pub fn message(&self, kind: &str) -> Message {
        Message {
            role: "assistant".to_owned(),
            message_id: new_message_id(),
            kind: kind.to_owned(),
            timestamp: timestamp(),
            agent_name: Some(self.agent_name.to_owned()),
            session_id: self.session_id.to_owned(),
            ..Message::default()
        }
    }

    /// The last line of a message whose turn was abandoned by a node that is gone.
    pub fn superseded(&self, partial: &Message) -> Option<(Line, Message)> {
        let metadata = Map::from_iter([("superseded".to_owned(), Value::Bool(true))]);
        let timestamp = timestamp();
        let closing = line(&Delta {
            role: "assistant",
            content: Some(""),
            reasoning_content: None,
            tool_calls: None,
            message_id: &partial.message_id,
            kind: "do_subtask_result",
            timestamp,
            agent_name: self.agent_name,
            metadata: &metadata,
            session_id: self.session_id,
        })?;
        let kind = "do_subtask_result".to_owned();
        let content = partial.content.clone().or_else(|| Some("".into()));
        Some((closing, Message { metadata, timestamp, kind, content, ..partial.clone() }))
    }

    /// A whole message in one line.
    pub fn whole(message: &Message) -> Option<Line> {
        line(message)
    }

    /// What the run's turns cost; never a part of the history.
    pub fn token_usage(&self, message_id: &str, turns: &[TurnUsage]) -> Option<Line> {
        let mut models: Vec<&str> = turns.iter().map(|turn| turn.model.as_str()).collect();
        models.dedup();
        let model = models.last().copied().unwrap_or_default();
        let steps: Vec<Value> = turns.iter().map(step).collect();
        let mut total = totals(turns);
        if !turns.is_empty() {
            total.insert("model".to_owned(), json!(model));
            total.insert("models".to_owned(), json!(models));
        }
        let usage = json!({"total_info": total, "per_step_info": steps, "models": models});
        let mut metadata = Map::from_iter([
            ("token_usage".to_owned(), usage),
            ("session_id".to_owned(), json!(self.session_id)),
        ]);
        if !turns.is_empty() {
            metadata.insert("model".to_owned(), json!(model));
            metadata.insert("models".to_owned(), json!(models));
        }
        line(&Delta {
            role: "assistant",
            content: Some(""),
            reasoning_content: None,
            tool_calls: None,
            message_id,
            kind: "token_usage",
            timestamp: timestamp(),
            agent_name: self.agent_name,
            metadata: &metadata,
            session_id: self.session_id,
        })
    }
}

/// The end line of an app's run that went wrong.
pub(crate) fn errors(errors: &[&str]) -> Option<Line> {
    line(&json!({ "errors": errors }))
}

/// The end line; `index` lines came before it.
pub(super) fn stream_end(session_id: &str, index: u64) -> Option<Line> {
    line(&json!({
        "type": "stream_end",
        "session_id": session_id,
        "timestamp": timestamp(),
        "total_stream_count": index,
    }))
}

fn step(turn: &TurnUsage) -> Value {
    let name = turn.step.as_deref().unwrap_or("direct_execution");
    let mut step = json!({"step_name": name, "model": turn.model, "usage": turn.usage});
    if turn.usage.is_none() {
        step["note"] = "the provider reported no usage".into();
    }
    step
}

/// Sums of all numbers the providers reported.
fn totals(turns: &[TurnUsage]) -> Map<String, Value> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for (key, value) in turns.iter().filter_map(|t| t.usage.as_ref()?.as_object()).flatten() {
        match value {
            Value::Number(number) => *sums.entry(key).or_default() += number.as_u64().unwrap_or(0),
            Value::Object(details) => {
                for (key, number) in details.iter().filter_map(|(k, v)| Some((k, v.as_u64()?))) {
                    *sums.entry(key).or_default() += number;
                }
            }
            _ => {}
        }
    }
    sums.into_iter().map(|(key, sum)| (key.to_owned(), json!(sum))).collect()
}

/// `None` only if a value cannot be JSON (a map with odd keys), which these types exclude.
fn line(value: &impl Serialize) -> Option<Line> {
    to_raw_value(value).ok().map(Line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: Voice<'static> = Voice { agent_name: "SimpleAgent", session_id: "s" };

    #[test]
    fn keys_come_in_the_order_of_the_contract_and_nulls_are_left_out() {
        let message = Message { message_id: "m".to_owned(), timestamp: 1.5, ..Message::default() };
        let line = VOICE.delta(&message, Piece::Text("é")).map(|line| line.get().to_owned());
        let line = line.unwrap_or_default();
        let keys = [
            "role",
            "content",
            "message_id",
            "type",
            "timestamp",
            "agent_name",
            "metadata",
            "session_id",
        ];
        let places: Vec<_> = keys.iter().map(|k| line.find(&format!("\"{k}\":"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{line}");
        assert!(line.contains("\"é\"") && !line.contains("null"), "{line}");
    }

    #[test]
    fn usage_is_summed_over_turns() {
        let turn = |n: u64| TurnUsage {
            step: None,
            model: "m".to_owned(),
            usage: Some(
                json!({"prompt_tokens": n, "completion_tokens_details": {"reasoning_tokens": n}}),
            ),
        };
        let line = VOICE.token_usage("u", &[turn(1), turn(2)]).map(|line| line.get().to_owned());
        let line: Value = serde_json::from_str(&line.unwrap_or_default()).unwrap_or_default();
        let total = &line["metadata"]["token_usage"]["total_info"];
        assert_eq!((&total["prompt_tokens"], &total["reasoning_tokens"]), (&json!(3), &json!(3)));
    }

    #[test]
    fn a_run_without_a_model_call_counts_nothing() {
        let line = VOICE.token_usage("u", &[]).map(|line| line.get().to_owned());
        let line: Value = serde_json::from_str(&line.unwrap_or_default()).unwrap_or_default();
        assert_eq!(line["metadata"]["token_usage"]["total_info"], json!({}));
    }
}

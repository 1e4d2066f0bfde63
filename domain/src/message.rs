//! A message of a conversation, complete; and the lines from which it grows.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

/// One complete message as it stands in a conversation's history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `user`, `assistant`, `tool` or `system`.
    pub role: String,
    /// Text, a list of multimodal parts, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// The model's thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Calls the model wants made, arguments complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// Stable over streams, replays and restarts; unique within its conversation.
    pub message_id: String,
    /// The call a `tool` message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// `user_input`, `do_subtask_result`, `tool_call`, `tool_call_result`, `final_answer` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Seconds since the epoch.
    #[serde(default)]
    pub timestamp: f64,
    /// Who of the agents spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// Further facts; `{}` when there are none.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The session as the client named it.
    #[serde(default)]
    pub session_id: String,
}

impl Message {
    /// The text of the content; of a part list the text parts, joined.
    pub fn text(&self) -> String {
        match &self.content {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                let texts =
                    parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
                texts.collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }
}

/// One line of a run's stream: a JSON object, kept as the bytes that clients get.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line(pub Box<RawValue>);

impl Line {
    /// The bytes.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

/// Messages folded from lines, by the rule clients use: equal `message_id` grows, a new one is appended.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    messages: Vec<Message>,
}

impl Transcript {
    /// Takes one more line. Lines that are no message (`stream_end`, `token_usage`, bare errors) change nothing.
    pub fn push(&mut self, line: &str) {
        let Ok(delta) = serde_json::from_str::<Message>(line) else { return };
        if delta.message_id.is_empty() || delta.kind == "token_usage" {
            return;
        }
        match self.messages.iter_mut().rev().find(|known| known.message_id == delta.message_id) {
            None => self.messages.push(delta),
            Some(known) if delta.role == "tool" => *known = delta,
            Some(known) => grow(known, delta),
        }
    }

    /// The messages, in the order of their first lines.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}

fn grow(known: &mut Message, delta: Message) {
    known.content = match (known.content.take(), delta.content) {
        (Some(Value::String(old)), Some(Value::String(new))) => Some(Value::String(old + &new)),
        (old, None) => old,
        (_, new) => new,
    };
    if let Some(new) = delta.reasoning_content {
        known.reasoning_content.get_or_insert_default().push_str(&new);
    }
    merge_tool_calls(&mut known.tool_calls, &delta.tool_calls);
    known.kind = delta.kind;
    known.timestamp = delta.timestamp;
    known.metadata = delta.metadata;
}

/// Merges pieces of tool calls into whole ones: by id, else by index; arguments are concatenated, and neither null nor
/// an empty text erases what is known.
pub fn merge_tool_calls(calls: &mut Vec<Value>, pieces: &[Value]) {
    for piece in pieces {
        let same = |key: &str, call: &Value| {
            piece.get(key).is_some_and(|id| !id.is_null() && call.get(key) == Some(id))
        };
        let by_id = calls.iter().position(|call| same("id", call));
        // A piece with an id of its own opens a new call even where a server repeats the index.
        let opens = piece.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
        let at = by_id.or_else(|| {
            (!opens).then(|| calls.iter().rposition(|call| same("index", call))).flatten()
        });
        match at.and_then(|at| calls.get_mut(at)) {
            None => calls.push(piece.clone()),
            Some(call) => merge_call(call, piece),
        }
    }
}

fn merge_call(call: &mut Value, piece: &Value) {
    let Some(function) = piece.get("function") else { return };
    if let Some(name) = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
    {
        call["function"]["name"] = name.into();
    }
    if let Some(more) = function.get("arguments").and_then(Value::as_str) {
        let known = call["function"]["arguments"].as_str().unwrap_or_default();
        call["function"]["arguments"] = format!("{known}{more}").into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fold(lines: &[Value]) -> Vec<Message> {
        let mut transcript = Transcript::default();
        lines.iter().for_each(|line| transcript.push(&line.to_string()));
        transcript.into_messages()
    }

    fn delta(id: &str, content: &str) -> Value {
        json!({"role": "assistant", "content": content, "message_id": id, "type": "do_subtask_result"})
    }

    #[test]
    fn deltas_of_one_message_grow_together() {
        let messages = fold(&[delta("a", "Hel"), delta("b", "x"), delta("a", "lo\u{1F600}")]);
        assert_eq!(messages.iter().map(Message::text).collect::<Vec<_>>(), ["Hello😀", "x"]);
    }

    #[test]
    fn lines_that_are_no_message_leave_no_trace() {
        let usage =
            json!({"role": "assistant", "content": "", "message_id": "u", "type": "token_usage"});
        let end = json!({"type": "stream_end", "session_id": "s", "total_stream_count": 2});
        assert!(fold(&[usage, end]).is_empty());
    }

    #[test]
    fn arguments_of_parallel_calls_are_kept_apart() {
        let call = |piece: Value| json!({"role": "assistant", "message_id": "m", "type": "tool_call", "tool_calls": [piece]});
        let messages = fold(&[
            call(json!({"id": "1", "index": 0, "function": {"name": "a", "arguments": ""}})),
            call(json!({"id": "2", "index": 1, "function": {"name": "b", "arguments": "{\"y\""}})),
            call(json!({"id": null, "index": 0, "function": {"name": null, "arguments": "{}"}})),
            call(json!({"id": null, "index": 1, "function": {"name": null, "arguments": ":1}"}})),
        ]);
        let calls = &messages[0].tool_calls;
        assert_eq!(calls[0]["function"], json!({"name": "a", "arguments": "{}"}));
        assert_eq!(calls[1]["function"], json!({"name": "b", "arguments": "{\"y\":1}"}));
    }

    #[test]
    fn a_tool_result_replaces_its_predecessor() {
        let result = |text: &str| json!({"role": "tool", "content": text, "message_id": "t", "type": "tool_call_result"});
        assert_eq!(fold(&[result("1"), result("2")])[0].text(), "2");
    }
}

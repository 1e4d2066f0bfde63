//! What the scripted provider is told to do, and the words that it says.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Opens a script inside a user message: `!script {"deltas": 3} and then any text`.
const MARK: &str = "!script ";

/// How to answer one call. Everything has a default, so that a script names only what it is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Text deltas, see [`word`].
    pub deltas: usize,
    /// Says this in the place of the usual words, three letters per delta.
    pub says: Option<String>,
    /// Pause before each delta, in milliseconds.
    pub delay_ms: u64,
    /// Thinking deltas before the text, see [`thought`].
    pub reasoning: usize,
    /// Under which name thinking is sent.
    pub reasoning_name: String,
    /// Tool calls after the text, as long as fewer than `tool_rounds` rounds were answered since the last user message.
    pub tool_calls: Vec<ToolCall>,
    /// `tool_calls` delta lists, sent in the same rounds as they are, one per delta.
    pub raw_calls: Vec<Value>,
    /// Rounds of tool calls.
    pub tool_rounds: usize,
    /// Whether usage is sent (in a chunk without choices) to those who ask for it.
    pub usage: bool,
    /// Sends the body in pieces of this many bytes, wherever that cuts; 0 means one piece per delta.
    pub split: usize,
    /// Line ending of the stream.
    pub ending: String,
    /// Sends a comment before every delta.
    pub comments: bool,
    /// Whether a finish reason is sent.
    pub finish: bool,
    /// Whether `[DONE]` is sent.
    pub done: bool,
    /// Keeps the body open for so many milliseconds after everything is sent.
    pub linger_ms: u64,
    /// Answers the first calls with this same user message with an error status.
    pub fail: Option<Fail>,
    /// Refuses `stream_options` as older servers do.
    pub no_stream_options: bool,
    /// Refuses `tools` as servers do whose model has not learnt to call any.
    pub no_tools: bool,
    /// Cuts the connection after this many deltas.
    pub break_after: Option<usize>,
    /// Sends nothing more after this many deltas.
    pub stall_after: Option<usize>,
    /// Sends only comments, one per pause, after this many deltas.
    pub comments_after: Option<usize>,
    /// Sends an `error` object after this many deltas.
    pub error_after: Option<usize>,
    /// Never answers, not even with a status.
    pub silent: bool,
    /// Answers with one JSON document instead of a stream.
    pub whole: bool,
    /// Answers 200 with exactly this body.
    pub raw: Option<String>,
}

/// A tool call to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolCall {
    /// The function's name.
    pub name: String,
    /// Its arguments; sent in several fragments.
    pub arguments: Value,
}

/// An error to answer with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The HTTP status.
    pub status: u16,
    /// How many calls fail before one succeeds.
    pub times: usize,
    /// The `Retry-After` header.
    #[serde(default)]
    pub retry_after: Option<String>,
    /// The message of the error body; `{key}` stands for the key that was sent.
    #[serde(default)]
    pub message: String,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            deltas: 10,
            says: None,
            delay_ms: 0,
            reasoning: 0,
            reasoning_name: "reasoning_content".to_owned(),
            tool_calls: Vec::new(),
            raw_calls: Vec::new(),
            tool_rounds: 1,
            usage: true,
            split: 0,
            ending: "\n".to_owned(),
            comments: false,
            finish: true,
            done: true,
            linger_ms: 0,
            fail: None,
            no_stream_options: false,
            no_tools: false,
            break_after: None,
            stall_after: None,
            comments_after: None,
            error_after: None,
            silent: false,
            whole: false,
            raw: None,
        }
    }
}

impl Script {
    /// The script inside the last user message, else `otherwise`.
    ///
    /// # Errors
    /// When a message opens a script that cannot be read.
    pub fn of_request(body: &Value, otherwise: &Self) -> Result<Self, serde_json::Error> {
        let text = last_user_text(body);
        let Some((_, script)) = text.split_once(MARK) else { return Ok(otherwise.clone()) };
        let mut values = serde_json::Deserializer::from_str(script).into_iter();
        values.next().unwrap_or_else(|| Ok(otherwise.clone()))
    }

    /// This script as the beginning of a user message.
    ///
    /// # Panics
    /// Never: a script is always JSON.
    pub fn message(&self, text: &str) -> String {
        let script = serde_json::to_string(self).expect("plain fields");
        format!("{MARK}{script} {text}")
    }

    /// The chunks of the answer to `body`, in order, without the end of the stream.
    pub fn chunks(&self, body: &Value) -> Vec<Value> {
        let thoughts =
            (0..self.reasoning).map(|i| json!({(self.reasoning_name.as_str()): thought(i)}));
        let words: Vec<String> = match &self.says {
            None => (0..self.deltas).map(word).collect(),
            Some(text) => {
                let letters: Vec<char> = text.chars().collect();
                letters.chunks(3).map(|piece| piece.iter().collect()).collect()
            }
        };
        let words = words.into_iter().map(|word| json!({ "content": word }));
        let mut deltas: Vec<Value> = thoughts.chain(words).collect();
        if rounds_since_user(body) < self.tool_rounds {
            deltas.extend(self.tool_calls.iter().enumerate().flat_map(|(i, call)| call.deltas(i)));
            deltas.extend(self.raw_calls.iter().map(|calls| json!({"tool_calls": calls})));
        }
        deltas.into_iter().map(|delta| chunk(body, &delta, Value::Null)).collect()
    }

    /// The finish reason for `body`.
    pub fn reason(&self, body: &Value) -> &'static str {
        let calls = !self.tool_calls.is_empty() || !self.raw_calls.is_empty();
        let calls = calls && rounds_since_user(body) < self.tool_rounds;
        if calls { "tool_calls" } else { "stop" }
    }

    /// What was used: deterministic, as if every message and every delta were one token.
    pub fn usage(&self, body: &Value) -> Value {
        let prompt = body["messages"].as_array().map_or(0, Vec::len);
        let completion = self.deltas + self.reasoning;
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        })
    }

    /// The same answer as one document.
    pub fn completion(&self, body: &Value) -> Value {
        let mut message = json!({"role": "assistant", "content": text(self.deltas)});
        if self.reasoning > 0 {
            let thoughts: String = (0..self.reasoning).map(thought).collect();
            message[&self.reasoning_name] = thoughts.into();
        }
        if self.reason(body) == "tool_calls" {
            message["tool_calls"] =
                self.tool_calls.iter().enumerate().map(ToolCall::whole).collect();
        }
        json!({
            "id": "chatcmpl-test", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": self.reason(body)}],
            "usage": self.usage(body),
        })
    }
}

impl ToolCall {
    fn whole((index, call): (usize, &Self)) -> Value {
        let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
        json!({"id": format!("call_{index}"), "type": "function", "function": function})
    }

    fn deltas(&self, index: usize) -> Vec<Value> {
        let function = json!({"name": self.name, "arguments": ""});
        let first = json!({
            "index": index, "id": format!("call_{index}"), "type": "function", "function": function,
        });
        let arguments: Vec<char> = self.arguments.to_string().chars().collect();
        let pieces = arguments.chunks(7).map(|piece| {
            let piece: String = piece.iter().collect();
            json!({"index": index, "function": {"arguments": piece}})
        });
        std::iter::once(first).chain(pieces).map(|call| json!({"tool_calls": [call]})).collect()
    }
}

/// Text delta `i`: one word and a blank; every seventh with characters of several bytes.
pub fn word(i: usize) -> String {
    if i % 7 == 6 { format!("词{i}🙂 ") } else { format!("w{i} ") }
}

/// Thinking delta `i`.
pub fn thought(i: usize) -> String {
    format!("r{i} ")
}

/// The first `n` text deltas, joined.
pub fn text(n: usize) -> String {
    (0..n).map(word).collect()
}

/// One chunk of a stream.
pub fn chunk(body: &Value, delta: &Value, reason: Value) -> Value {
    json!({
        "id": "chatcmpl-test", "object": "chat.completion.chunk", "created": 0, "model": body["model"],
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    })
}

/// The text of the last user message.
pub fn last_user_text(body: &Value) -> String {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.iter().rev().find(|m| m["role"] == "user").map(|m| &m["content"]);
    match last {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// Assistant messages with tool calls after the last user message.
fn rounds_since_user(body: &Value) -> usize {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let after = messages.iter().rev().take_while(|m| m["role"] != "user");
    after.filter(|m| m["tool_calls"].is_array()).count()
}

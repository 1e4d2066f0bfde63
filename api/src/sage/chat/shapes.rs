//! What streams hold, and what requests hold of the domain's types, as documents tell of them.
#![expect(dead_code, reason = "made and read elsewhere; here it is only told of")]

use serde_json::Value;
use std::collections::HashMap;
use utoipa::ToSchema;

/// An answer as lines.
pub(super) const LINES: &str = r#"{"role":"assistant","reasoning_content":"A greeting.","message_id":"m1","type":"reasoning_content","timestamp":1763712000.1,"agent_name":"Sage Assistant","metadata":{},"session_id":"s1"}
{"role":"assistant","content":"Good ","message_id":"m1","type":"do_subtask_result","timestamp":1763712000.2,"agent_name":"Sage Assistant","metadata":{},"session_id":"s1"}
{"role":"assistant","content":"evening.","message_id":"m1","type":"do_subtask_result","timestamp":1763712000.3,"agent_name":"Sage Assistant","metadata":{},"session_id":"s1"}
{"role":"assistant","content":"","message_id":"m2","type":"token_usage","timestamp":1763712000.4,"agent_name":"Sage Assistant","metadata":{"token_usage":{"total_info":{"prompt_tokens":12,"completion_tokens":4,"total_tokens":16,"model":"a","models":["a"]},"per_step_info":[{"step_name":"direct_execution","model":"a","usage":{"prompt_tokens":12,"completion_tokens":4,"total_tokens":16}}],"models":["a"]},"session_id":"s1","model":"a","models":["a"]},"session_id":"s1"}
{"type":"stream_end","session_id":"s1","timestamp":1763712000.5,"total_stream_count":4}
"#;
/// The end of the same as events.
pub(super) const EVENTS: &str = r#"id: 0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1:2
data: {"role":"assistant","content":"evening.","message_id":"m1","type":"do_subtask_result","timestamp":1763712000.3,"agent_name":"Sage Assistant","metadata":{},"session_id":"s1"}

id: 0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1:4
data: {"type":"stream_end","session_id":"s1","timestamp":1763712000.5,"total_stream_count":4}

"#;

/// A line of a stream: a piece of a message, what the answer cost, or the end.
#[derive(ToSchema)]
#[schema(as = StreamLine)]
pub(in crate::sage) struct Line {
    /// `assistant`, `tool` or `user`; absent of the end.
    role: Option<String>,
    /// To append; of a tool all it answered.
    content: Option<String>,
    /// The model's thinking, to append.
    reasoning_content: Option<String>,
    /// Pieces of calls as OpenAI streams them, by `index`; arguments to append.
    #[schema(value_type = Option<Vec<Object>>)]
    tool_calls: Option<Vec<Value>>,
    /// The message to which the line belongs.
    message_id: Option<String>,
    /// The call that a tool answers.
    tool_call_id: Option<String>,
    /// `reasoning_content`, `do_subtask_result` (the answer), `tool_call`, `tool_call_result`, `final_answer` (also why there is no other),
    /// `query_suggest`, `token_usage`, `stream_end` and others.
    r#type: String,
    /// Seconds since the epoch.
    timestamp: Option<f64>,
    agent_name: Option<String>,
    /// Of a tool `tool_execution_status`; of `token_usage` what it cost.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    session_id: Option<String>,
    /// Of the end: lines before it.
    total_stream_count: Option<u64>,
    /// Of the end: there is nothing to resume, and the stored messages have it all.
    resume_fallback: Option<bool>,
}

/// What a message says: a text, or parts such as pictures.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = MessageContent)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(ToSchema)]
#[schema(as = MessagePart)]
pub(super) struct Part {
    /// `text` or `image_url`.
    r#type: String,
    text: Option<String>,
    image_url: Option<Picture>,
}

/// A picture.
#[derive(ToSchema)]
#[schema(as = MessagePicture)]
struct Picture {
    /// Of the web, or a data URL.
    url: String,
}

/// Who speaks.
#[derive(ToSchema)]
#[schema(as = MessageRole, rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
    System,
    Tool,
}

/// An MCP server for one answer; one of the URLs is needed.
#[derive(ToSchema)]
#[schema(as = ExtraMcpServer)]
pub(super) struct Server {
    streamable_http_url: Option<String>,
    /// As `streamable_http_url`.
    url: Option<String>,
    sse_url: Option<String>,
    #[schema(format = Password)]
    api_key: Option<String>,
    disabled: Option<bool>,
}

/// An agent made up for one answer.
#[derive(ToSchema)]
#[schema(as = CustomSubAgent)]
pub(super) struct SubAgent {
    /// How it is called; unique within the answer.
    name: Option<String>,
    /// The saved agent that it is made of.
    agent_id: Option<String>,
    system_prompt: Option<String>,
    /// What it is good for.
    description: Option<String>,
    available_tools: Option<Vec<String>>,
    available_skills: Option<Vec<String>>,
    /// Named lists of steps.
    available_workflows: Option<HashMap<String, Vec<String>>>,
    #[schema(value_type = Option<Object>)]
    system_context: Option<Value>,
}

/// How a model's window is divided. Ratios are of the window, from 0 to 1.
#[derive(ToSchema)]
#[schema(as = ContextBudget)]
pub(super) struct Budget {
    /// Tokens that the model can hold, prompt and answer together.
    max_model_len: Option<u64>,
    /// Most that what was said before may take.
    history_ratio: Option<f64>,
    /// Most that what was said in this answer may take.
    active_ratio: Option<f64>,
    /// Kept free for the answer.
    max_new_message_ratio: Option<f64>,
    /// Questions of the past that are told at most; 0 for all that fit.
    recent_turns: Option<u32>,
}

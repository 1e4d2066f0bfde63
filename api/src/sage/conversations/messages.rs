//! A conversation's messages together with the index of the stream line that comes next.

use super::iso;
use crate::{
    app::App,
    core::{
        Error,
        run_snapshot::{self, RunSnapshot},
    },
};
use domain::{
    ids::{ConversationId, RunId},
    message::Message,
    prompt_text::without_switches,
};
use projections::conversations::{self as read_model, Snapshot};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// All messages of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Messages)]
pub(super) struct Messages {
    /// The session id.
    conversation_id: String,
    #[schema(value_type = Vec<Told>)]
    messages: Vec<Shown>,
    message_count: usize,
    /// The messages hold exactly the stream lines below this index.
    next_stream_index: u64,
    /// The run whose lines that index counts; null if there is none.
    run_id: Option<Uuid>,
    conversation_info: Info,
}

/// A conversation, briefly.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationInfo)]
struct Info {
    session_id: String,
    agent_id: String,
    agent_name: String,
    title: String,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    message: Message,
    message_type: String,
    chunk_id: Option<String>,
    is_final: bool,
    is_chunk: bool,
}

/// A message of a conversation: of a person, of the agent, or what a tool answered.
#[derive(ToSchema)]
#[schema(as = Message)]
#[expect(dead_code, reason = "the domain's message, as it is told of here")]
struct Told {
    /// `user`, `assistant`, `tool` or `system`.
    role: String,
    /// Text, or a list of parts as they were sent. Absent when there is none.
    content: Option<Value>,
    /// The model's thinking. Absent when there is none.
    reasoning_content: Option<String>,
    /// Calls of tools as OpenAI has them, arguments complete. Absent when there are none.
    #[schema(value_type = Option<Vec<Object>>)]
    tool_calls: Option<Vec<Value>>,
    /// Stable over streams and restarts.
    message_id: String,
    /// The call that a tool's message answers.
    tool_call_id: Option<String>,
    /// `user_input`, `do_subtask_result`, `tool_call`, `tool_call_result`, `final_answer` and others.
    r#type: String,
    /// Seconds since the epoch.
    timestamp: f64,
    agent_name: Option<String>,
    #[schema(value_type = Object)]
    metadata: Value,
    session_id: String,
    /// As `type`.
    message_type: String,
    /// Always null.
    chunk_id: Option<String>,
    /// Always false.
    is_final: bool,
    /// Always false.
    is_chunk: bool,
}

impl From<Message> for Shown {
    fn from(mut message: Message) -> Self {
        if message.role == "user" {
            message.content = message.content.map(said);
        }
        let message_type = message.kind.clone();
        Self { message, message_type, chunk_id: None, is_final: false, is_chunk: false }
    }
}

/// What somebody said, without the switches that the client put before it. Of parts the first text holds them, and goes when
/// it holds nothing else.
fn said(content: Value) -> Value {
    match content {
        Value::String(text) => without_switches(&text).into(),
        Value::Array(mut parts) => {
            if let Some(part) = parts.iter_mut().find(|part| part["text"].is_string()) {
                let rest = part["text"].as_str().map(without_switches).map(Value::from);
                part["text"] = rest.unwrap_or_default();
                parts.retain(|part| part["text"] != "");
            }
            parts.into()
        }
        other => other,
    }
}

impl Messages {
    /// For strangers: nothing but what was said.
    pub fn strip_internals(&mut self) {
        for shown in &mut self.messages {
            shown.message.metadata.clear();
        }
    }
}

/// Messages and index of one moment; `None` when the conversation is gone.
///
/// Of a run that is over the read model has everything. Of one that goes on, messages and index both come from one read
/// of its stream, so that no line is in one of them only.
pub(super) async fn read(app: &App, id: ConversationId) -> Result<Option<Messages>, Error> {
    let Some(snapshot) = read_model::snapshot(&app.db, id).await? else { return Ok(None) };
    let Snapshot { conversation, messages: found, run } = snapshot;
    let (messages, next_stream_index) = match &run {
        Some(run) if run.lines.is_none() => {
            let RunSnapshot { messages: live, next } =
                run_snapshot::of(app, RunId(run.run_id)).await?;
            let before = found.into_iter().filter(|found| found.run_id != run.run_id);
            let mut messages: Vec<Message> = before.map(|found| found.message.0).collect();
            // A message sent again keeps its first place.
            let known: Vec<String> = messages.iter().map(|m| m.message_id.clone()).collect();
            messages.extend(live.into_iter().filter(|m| !known.contains(&m.message_id)));
            (messages, next)
        }
        over => {
            let lines = over.as_ref().and_then(|run| run.lines).unwrap_or(0);
            let messages = found.into_iter().map(|found| found.message.0).collect();
            (messages, u64::try_from(lines).unwrap_or(0))
        }
    };
    let hidden = |message: &Message| {
        ["hidden_from_chat", "hide_from_chat"]
            .iter()
            .any(|key| message.metadata.get(*key) == Some(&true.into()))
            || message.metadata.get("sse_visible") == Some(&false.into())
    };
    let messages: Vec<Shown> =
        messages.into_iter().filter(|message| !hidden(message)).map(Shown::from).collect();
    Ok(Some(Messages {
        conversation_id: conversation.session_id.clone(),
        message_count: messages.len(),
        messages,
        next_stream_index,
        run_id: run.map(|run| run.run_id),
        conversation_info: Info {
            session_id: conversation.session_id,
            agent_id: conversation.agent_id.unwrap_or_else(|| "default_agent".to_owned()),
            agent_name: conversation.agent_name,
            title: conversation.title,
            created_at: iso(conversation.created_at),
            updated_at: iso(conversation.updated_at),
        },
    }))
}

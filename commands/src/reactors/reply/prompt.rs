//! What a model is told: system prompt, history, and the new messages, as far as its window holds them.

use super::{
    budget::{self, Block, Place, Room},
    system, tokens,
};
use crate::effects::{model::Passage, tools::Tool};
use domain::{
    message::Message,
    prompt_text::without_control_tags,
    run::{Active, Request},
};
use serde_json::{Map, Value, json};

/// What a run's turns have in common.
#[derive(Debug, Default)]
pub(super) struct Background {
    /// The conversation before the run.
    pub history: Vec<Message>,
    /// What retrieval found for the question.
    pub passages: Vec<Passage>,
    /// What the user talked about in other sessions.
    pub remembered: Vec<String>,
}

/// Characters of a passage that are kept with an answer.
const CITED: usize = 2_000;

impl Background {
    /// What an answer was made from, for the metadata of its message: `{"citations": [{"title", "heading", "content"}]}`, or
    /// nothing.
    pub fn citations(&self) -> Map<String, Value> {
        let citation = |passage: &Passage| {
            let content: String = passage.text.chars().take(CITED).collect();
            json!({"title": passage.document, "heading": passage.title, "content": content})
        };
        let all: Vec<Value> = self.passages.iter().map(citation).collect();
        let named = (!all.is_empty()).then(|| ("citations".to_owned(), Value::Array(all)));
        named.into_iter().collect()
    }
}

/// The last thing the user said, without control tags.
pub(super) fn question(request: &Request) -> String {
    let last = request.messages.iter().rev().find(|message| message.role == "user");
    last.map(|message| without_control_tags(&message.text()).to_owned()).unwrap_or_default()
}

/// Tool definitions of the OpenAI chat protocol.
pub(super) fn definitions(tools: &[Tool]) -> Vec<Value> {
    let definition = |tool: &Tool| {
        let (name, description) = (&tool.name, &tool.description);
        let function =
            json!({"name": name, "description": description, "parameters": tool.parameters});
        json!({"type": "function", "function": function})
    };
    tools.iter().map(definition).collect()
}

/// The conversation in the OpenAI chat protocol. `wish` is a last word of ours that no history shows.
pub(super) fn messages(
    run: &Active,
    background: &Background,
    tools: &[Value],
    wish: Option<&str>,
) -> Vec<Value> {
    let (request, settings) = (&run.request, &run.request.settings);
    let system = system::prompt(settings, &background.passages, &background.remembered);
    let system = system.map(|text| json!({"role": "system", "content": text}));
    let wish = wish.map(|text| json!({"role": "user", "content": text}));
    let fixed: usize = system.iter().chain(&wish).map(tokens::of_message).sum::<usize>()
        + tools.iter().map(tokens::of_json).sum::<usize>();
    let new = &request.messages;
    let sent_again = |message: &&Message| new.iter().any(|n| n.message_id == message.message_id);
    let question = new.iter().rposition(|message| message.role == "user").unwrap_or(new.len());
    let (before, now) = new.split_at(question);
    // What sub-agents said is theirs; what came of it is in the results of the calls.
    let own = |message: &&Message| {
        message.session_id.is_empty() || message.session_id == request.session_id
    };
    let history = background.history.iter().filter(own);
    let past = history.filter(|message| !sent_again(message)).chain(before);
    let text_only = settings.text_only;
    let mut blocks = blocks(Place::Past, past.collect(), text_only);
    let (asked, after) = now.split_at(now.len().min(1));
    blocks.extend(self::blocks(Place::Question, asked.iter().collect(), text_only));
    let now = after.iter().chain(&run.messages).collect();
    blocks.extend(self::blocks(Place::Now, now, text_only));
    budget::fit(&mut blocks, Room::beside(fixed, settings));
    let told = blocks.into_iter().flat_map(|block| block.messages);
    system.into_iter().chain(told).chain(wish).collect()
}

/// Messages as the model sees them, calls with their results. Not shown are abandoned attempts, what is said for people
/// only, calls without result and results without call.
fn blocks(place: Place, messages: Vec<&Message>, text_only: bool) -> Vec<Block> {
    let abandoned = |message: &&Message| !message.metadata.contains_key("superseded");
    let messages: Vec<&Message> = messages.into_iter().filter(abandoned).collect();
    let mut blocks = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let told = match message.role.as_str() {
            "user" => user(message, text_only).into_iter().collect(),
            "system" => vec![json!({"role": "system", "content": message.text()})],
            "assistant" if matches!(message.kind.as_str(), "query_suggest" | "loop_break") => {
                continue;
            }
            "assistant" => {
                let results = messages[at + 1..].iter().take_while(|next| next.role == "tool");
                assistant(message, &results.copied().collect::<Vec<_>>())
            }
            _ => continue,
        };
        if !told.is_empty() {
            blocks.push(Block::new(place, told));
        }
    }
    blocks
}

/// What stands for a part that the model cannot take.
const NO_TEXT: &str = "[a part that is no text was left out: the model takes text only]";

fn user(message: &Message, text_only: bool) -> Option<Value> {
    let content = match &message.content {
        Some(Value::String(text)) => json!(without_control_tags(text)),
        Some(Value::Array(parts)) => {
            let mut parts = parts.clone();
            let first = parts.iter_mut().find_map(|part| part.get_mut("text"));
            if let Some(Value::String(text)) = first {
                *text = without_control_tags(text).to_owned();
            }
            if text_only {
                let other = |part: &&mut Value| !part["text"].is_string();
                parts.iter_mut().filter(other).for_each(|part| {
                    *part = json!({"type": "text", "text": NO_TEXT});
                });
            }
            Value::Array(parts)
        }
        _ => return None,
    };
    Some(json!({"role": "user", "content": content}))
}

/// What an assistant said, with those of its calls that have a result, and these results in the order of the calls.
fn assistant(message: &Message, results: &[&Message]) -> Vec<Value> {
    let text = message.text();
    let mut calls = Vec::new();
    let mut told = Vec::new();
    for call in &message.tool_calls {
        let Some(id) = call["id"].as_str() else { continue };
        let of_call = |result: &&&Message| result.tool_call_id.as_deref() == Some(id);
        let Some(result) = results.iter().find(of_call) else { continue };
        calls.push(as_called(id, &call["function"]));
        told.push(json!({"role": "tool", "tool_call_id": id, "content": result.text()}));
    }
    let said = if text.trim().is_empty() { Value::Null } else { json!(text) };
    if calls.is_empty() {
        return match said {
            Value::Null => vec![],
            said => vec![json!({"role": "assistant", "content": said})],
        };
    }
    told.insert(0, json!({"role": "assistant", "content": said, "tool_calls": calls}));
    told
}

/// Providers read the arguments of past calls as JSON and refuse everything else; the result says what was wrong.
fn as_called(id: &str, function: &Value) -> Value {
    let sent = function["arguments"].as_str().unwrap_or_default();
    let valid = serde_json::from_str::<Map<String, Value>>(sent).is_ok();
    let arguments = if valid { sent } else { "{}" };
    let function = json!({"name": function["name"], "arguments": arguments});
    json!({"id": id, "type": "function", "function": function})
}

#[cfg(test)]
mod tests;

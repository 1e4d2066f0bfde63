//! What the assistant's model is told.

use crate::reactors::reply::tokens;
use domain::{message::Message, run::Request};
use serde_json::{Value, json};

/// Kind of messages that are answered.
pub(super) const ASKED: &str = "user_input";
/// Kind of messages, and of what is said to them, that no model is told of.
pub(super) const GATED: &str = "gated";
/// Kind of the assistant's answers.
pub(super) const ANSWER: &str = "answer";

/// Messages of the chat that are looked at.
pub(super) const HISTORY: u32 = 60;
/// Tokens of what was said before, at most.
const REMEMBERED: usize = 8_000;
/// Characters of what an action came to.
const RESULT: usize = 4_000;

/// Who the assistant is.
const PERSONA: &str = "You are Genie, the assistant of a content creator. Answer helpfully and briefly, in the language you \
     are spoken to.";

/// What the assistant knows besides the conversation.
#[derive(Debug, Default)]
pub(super) struct Background {
    /// What is known of the person, best first.
    pub nodes: Vec<String>,
    /// What helps with the task, best first.
    pub skills: Vec<String>,
    /// What can be done: slugs, and what they are good for.
    pub flows: Vec<(String, String)>,
}

/// The messages of the chat protocol: who one is and what one knows, what was said, what is asked.
pub(super) fn messages(
    request: &Request,
    history: &[Message],
    background: &Background,
) -> Vec<Value> {
    let mut room = REMEMBERED;
    let mut past: Vec<Value> = Vec::new();
    for message in history.iter().rev().filter_map(told) {
        let Some(rest) = room.checked_sub(tokens::of_message(&message)) else { break };
        room = rest;
        past.push(message);
    }
    past.reverse();
    let mut messages = vec![json!({"role": "system", "content": system(background)})];
    messages.extend(past);
    messages.extend(request.messages.iter().filter_map(told));
    messages
}

fn system(background: &Background) -> String {
    let Background { nodes, skills, flows } = background;
    let mut text = PERSONA.to_owned();
    let mut list = |title: &str, all: &[String]| {
        if !all.is_empty() {
            text.push_str(&format!("\n\n{title}\n"));
            all.iter().for_each(|one| text.push_str(&format!("- {one}\n")));
        }
    };
    list("What you know of the person you talk to:", nodes);
    list("Skills that may help:", skills);
    let flows: Vec<String> = flows.iter().map(|(slug, good)| format!("{slug}: {good}")).collect();
    list(
        "To have something done, write [ACTION:<name>:<input as a JSON object>] into your answer; people do not see it. \
         The names:",
        &flows,
    );
    text
}

fn told(message: &Message) -> Option<Value> {
    let text = message.text();
    if message.kind == GATED || text.trim().is_empty() {
        return None;
    }
    match message.role.as_str() {
        role @ ("user" | "assistant") => Some(json!({"role": role, "content": text})),
        "tool" => {
            let slug = message.metadata.get("slug").and_then(Value::as_str).unwrap_or_default();
            let text: String = text.chars().take(RESULT).collect();
            Some(
                json!({"role": "system", "content": format!("What the action {slug} came to: {text}")}),
            )
        }
        _ => None,
    }
}

//! What a model is told: system prompt, passages, history, and the new messages.

use crate::effects::model::Passage;
use domain::{
    message::Message,
    prompt_text::without_control_tags,
    run::{Request, Settings},
};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Characters of history a model is given at most; the oldest messages go first.
const HISTORY: usize = 200_000;

/// The last thing the user said, without control tags.
pub(super) fn question(request: &Request) -> String {
    let last = request.messages.iter().rev().find(|message| message.role == "user");
    last.map(|message| without_control_tags(&message.text()).to_owned()).unwrap_or_default()
}

/// The conversation in the OpenAI chat protocol.
pub(super) fn messages(
    request: &Request,
    history: &[Message],
    done: &[Message],
    passages: &[Passage],
) -> Vec<Value> {
    let new = &request.messages;
    let known = |message: &&Message| !new.iter().any(|n| n.message_id == message.message_id);
    let mut turns: Vec<Value> = Vec::new();
    let mut left = HISTORY;
    for message in history.iter().filter(known).chain(new).chain(done).rev() {
        let Some(turn) = turn(message) else { continue };
        let weight = turn.to_string().len();
        // The newest message is always told, however long it is.
        if weight > left && !turns.is_empty() {
            break;
        }
        left = left.saturating_sub(weight);
        turns.push(turn);
    }
    turns.extend(
        system(&request.settings, passages).map(|text| json!({"role": "system", "content": text})),
    );
    turns.reverse();
    turns
}

/// A message as the model sees it; `None` for what it is not shown: abandoned attempts, empty ones, and calls of tools
/// whose results are not part of the conversation.
fn turn(message: &Message) -> Option<Value> {
    if message.metadata.get("superseded").is_some() {
        return None;
    }
    match message.role.as_str() {
        "user" => {
            let content = match &message.content {
                Some(Value::String(text)) => json!(without_control_tags(text)),
                Some(parts @ Value::Array(_)) => parts.clone(),
                _ => return None,
            };
            Some(json!({"role": "user", "content": content}))
        }
        "assistant" => {
            let text = message.text();
            (!text.trim().is_empty()).then(|| json!({"role": "assistant", "content": text}))
        }
        "system" => Some(json!({"role": "system", "content": message.text()})),
        _ => None,
    }
}

fn system(settings: &Settings, passages: &[Passage]) -> Option<String> {
    let mut text = settings.system_prefix.clone().unwrap_or_default();
    if !settings.system_context.is_empty() {
        text.push_str("\n\n# Context\n");
        for (key, value) in &settings.system_context {
            let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Writing into a String cannot fail.
            let _ = writeln!(text, "- {key}: {plain}");
        }
    }
    if !passages.is_empty() {
        text.push_str("\n\n# Passages from the attached knowledge bases\n");
        for passage in passages {
            let _ = writeln!(text, "\n[{}: {}]\n{}", passage.document, passage.title, passage.text);
        }
    }
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ids::NodeId, run::Surface};
    use uuid::Uuid;

    fn message(role: &str, id: &str, text: &str) -> Message {
        Message {
            role: role.to_owned(),
            message_id: id.to_owned(),
            content: Some(text.into()),
            ..Message::default()
        }
    }

    fn request(messages: Vec<Message>) -> Request {
        Request {
            owner: "alice".into(),
            conversation: Uuid::nil().into(),
            session_id: "s".to_owned(),
            surface: Surface::SageChat,
            node: NodeId(Uuid::nil()),
            agent_id: None,
            agent_name: "a".to_owned(),
            messages,
            settings: Settings {
                system_prefix: Some("Be brief.".to_owned()),
                ..Settings::default()
            },
        }
    }

    fn told(messages: &[Value]) -> Vec<(&str, &str)> {
        messages
            .iter()
            .map(|m| {
                (m["role"].as_str().unwrap_or_default(), m["content"].as_str().unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn history_comes_before_the_new_message_and_after_the_prompt() {
        let new = request(vec![message("user", "2", "<enable_plan>true</enable_plan>And?")]);
        let history = [message("user", "0", "Hi"), message("assistant", "1", "Hello")];
        let messages = messages(&new, &history, &[], &[]);
        let expected =
            [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "And?")];
        assert_eq!(told(&messages), expected);
    }

    #[test]
    fn a_message_sent_again_is_told_once() {
        let new = request(vec![message("user", "0", "Hi")]);
        let messages = messages(&new, &[message("user", "0", "Hi")], &[], &[]);
        assert_eq!(told(&messages), [("system", "Be brief."), ("user", "Hi")]);
    }

    #[test]
    fn abandoned_attempts_are_not_told() {
        let mut partial = message("assistant", "1", "Hel");
        partial.metadata.insert("superseded".to_owned(), Value::Bool(true));
        let new = request(vec![message("user", "2", "Hi")]);
        assert_eq!(told(&messages(&new, &[partial], &[], &[])).len(), 2);
    }

    #[test]
    fn the_oldest_history_gives_way() {
        let long = "x".repeat(HISTORY);
        let history = [message("user", "0", &long), message("assistant", "1", "ok")];
        let new = request(vec![message("user", "2", "Hi")]);
        let messages = messages(&new, &history, &[], &[]);
        let expected = [("system", "Be brief."), ("assistant", "ok"), ("user", "Hi")];
        assert_eq!(told(&messages), expected);
    }
}

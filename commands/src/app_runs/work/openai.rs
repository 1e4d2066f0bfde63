//! `openai/chatgpt`, `openai/completions`, and what speaks as they do.

use super::{
    super::steps::Task,
    Done, Report, fields,
    talk::{self, News, message},
};
use crate::effects::model::Request;
use serde_json::{Map, Value, json};

const SAMPLING: &[(&str, Option<f64>)] = &[
    ("max_tokens", Some(1_024.0)),
    ("temperature", Some(0.7)),
    ("top_p", None),
    ("presence_penalty", None),
    ("frequency_penalty", None),
    ("seed", None),
];
/// Messages of a history that are kept without pruning.
const KEPT: usize = 200;

pub(super) async fn chat(task: Task) -> Done {
    let (input, config) = (&task.input, &task.config);
    let asked: Vec<Value> = fields::list(input, "messages").iter().filter_map(plain).collect();
    let retains = fields::flag(config, "retain_history") == Some(true);
    let mut history: Vec<Value> =
        fields::list(input, "chat_history").iter().filter_map(plain).collect();
    if retains {
        history.extend(talk::history(task.memory.as_ref()));
    }
    if fields::flag(config, "auto_prune_chat_history") == Some(true) {
        let limit = fields::count(config, "max_tokens").unwrap_or(1_024);
        history = talk::within(history, limit);
    }
    let mut messages: Vec<Value> = Vec::new();
    messages.extend(fields::some(input, "system_message").map(|system| message("system", system)));
    messages.extend(history.iter().cloned());
    messages.extend(asked.iter().cloned());
    if messages.is_empty() {
        return Err("there are no messages to answer".to_owned());
    }
    let tools = fields::list(input, "functions").iter().filter_map(tool).collect();
    let parameters = talk::parameters(config, SAMPLING);
    let request = Request { messages, tools, parameters, ..Request::default() };
    task.say(json!({"choices": [{"role": "assistant", "content": ""}]})).await;
    let hear = |news: News<'_>| match news {
        News::Text(text) => Some(json!({"choices": [{"content": text}]})),
        News::Calls(calls) => called(calls),
    };
    let model = fields::some(config, "model");
    let spoken = talk::talk(&task, model.as_deref(), request, hear).await?;
    let memory = retains.then(|| {
        let said = asked.into_iter().chain([message("assistant", spoken.text)]);
        talk::remember(talk::last(history.into_iter().chain(said).collect(), KEPT))
    });
    Ok(Report { memory, usage: vec![spoken.usage] })
}

/// The chat protocol serves completions, too: those of other protocols are gone nearly everywhere.
pub(super) async fn complete(task: Task) -> Done {
    let prompt = fields::text(&task.input, "prompt");
    let parameters = talk::parameters(&task.config, SAMPLING);
    let messages = vec![message("user", prompt)];
    let request = Request { messages, parameters, ..Request::default() };
    task.say(json!({"choices": [""], "api_response": {}})).await;
    let hear = |news: News<'_>| match news {
        News::Text(text) => Some(json!({"choices": [text]})),
        News::Calls(_) => None,
    };
    let model = fields::some(&task.config, "model");
    let spoken = talk::talk(&task, model.as_deref(), request, hear).await?;
    Ok(Report { memory: None, usage: vec![spoken.usage] })
}

/// A message with what providers take of it.
fn plain(message: &Value) -> Option<Value> {
    let fields = message.as_object()?;
    let mut plain = Map::new();
    let role = fields.get("role").and_then(Value::as_str).filter(|role| !role.is_empty());
    plain.insert("role".to_owned(), role.unwrap_or("user").into());
    plain.insert("content".to_owned(), fields.get("content").cloned().unwrap_or_else(|| "".into()));
    if let Some(name) = fields.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        plain.insert("name".to_owned(), name.into());
    }
    Some(plain.into())
}

/// A function as a tool; its parameters are JSON text.
fn tool(function: &Value) -> Option<Value> {
    let name = function["name"].as_str().filter(|name| !name.is_empty())?;
    let parameters = match &function["parameters"] {
        Value::String(text) => fields::json(text),
        Value::Object(schema) => Some(schema.clone().into()),
        _ => None,
    };
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let description = function["description"].as_str().unwrap_or_default();
    let function = json!({"name": name, "description": description, "parameters": parameters});
    Some(json!({"type": "function", "function": function}))
}

/// Pieces of the first call as this dialect knows them.
fn called(calls: &[Value]) -> Option<Value> {
    let first = calls.iter().find(|call| call["index"].as_u64().unwrap_or(0) == 0)?;
    let function = &first["function"];
    let mut call = Map::new();
    for key in ["name", "arguments"] {
        if let Some(text) = function[key].as_str().filter(|text| !text.is_empty()) {
            call.insert(key.to_owned(), text.into());
        }
    }
    (!call.is_empty()).then(|| json!({"choices": [{"function_call": call}]}))
}

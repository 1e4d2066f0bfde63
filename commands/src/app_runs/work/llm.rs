//! `promptly/llm`: one question to a model, with or without the session's history.

use super::{
    super::steps::Task,
    Done, Report, fields,
    talk::{self, News, message},
};
use crate::effects::model::Request;
use serde_json::{Value, json};

const SYSTEM: &str = "You are a helpful assistant.";
/// Messages of the history that are told and kept.
const HISTORY: usize = 5;

pub(super) async fn perform(task: Task) -> Done {
    let config = &task.config;
    let question = message("user", fields::text(&task.input, "input_message"));
    let retains = fields::flag(config, "retain_history") == Some(true);
    let most = fields::count(config, "max_history").unwrap_or(HISTORY);
    let history =
        if retains { talk::last(talk::history(task.memory.as_ref()), most) } else { vec![] };
    let system = fields::some(config, "system_message").unwrap_or_else(|| SYSTEM.to_owned());
    let mut messages = vec![message("system", system)];
    messages.extend(history.iter().cloned());
    messages.push(question.clone());
    let parameters = talk::parameters(
        config,
        &[("max_tokens", Some(100.0)), ("temperature", Some(0.7)), ("seed", None)],
    );
    let model = config.get("provider_config").and_then(|chosen| chosen["model"].as_str());
    let model = model.map(str::to_owned).or_else(|| fields::some(config, "model"));
    let request = Request { messages, parameters, ..Request::default() };
    task.say(json!({"output_str": "", "text": "", "objref": null})).await;
    let hear = |news: News<'_>| match news {
        News::Text(text) => Some(json!({"output_str": text, "text": text})),
        News::Calls(_) => None,
    };
    let spoken = talk::talk(&task, model.as_deref(), request, hear).await?;
    let memory = retains.then(|| {
        let said = [question, message("assistant", spoken.text)];
        let all: Vec<Value> = history.into_iter().chain(said).collect();
        talk::remember(talk::last(all, most))
    });
    Ok(Report { memory, usage: vec![spoken.usage] })
}

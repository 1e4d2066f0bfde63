//! `promptly/promptly_app`: runs another app, as a step of this one.

use super::{
    super::{nested, steps::Task},
    Done, Report, fields,
};
use domain::ids::AppId;
use serde_json::{Value, json};

pub(super) async fn perform(task: Task) -> Done {
    let chosen = match task.config.get("promptly_app") {
        Some(Value::String(text)) => fields::json(text).unwrap_or_default(),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    let id = chosen["promptly_app_uuid"].as_str().or_else(|| chosen["app_uuid"].as_str());
    let id: AppId = id.unwrap_or_default().parse().map_err(|_| "promptly_app names no app")?;
    let mut input = chosen["input"].as_object().cloned().unwrap_or_default();
    match task.input.get("input") {
        Some(Value::Object(more)) => input.extend(more.clone()),
        Some(Value::String(text)) => {
            if let Some(Value::Object(more)) = fields::json(text) {
                input.extend(more);
            }
        }
        _ => {}
    }
    let ran = nested::run(&task.ports, id, input).await?;
    let text = fields::worded(&ran.output);
    task.say(json!({"text": text, "objref": null, "processing": false})).await;
    Ok(Report { memory: None, usage: ran.usage })
}

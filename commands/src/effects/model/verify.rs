//! Does an endpoint answer, and what can its model do? Tiny questions with a deadline; nothing is kept.

use super::{
    Endpoint, Model, Request,
    complete::{Unanswered, complete, object_in},
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long one answer may take, everything included.
pub const WITHIN: Duration = Duration::from_secs(10);

/// A red square of 32 by 32 pixels.
const RED: &str = concat!(
    "data:image/png;base64,",
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAJ0lEQVR42u3NsQkAAAjAsP7/tF7hIASyp6lTCQQCgUAgEAgEgi/BAjLD/C5w/SM9AAAAAElFTkSuQmCC",
);

/// What a model made of a red picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Whether it named the colour.
    pub recognized: bool,
    /// What it said.
    pub response: String,
}

/// What a model made of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// The object, if the answer is one of the kind that was asked for.
    pub parsed: Option<Value>,
    /// What it said.
    pub response: String,
}

/// Whether the endpoint answers at all; with what it said, which may be nothing.
///
/// # Errors
/// When it does not.
pub async fn connection(model: &dyn Model, endpoint: &Endpoint) -> Result<String, Unanswered> {
    let parameters = object(json!({"max_tokens": 5}));
    complete(model, request(endpoint, json!("Hi"), parameters), WITHIN).await
}

/// Whether the model sees pictures.
///
/// # Errors
/// When the endpoint refuses the picture, or does not answer.
pub async fn sight(model: &dyn Model, endpoint: &Endpoint) -> Result<Sight, Unanswered> {
    let content = json!([
        {"type": "text", "text": "What colour is this picture? Answer with one word."},
        {"type": "image_url", "image_url": {"url": RED}},
    ]);
    let parameters = object(json!({"max_tokens": 50, "temperature": 0.1}));
    let response = complete(model, request(endpoint, content, parameters), WITHIN).await?;
    let said = response.to_lowercase();
    let recognized = ["red", "红", "紅"].iter().any(|red| said.contains(red));
    Ok(Sight { recognized, response })
}

/// Whether the model answers in a given structure.
///
/// # Errors
/// When the endpoint refuses the schema, or does not answer.
pub async fn structure(model: &dyn Model, endpoint: &Endpoint) -> Result<Structure, Unanswered> {
    let schema = json!({
        "type": "object",
        "properties": {"status": {"type": "string"}, "number": {"type": "integer"}},
        "required": ["status", "number"],
        "additionalProperties": false,
    });
    let parameters = object(json!({
        "max_tokens": 100,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": true, "schema": schema},
        },
    }));
    let question = json!("Answer with a JSON object whose status is \"ok\" and whose number is 7.");
    let response = complete(model, request(endpoint, question, parameters), WITHIN).await?;
    let parsed = object_in(&response)
        .filter(|object| object.contains_key("status") && object.contains_key("number"));
    Ok(Structure { parsed: parsed.map(Value::Object), response })
}

fn request(endpoint: &Endpoint, content: Value, parameters: Map<String, Value>) -> Request {
    let messages = vec![json!({"role": "user", "content": content})];
    Request { endpoint: endpoint.clone(), messages, parameters, whole: true, ..Request::default() }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

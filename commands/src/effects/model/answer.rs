//! The body of a chat completion, turned into deltas as its bytes arrive.

use super::sse::{Decoder, Event, TooLong};
use super::{Delta, ModelError, excerpt};
use crate::effects::Sensitive;
use serde_json::Value;

/// Bytes of a model's name that is noted.
const LONGEST_NAME: usize = 200;

/// The state of one answer between two pieces of its body. How the body is cut makes no difference to what comes out.
#[derive(Debug)]
pub(super) struct Answer {
    shape: Shape,
    limit: usize,
    key: Sensitive,
    /// Whether any part of it was a completion.
    began: bool,
    finish: Option<String>,
    usage: Option<Value>,
    done: bool,
}

/// Some servers send a whole completion although a stream was asked for; the first byte tells.
#[derive(Debug)]
enum Shape {
    Unknown,
    Events(Decoder),
    Whole(Vec<u8>),
}

impl Answer {
    /// An answer whose lines (or whole body, when it is one JSON document) hold at most `limit` bytes. `key` is what
    /// no error may show.
    pub fn new(limit: usize, key: Sensitive) -> Self {
        let (finish, usage) = (None, None);
        Self { shape: Shape::Unknown, limit, key, began: false, finish, usage, done: false }
    }

    /// Whether the last delta has been given out.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the model has finished, though the provider may still send its usage.
    pub fn has_finish(&self) -> bool {
        self.finish.is_some()
    }

    /// Takes the next bytes and appends the deltas that they complete, also those before an error.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Delta>) -> Result<(), ModelError> {
        let bytes = match self.shape {
            Shape::Unknown => self.sniff(bytes),
            _ => bytes,
        };
        match &mut self.shape {
            Shape::Unknown => Ok(()),
            Shape::Whole(body) if body.len() + bytes.len() > self.limit => Err(too_long()),
            Shape::Whole(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            Shape::Events(decoder) => {
                let mut events = Vec::new();
                let pushed = decoder.push(bytes, &mut events);
                for event in events {
                    self.event(&event, out)?;
                }
                if self.done { Ok(()) } else { pushed.map_err(|TooLong| too_long()) }
            }
        }
    }

    /// The body has ended by itself.
    pub fn end(&mut self, out: &mut Vec<Delta>) -> Result<(), ModelError> {
        if self.done {
            return Ok(());
        }
        match std::mem::replace(&mut self.shape, Shape::Unknown) {
            Shape::Unknown => {}
            Shape::Whole(body) => return self.whole(&body, out),
            Shape::Events(mut decoder) => {
                if let Some(event) = decoder.end().map_err(|TooLong| too_long())? {
                    let read = self.event(&event, out);
                    // The last event may be cut off: that is a broken answer, not a wrong one.
                    if !matches!(read, Err(ModelError::Malformed(_))) {
                        read?;
                    }
                }
            }
        }
        match (self.done, self.began) {
            (true, _) => Ok(()),
            (false, false) => Err(ModelError::Malformed("there is no completion in it".into())),
            (false, true) => self.broke(ModelError::Broken("it ended too early".into()), out),
        }
    }

    /// No more bytes will come because of `error`: no harm when the model had finished.
    pub fn broke(&mut self, error: ModelError, out: &mut Vec<Delta>) -> Result<(), ModelError> {
        if self.has_finish() {
            self.conclude(out);
            return Ok(());
        }
        out.extend(self.usage.take().map(Delta::Usage));
        Err(error)
    }

    /// Decides on the shape by the first byte that is neither blank nor part of a byte order mark.
    fn sniff<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let blank = |b: &u8| b.is_ascii_whitespace() || matches!(b, 0xef | 0xbb | 0xbf);
        let Some(start) = bytes.iter().position(|b| !blank(b)) else { return &[] };
        self.shape = match bytes[start] {
            b'{' => Shape::Whole(Vec::new()),
            _ => Shape::Events(Decoder::new(self.limit)),
        };
        &bytes[start..]
    }

    fn whole(&mut self, body: &[u8], out: &mut Vec<Delta>) -> Result<(), ModelError> {
        for json in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
            match json {
                Ok(json) => self.chunk(json, out)?,
                Err(error) if error.is_eof() => {
                    return self.broke(ModelError::Broken("it ended too early".into()), out);
                }
                Err(_) => return Err(self.malformed(body)),
            }
        }
        if !self.began {
            return Err(self.malformed(body));
        }
        self.conclude(out);
        Ok(())
    }

    fn event(&mut self, event: &Event, out: &mut Vec<Delta>) -> Result<(), ModelError> {
        let data = event.data.trim_ascii();
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.conclude(out);
            return Ok(());
        }
        if event.name == b"error" {
            let reason = excerpt::of_body(data, self.key.expose());
            return self.failed(ModelError::Reported(reason), out);
        }
        match serde_json::from_slice::<Value>(data) {
            Ok(json @ Value::Object(_)) => self.chunk(json, out),
            _ => Err(self.malformed(data)),
        }
    }

    fn chunk(&mut self, mut json: Value, out: &mut Vec<Delta>) -> Result<(), ModelError> {
        let error = json.get("error").is_some_and(|error| !error.is_null());
        if error || json["object"] == "error" {
            let reason = excerpt::of_json(&json, self.key.expose());
            return self.failed(ModelError::Reported(reason), out);
        }
        self.usage(json["usage"].take());
        if !json["choices"].is_array() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.began, true)
            && let Some(model) = json["model"].as_str().filter(|model| model.len() <= LONGEST_NAME)
        {
            tracing::Span::current().record("gen_ai.response.model", model);
        }
        // More than one choice is never asked for; a server that sends more is read as if it had sent the first.
        let choices = json["choices"].as_array_mut().into_iter().flatten();
        let first = choices.into_iter().find(|c| c["index"].as_u64().unwrap_or(0) == 0);
        if let Some(choice) = first {
            self.choice(choice, out);
        }
        Ok(())
    }

    fn choice(&mut self, choice: &mut Value, out: &mut Vec<Delta>) {
        self.usage(choice["usage"].take());
        let whole = !choice["delta"].is_object();
        let mut said = choice[if whole { "message" } else { "delta" }].take();
        // Some servers send the same thinking under both names.
        let thinking = [text(&said["reasoning_content"]), text(&said["reasoning"])];
        let thinking = thinking.into_iter().find(|text| !text.is_empty());
        out.extend(thinking.map(Delta::Reasoning));
        let content = text(&said["content"]);
        if !content.is_empty() {
            out.push(Delta::Text(content));
        }
        if let Value::Array(mut calls) = said["tool_calls"].take()
            && !calls.is_empty()
        {
            if whole {
                number(&mut calls);
            }
            out.push(Delta::ToolCalls(calls));
        }
        if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.finish = Some(reason.to_owned());
        }
    }

    fn usage(&mut self, usage: Value) {
        if usage.is_object() {
            self.usage = Some(usage);
        }
    }

    fn conclude(&mut self, out: &mut Vec<Delta>) {
        self.done = true;
        out.extend(self.usage.take().map(Delta::Usage));
        out.push(Delta::Finished(self.finish.take()));
    }

    fn failed(&mut self, error: ModelError, out: &mut Vec<Delta>) -> Result<(), ModelError> {
        out.extend(self.usage.take().map(Delta::Usage));
        Err(error)
    }

    fn malformed(&self, data: &[u8]) -> ModelError {
        ModelError::Malformed(excerpt::of_body(data, self.key.expose()))
    }
}

/// A string, or the text parts of a list of parts; thinking parts are not text.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// The calls of a whole message carry no index, those of a delta list must.
fn number(calls: &mut [Value]) {
    for (index, call) in calls.iter_mut().enumerate() {
        if let Some(call) = call.as_object_mut() {
            call.entry("index").or_insert_with(|| index.into());
        }
    }
}

fn too_long() -> ModelError {
    ModelError::Malformed("a line of it is too long".into())
}

#[cfg(test)]
mod tests;

//! What is said over the socket, and by which generation of clients.

use super::delta::delta;
use commands::app_runs::template::{self, Context};
use domain::{app::stitch::stitch, ids::RunId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a client says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Said {
    /// `run` or `stop`; older clients say none and mean `run`.
    pub event: Option<String>,
    /// The client's own name for the run.
    pub id: Value,
    /// The input.
    pub input: Option<Map<String, Value>>,
    /// The session; without one it is the connection's own.
    pub session_id: Option<String>,
}

/// How a run is told.
pub enum Telling {
    /// The lines of a stream over HTTP as they are.
    Lines,
    /// Every line in an envelope, with what it changes in the output.
    Deltas(Box<Deltas>),
}

/// What is known of a run that is told by its changes.
pub struct Deltas {
    request: Value,
    template: String,
    whole: Value,
    output: String,
}

impl Telling {
    /// As whoever said this understands it.
    pub fn of(said: &Said) -> Self {
        match said.event {
            None => Self::Lines,
            Some(_) => Self::Deltas(Box::new(Deltas {
                request: said.id.clone(),
                template: String::new(),
                whole: Map::new().into(),
                output: String::new(),
            })),
        }
    }

    /// Frames for these lines of this run. Rendering may take a while.
    pub fn frames(&mut self, run: RunId, lines: &[String]) -> Vec<String> {
        let Self::Deltas(known) = self else { return lines.to_vec() };
        let last = lines.len().saturating_sub(1);
        let frame = |(place, line): (usize, &String)| known.frame(run, line, place == last);
        lines.iter().enumerate().filter_map(frame).map(|frame| frame.to_string()).collect()
    }

    /// What went wrong.
    pub fn errors(&self, errors: &[String]) -> String {
        match self {
            Self::Lines => json!({ "errors": errors }),
            Self::Deltas(known) => json!({"errors": errors, "request_id": known.request}),
        }
        .to_string()
    }

    /// The end.
    pub fn done(&self) -> String {
        match self {
            Self::Lines => json!({"event": "done"}),
            Self::Deltas(known) => json!({"event": "done", "request_id": known.request}),
        }
        .to_string()
    }
}

impl Deltas {
    fn frame(&mut self, run: RunId, line: &str, last: bool) -> Option<Value> {
        let line: Value = serde_json::from_str(line).ok()?;
        if line["errors"].is_array() {
            return Some(json!({"errors": line["errors"], "request_id": self.request}));
        }
        let envelope = |kind: &str, data: Value| json!({"id": run, "client_request_id": self.request, "type": kind, "data": data});
        if line["session"].is_object() {
            let template = line["template"].as_str();
            let template = template.or_else(|| line["templates"]["agent"]["markdown"].as_str());
            let frame = envelope("output_stream_begin", line.clone());
            template.unwrap_or_default().clone_into(&mut self.template);
            // Whoever performs the run anew says all again.
            self.whole = Map::new().into();
            return Some(frame);
        }
        stitch(&mut self.whole, line.clone());
        // Of lines that come at once, the last tells what all of them change.
        let change = if last { self.change() } else { None };
        let deltas = change.map_or_else(|| json!({}), |change| json!({ "output": change }));
        let data = json!({"deltas": deltas, "chunk": line});
        Some(
            json!({"id": run, "client_request_id": self.request, "type": "output_stream_chunk", "data": data}),
        )
    }

    fn change(&mut self) -> Option<String> {
        let variables = self.whole.as_object()?;
        let output = match self.template.as_str() {
            "" => return None,
            template => template::render(template, &Context::new(variables)),
        };
        let change = delta(&self.output, &output);
        self.output = output;
        change
    }
}

//! An app whose model decides which steps are taken: turns of the model and calls of its tools by turns, as in every run of
//! an agent; the lines are this dialect's.

use super::{
    catalogue, lines,
    perform::{AppPerformance, Stop, UNKNOWN},
    steps::{Job, take},
    template::{self, Context},
    work::{self, fields, talk},
};
use crate::{
    effects::model::{Delta, Request},
    reactors::reply::{
        perform::halted,
        recorder::{Entry, Recorder},
    },
};
use domain::{
    app::{Processor, plan::INPUT, stitch::stitch},
    message::{Line, Message, merge_tool_calls},
    run::{AppTurn, DoneStep, Event, Next, OpenCall, TurnUsage},
};
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use uuid::Uuid;

/// The agent's key among the steps.
pub(super) const AGENT: &str = "agent";
/// Calls that are made at once.
const AT_ONCE: usize = 8;
/// Characters of a result that the model is told.
const TOLD: usize = 50_000;

impl AppPerformance {
    /// Plays to the answer.
    pub(super) async fn act_as_agent(
        &mut self,
        recorder: &Recorder,
        app: &AppTurn,
        memory: &BTreeMap<String, Value>,
    ) -> Result<(), Stop> {
        if self.active.steps.contains_key(AGENT) {
            return Ok(());
        }
        let limit = fields::count(&app.definition.config, "chat_history_limit").unwrap_or(0);
        let history = talk::last(talk::history(memory.get(AGENT)), limit);
        let question = talk::message("user", question(app));
        loop {
            match self.active.next() {
                Next::Turn => {
                    let mut messages = vec![talk::message("system", system(app))];
                    messages.extend(history.iter().cloned());
                    messages.push(question.clone());
                    messages.extend(self.active.messages.iter().filter_map(told));
                    self.take_turn(recorder, app, messages).await?;
                }
                Next::Calls => self.make_calls(recorder, app).await?,
                Next::LoopBreak => {
                    let steps = self.active.request.settings.turns();
                    let text = format!("Stopped after {steps} steps without an answer.");
                    let message = Box::new(said(&self.active.request.session_id, text.clone()));
                    let line = output(&message.message_id, &text);
                    let lines = Entry::Lines(line.into_iter().collect());
                    recorder.write(vec![lines, Entry::Post(message.clone())]).await;
                    self.active.apply(&Event::MessagePosted(message));
                }
                Next::Summary | Next::Suggestions | Next::End => break,
            }
        }
        let answer = self.answer().unwrap_or_default();
        let memory = (limit > 0).then(|| {
            let all = history.into_iter().chain([question, talk::message("assistant", &*answer)]);
            self.hidden.out_of(talk::remember(talk::last(all.collect(), limit)))
        });
        let done = Box::new(DoneStep { output: json!({ "content": answer }), memory });
        let (step, usage) = (AGENT.to_owned(), vec![]);
        let event =
            Event::AppStepFinished { step: step.clone(), done: done.clone(), usage: vec![] };
        recorder.write(vec![Entry::FinishStep { step, done, usage }]).await;
        self.active.apply(&event);
        Ok(())
    }

    /// The answer, if the model gave one already: whoever reads from the beginning of this attempt is told it at once.
    pub(super) fn known_answer(&self) -> Option<Line> {
        let answer = self.answer().filter(|answer| !answer.is_empty())?;
        output(&self.active.messages.last()?.message_id, &answer)
    }

    fn answer(&self) -> Option<String> {
        let last = self.active.messages.last()?;
        (last.role == "assistant" && last.tool_calls.is_empty()).then(|| last.text())
    }

    async fn take_turn(
        &mut self,
        recorder: &Recorder,
        app: &AppTurn,
        messages: Vec<Value>,
    ) -> Result<(), Stop> {
        let config = &app.definition.config;
        let failed = |error: &dyn std::fmt::Display| Stop::failed(format!("agent: {error}"));
        let choice = self.ports(app).model(fields::some(config, "model")).await;
        let choice = choice.map_err(|error| failed(&error))?;
        let parameters = talk::parameters(config, &[("temperature", Some(0.7)), ("seed", None)]);
        let tools = app.definition.processors.iter().filter_map(tool).collect();
        let endpoint = choice.endpoint.clone();
        let request = Request { endpoint, messages, tools, parameters, ..Request::default() };
        let mut message = said(&self.active.request.session_id, String::new());
        let (turn, id) = (self.active.turns, message.message_id.clone());
        recorder.write(vec![Entry::BeginTurn { turn, message_id: id.clone() }]).await;
        let mut usage = TurnUsage { model: request.endpoint.model.clone(), ..TurnUsage::default() };
        let mut text = String::new();
        let mut news = self.halt.subscribe();
        let mut deltas = tokio::select! {
            begun = choice.model.stream(request) => begun.map_err(|error| failed(&error))?,
            halt = halted(&mut news) => return Err(Stop::Halted(halt)),
        };
        loop {
            let delta = tokio::select! {
                biased;
                halt = halted(&mut news) => return Err(Stop::Halted(halt)),
                delta = deltas.next() => delta,
            };
            let lines: Vec<Line> = match delta {
                Some(Ok(Delta::Text(piece))) => {
                    text.push_str(&piece);
                    output(&id, &piece).into_iter().collect()
                }
                Some(Ok(Delta::ToolCalls(calls))) => {
                    merge_tool_calls(&mut message.tool_calls, &calls);
                    let piece = |call: &Value| {
                        let known = call["index"].as_u64().and_then(|at| usize::try_from(at).ok());
                        let whole = message.tool_calls.get(known.unwrap_or(0))?;
                        let name = whole["function"]["name"].as_str().unwrap_or_default();
                        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
                        step(&id, name, arguments, "".into())
                    };
                    calls.iter().filter_map(piece).collect()
                }
                Some(Ok(Delta::Usage(numbers))) => {
                    usage.usage = Some(numbers);
                    continue;
                }
                Some(Ok(Delta::Reasoning(_))) => continue,
                Some(Ok(Delta::Finished(_))) => break,
                Some(Err(error)) => return Err(failed(&error)),
                None => return Err(failed(&"the model's answer broke off")),
            };
            recorder.write(vec![Entry::Lines(lines)]).await;
        }
        unique(&mut message.tool_calls, self.active.turns);
        message.content = Some(text.into());
        let message = Some(Box::new(message));
        let event = Event::TurnCompleted { turn, message: message.clone(), usage: usage.clone() };
        recorder.write(vec![Entry::CompleteTurn { turn, message, usage }]).await;
        self.active.apply(&event);
        Ok(())
    }

    /// Makes all open calls, several at once; each result is written as soon as it is there.
    async fn make_calls(&mut self, recorder: &Recorder, app: &AppTurn) -> Result<(), Stop> {
        let mut news = self.halt.subscribe();
        let mut finished = Vec::new();
        {
            let this = &*self;
            let make = |call: &OpenCall| {
                let call = call.clone();
                async move {
                    let result = this.make(recorder, app, &call).await;
                    (call, result)
                }
            };
            let making: Vec<_> = this.active.calls.iter().map(make).collect();
            let mut calls = stream::iter(making).buffer_unordered(AT_ONCE);
            loop {
                let (call, result) = tokio::select! {
                    biased;
                    halt = halted(&mut news) => return Err(Stop::Halted(halt)),
                    done = calls.next() => match done {
                        Some(done) => done,
                        None => break,
                    },
                };
                let mut message = said(&this.active.request.session_id, String::new());
                let id = message.message_id.clone();
                let (lines, text) = match result {
                    Ok(text) => (vec![step(&id, &call.name, "", text.clone().into())], text),
                    // What is said next does not go on from the error, but from an object, which it replaces.
                    Err(error) => {
                        let told = step_error(&id, &call.name, &error);
                        (
                            vec![told, step(&id, &call.name, "", "".into())],
                            format!("error: {error}"),
                        )
                    }
                };
                message.role = "tool".to_owned();
                message.tool_call_id = Some(call.id.clone());
                message.content = Some(clipped(&text).into());
                let message = Box::new(message);
                let lines = Entry::Lines(lines.into_iter().flatten().collect());
                recorder
                    .write(vec![lines, Entry::FinishTool { message: message.clone(), told: None }])
                    .await;
                finished.push(Event::ToolFinished { message, told: None });
            }
        }
        finished.iter().for_each(|event| self.active.apply(event));
        Ok(())
    }

    /// What a call gives: the tool's own template rendered with what it said, or that as JSON.
    async fn make(
        &self,
        recorder: &Recorder,
        app: &AppTurn,
        call: &OpenCall,
    ) -> Result<String, String> {
        let tools = &app.definition.processors;
        let found = tools.iter().enumerate().find(|(_, tool)| tool.id == call.name);
        let Some((place, tool)) = found else {
            return Err(format!("there is no tool {}", call.name));
        };
        let entry = catalogue::find(&tool.provider_slug, &tool.processor_slug);
        let entry = entry.ok_or_else(|| format!("Unsupported processor {}", tool.slug()))?;
        if call.begun.is_some() && !work::is_repeatable(entry.work) {
            return Err(UNKNOWN.to_owned());
        }
        let arguments = match fields::json(&call.arguments) {
            Some(Value::Object(arguments)) => arguments,
            None if call.arguments.trim().is_empty() => Map::new(),
            _ => return Err("the arguments are not a JSON object".to_owned()),
        };
        let begin = Entry::StartTool { call: call.id.clone(), name: call.name.clone() };
        if !recorder.written(vec![begin]).await {
            // The run is lost, which the performer learns from `halt`.
            return std::future::pending().await;
        }
        // Declared fields are what the tool's templates speak of; else the arguments are its input.
        let mut input = app.input.clone();
        input.extend(arguments.clone());
        let mut context = Context::new(&arguments);
        context.set(INPUT, &input.into());
        let direct = tool.input_fields.is_none().then_some(arguments);
        let (pieces, mut heard) = mpsc::channel(64);
        let job = Job {
            entry,
            step: tool.clone(),
            place,
            context,
            memory: None,
            arguments: direct,
            pieces,
        };
        let mut whole = Value::Null;
        let listening = async {
            while let Some((_, piece)) = heard.recv().await {
                stitch(&mut whole, piece);
            }
        };
        let (taken, ()) = tokio::join!(take(job, self.ports(app)), listening);
        taken?;
        let template = tool.template().to_owned();
        match (template.as_str(), whole.as_object()) {
            ("", _) | (_, None) => Ok(fields::worded(&whole)),
            (_, Some(fields)) => {
                let context = Context::new(fields);
                let rendered =
                    tokio::task::spawn_blocking(move || template::render(&template, &context));
                rendered.await.map_err(|_| "its output cannot be rendered".to_owned())
            }
        }
    }
}

fn system(app: &AppTurn) -> String {
    let template = fields::some(&app.definition.config, "system_message");
    let template = template.unwrap_or_else(|| "You are a helpful assistant.".to_owned());
    template::render(&template, &input_context(app))
}

/// The template over the input; for want of one the task, or the whole input as JSON.
fn question(app: &AppTurn) -> String {
    match fields::some(&app.definition.config, "user_message") {
        Some(template) => template::render(&template, &input_context(app)),
        None => match app.input.get("task") {
            Some(Value::String(task)) => task.clone(),
            _ => Value::Object(app.input.clone()).to_string(),
        },
    }
}

fn input_context(app: &AppTurn) -> Context {
    let mut context = Context::new(&app.input);
    context.set(INPUT, &app.input.clone().into());
    context
}

/// A processor as a tool of the chat protocol.
fn tool(step: &Processor) -> Option<Value> {
    let entry = catalogue::find(&step.provider_slug, &step.processor_slug)?;
    let parameters = match &step.input_fields {
        Some(declared) => {
            let mut properties = Map::new();
            let mut required = Vec::new();
            for field in declared {
                let Some(name) = field.get("name").and_then(Value::as_str) else { continue };
                let kind = match field.get("type").and_then(Value::as_str) {
                    Some("number" | "float") => "number",
                    Some("int") => "integer",
                    Some("boolean" | "bool") => "boolean",
                    Some("list" | "datasource") => "array",
                    Some("dict") => "object",
                    _ => "string",
                };
                let about = field.get("description").or_else(|| field.get("title"));
                let about = about.and_then(Value::as_str).unwrap_or_default();
                properties.insert(name.to_owned(), json!({"type": kind, "description": about}));
                if field.get("required").and_then(Value::as_bool) == Some(true) {
                    required.push(name);
                }
            }
            json!({"type": "object", "properties": properties, "required": required})
        }
        None => entry.schema(entry.input),
    };
    let about = if step.description.is_empty() { entry.description } else { &step.description };
    let function = json!({"name": step.id, "description": about, "parameters": parameters});
    Some(json!({"type": "function", "function": function}))
}

/// A message of the run as the model is told it.
fn told(message: &Message) -> Option<Value> {
    match message.role.as_str() {
        "assistant" if message.tool_calls.is_empty() => None,
        "assistant" => Some(json!({
            "role": "assistant", "content": message.text(), "tool_calls": message.tool_calls,
        })),
        _ => Some(json!({
            "role": "tool", "content": message.text(), "tool_call_id": message.tool_call_id,
        })),
    }
}

fn said(session: &str, text: String) -> Message {
    Message {
        role: "assistant".to_owned(),
        content: Some(text.into()),
        message_id: Uuid::new_v4().to_string(),
        kind: "agent".to_owned(),
        session_id: session.to_owned(),
        ..Message::default()
    }
}

/// Results are linked to calls by id, so each has one of its own, without the fields that only pieces have.
fn unique(calls: &mut [Value], turn: u32) {
    for (place, call) in calls.iter_mut().enumerate() {
        call["id"] = format!("call_{turn}_{place}").into();
        call["type"] = "function".into();
        if let Some(fields) = call.as_object_mut() {
            fields.remove("index");
        }
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

fn output(id: &str, text: &str) -> Option<Line> {
    let piece = json!({"id": id, "from_id": AGENT, "type": "output", "content": text});
    lines::piece(AGENT, &piece)
}

fn step(id: &str, tool: &str, arguments: &str, output: Value) -> Option<Line> {
    let content = json!({"name": tool, "arguments": arguments, "output": output});
    lines::piece(AGENT, &json!({"id": id, "from_id": tool, "type": "step", "content": content}))
}

fn step_error(id: &str, tool: &str, error: &str) -> Option<Line> {
    lines::piece(AGENT, &json!({"id": id, "from_id": tool, "type": "step_error", "content": error}))
}

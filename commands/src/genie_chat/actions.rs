//! Actions of the assistant: flows, step by step, each step once.
//!
//! What a step came to is in the run before the next one begins, so whoever takes the run over goes on after it. A step
//! that was begun by a performer who died is taken again: all steps are such that this changes nothing, see
//! [`super::steps`].

use super::{
    desk::Desk,
    lines::{self, Mood},
    perform::{ChatPerformance, Stop, say},
    steps::{self, Task},
};
use crate::reactors::reply::{
    perform::halted,
    recorder::{Entry, Recorder},
};
use domain::{
    flow::{Flow, Known, resolve},
    run::{DoneStep, Event, OpenCall},
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// Actions of one answer at most.
const MOST: usize = 5;
/// How long a step may take.
const STEP: Duration = Duration::from_secs(120);
/// Bytes of a step's result at most.
const LARGEST: usize = 64 << 10;
/// Kind of the messages that say what an action came to.
pub(super) const ACTION: &str = "action";

/// What an action came to.
struct Report {
    name: String,
    outcome: Outcome,
    results: Map<String, Value>,
}

enum Outcome {
    Success,
    Error(String),
    /// There is no such flow.
    Miss,
}

impl ChatPerformance {
    /// Runs the flows that the answer asks for, one after the other.
    pub(super) async fn take_actions(
        &mut self,
        recorder: &Recorder,
        desk: &Desk,
    ) -> Result<(), Stop> {
        while let Some(call) = self.active.calls.first().cloned() {
            let place = steps::place(&call.id);
            let begin = Entry::StartTool { call: call.id.clone(), name: call.name.clone() };
            recorder.write(vec![begin]).await;
            let report = match desk.flows.find(&call.name) {
                _ if place >= MOST => {
                    Report::error(&call.name, format!("an answer has at most {MOST} actions"))
                }
                None => Report { outcome: Outcome::Miss, ..Report::of(&call.name) },
                Some(flow) if !flow.active => {
                    Report::error(&flow.name, "this action is switched off")
                }
                Some(flow) => self.run_flow(recorder, desk, flow, &call).await?,
            };
            self.close(recorder, &call, report).await;
        }
        Ok(())
    }

    async fn run_flow(
        &mut self,
        recorder: &Recorder,
        desk: &Desk,
        flow: &Flow,
        call: &OpenCall,
    ) -> Result<Report, Stop> {
        let stage = lines::action(&flow.name, Mood::Focused, &call.name, "started");
        say(recorder, [stage]).await;
        let input = serde_json::from_str(&call.arguments).unwrap_or_default();
        let mut known = Known::of(input);
        for (place, step) in flow.steps.iter().enumerate() {
            let key = format!("{}/{place}", call.id);
            let done = match self.active.steps.get(&key) {
                Some(done) => done.output.clone(),
                None => {
                    let config = resolve(&Value::Object(step.config.clone()), &known);
                    let Value::Object(config) = config else { continue };
                    let task = Task { kind: step.kind, config, key: key.clone() };
                    self.take_step(recorder, desk, task).await?
                }
            };
            if let Some(error) = done["error"].as_str() {
                let error = format!("step {}: {error}", place + 1);
                let report = Report::error(&flow.name, error);
                return Ok(Report { results: known.results(), ..report });
            }
            let name = step.result_key.clone().unwrap_or_else(|| format!("step_{}", place + 1));
            known.learn(&name, done["result"].clone());
        }
        Ok(Report { results: known.results(), ..Report::of(&flow.name) })
    }

    /// `{"result": …}` or `{"error": …}`, which is in the run from now on.
    async fn take_step(
        &mut self,
        recorder: &Recorder,
        desk: &Desk,
        task: Task,
    ) -> Result<Value, Stop> {
        let mut news = self.halt.subscribe();
        let step = task.key.clone();
        recorder.write(vec![Entry::StartStep { step: step.clone() }]).await;
        let taken = tokio::select! {
            biased;
            halt = halted(&mut news) => return Err(Stop::Halted(halt)),
            taken = timeout(STEP, self.perform_step(desk, task)) => taken,
        };
        let output = match taken {
            Ok(Ok(result)) if result.to_string().len() > LARGEST => {
                json!({ "error": format!("the result is larger than {LARGEST} bytes") })
            }
            Ok(Ok(result)) => json!({ "result": result }),
            Ok(Err(error)) => json!({ "error": error }),
            Err(_) => json!({ "error": format!("not done within {} seconds", STEP.as_secs()) }),
        };
        let (done, usage) = (DoneStep { output: output.clone(), memory: None }, vec![]);
        let done = Box::new(done);
        let event =
            Event::AppStepFinished { step: step.clone(), done: done.clone(), usage: vec![] };
        recorder.write(vec![Entry::FinishStep { step, done, usage }]).await;
        self.active.apply(&event);
        Ok(output)
    }

    /// Puts on record what the action came to; clients are shown.
    async fn close(&mut self, recorder: &Recorder, call: &OpenCall, report: Report) {
        let Report { name, outcome, results } = report;
        let (word, error) = match outcome {
            Outcome::Success => ("success", None),
            Outcome::Error(error) => ("error", Some(error)),
            Outcome::Miss => ("miss", Some(format!("there is no action {}", call.name))),
        };
        let mood = if error.is_none() { Mood::Focused } else { Mood::Error };
        let stage = lines::action(&name, mood, &call.name, word);
        let mut told = json!({ "success": error.is_none(), "results": results });
        if let Some(error) = &error {
            tracing::info!(run = %self.id, slug = call.name, error, "an action came to nothing");
            told["error"] = json!(error);
        }
        let mut message = self.message(ACTION);
        message.role = "tool".to_owned();
        message.message_id = format!("{}/{}", self.id, call.id);
        message.tool_call_id = Some(call.id.clone());
        message.content = Some(told.to_string().into());
        message.metadata.insert("slug".to_owned(), json!(call.name));
        message.metadata.insert("outcome".to_owned(), json!(word));
        let message = Box::new(message);
        let event = Event::ToolFinished { message: message.clone(), told: None };
        let lines = Entry::Lines(stage.into_iter().collect());
        recorder.write(vec![lines, Entry::FinishTool { message, told: None }]).await;
        self.active.apply(&event);
    }
}

impl Report {
    fn of(name: &str) -> Self {
        Self { name: name.to_owned(), outcome: Outcome::Success, results: Map::new() }
    }

    fn error(name: &str, error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Error(error.into()), ..Self::of(name) }
    }
}

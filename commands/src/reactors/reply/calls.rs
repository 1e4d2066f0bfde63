//! Makes the calls a turn asked for: several at once, each with a deadline and a limit to its output.
//!
//! The log says that a call begins before it does, and its result is written with its line: whoever takes the run over
//! knows which calls are done, which were never begun, and which were in flight. Of the last, only those of tools that
//! are declared idempotent are made again.

use super::{
    delegate,
    lines::Voice,
    perform::{Performance, Stage, halted},
    recorder::{Entry, Halt, Recorder},
    results,
};
use crate::{
    effects::tools::{Call, Outcome, Status, Tool},
    pulse, trace,
};
use domain::{
    message::Message,
    run::{Event, OpenCall},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span, field};

/// Calls of a run that are made at the same time.
const AT_ONCE: usize = 8;
/// How long a call may take whose tool says nothing about it.
const DEADLINE: Duration = Duration::from_secs(60);
/// The longest time a tool may claim for a call.
pub(super) const LONGEST: Duration = Duration::from_secs(1_800);

/// A call that is made once this is polled, and what comes of it.
type Making<'a> = BoxFuture<'a, (&'a OpenCall, Made)>;

/// What comes of a call.
pub(super) struct Made {
    pub outcome: Outcome,
    /// What the runs that worked for it have added to this one.
    pub relayed: Vec<Event>,
}

impl From<Outcome> for Made {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, relayed: vec![] }
    }
}

impl Performance<'_> {
    /// Makes all open calls. Each result is written as soon as it is there.
    ///
    /// # Errors
    /// With why the run has to stop; calls that are not finished by then are dropped, and stay open.
    pub(super) async fn make_calls(
        &mut self,
        recorder: &Recorder,
        stage: &Stage,
    ) -> Result<(), Halt> {
        let (finished, halt) = self.make_open(recorder, stage).await;
        finished.iter().for_each(|event| self.active.apply(event));
        halt.map_or(Ok(()), Err)
    }

    /// What came of the open calls, and why there are no more results, if there are none.
    async fn make_open(&self, recorder: &Recorder, stage: &Stage) -> (Vec<Event>, Option<Halt>) {
        let mut news = self.halt.subscribe();
        let mut finished = Vec::new();
        let mut calls = stream::iter(self.to_be_made(recorder, stage)).buffer_unordered(AT_ONCE);
        loop {
            let (call, made) = tokio::select! {
                biased;
                halt = halted(&mut news) => return (finished, Some(halt)),
                done = calls.next() => match done {
                    Some(done) => done,
                    None => return (finished, None),
                },
            };
            let (entries, event) = self.result(call, &made.outcome);
            recorder.write(entries).await;
            finished.extend(made.relayed);
            finished.push(event);
        }
    }

    fn to_be_made<'s>(&'s self, recorder: &'s Recorder, stage: &'s Stage) -> Vec<Making<'s>> {
        let open = self.active.calls.iter();
        let make = |call| {
            let span = span(stage, call);
            let made = async move { (call, self.watched(recorder, stage, call).await) };
            made.instrument(span).boxed()
        };
        open.map(make).collect()
    }

    /// Result lines for the calls that are still open and will never be finished.
    pub(super) fn cancelled(&self) -> Vec<Entry> {
        let outcome = Outcome { status: Status::Cancelled, content: "cancelled".to_owned() };
        self.active.calls.iter().flat_map(|call| self.result(call, &outcome).0).collect()
    }

    /// As [`Performance::make`], and counts.
    async fn watched(&self, recorder: &Recorder, stage: &Stage, call: &OpenCall) -> Made {
        let begun = Instant::now();
        let made = self.make(recorder, stage, call).await;
        let status = made.outcome.status.as_str();
        pulse::TOOL_SECONDS.time(status, begun.elapsed());
        if made.outcome.status == Status::Error {
            let span = Span::current();
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status);
        }
        made
    }

    async fn make(&self, recorder: &Recorder, stage: &Stage, call: &OpenCall) -> Made {
        let tool = stage.tools.iter().find(|tool| tool.name == call.name);
        if call.begun.is_some() && !tool.is_some_and(|tool| tool.idempotent) {
            return Outcome::error(
                "interrupted: the server stopped while this call was going on; nobody knows whether it took effect",
            )
            .into();
        }
        let Some(tool) = tool else { return unknown(&call.name, &stage.tools).into() };
        let arguments = match arguments(&call.arguments) {
            Ok(arguments) => arguments,
            Err(reason) => return Outcome::error(reason).into(),
        };
        let begin = Entry::StartTool { call: call.id.clone(), name: call.name.clone() };
        if !recorder.written(vec![begin]).await {
            // The run is lost, which the performer learns from `halt`.
            return std::future::pending().await;
        }
        if call.name == delegate::NAME && !stage.team.is_empty() {
            return self.delegate(recorder, stage, call, &arguments).await;
        }
        let (tools, place) = (stage.toolbox.clone(), stage.place.clone());
        let wish = Call { id: call.id.clone(), name: call.name.clone(), arguments };
        // A task of its own: a tool that panics or never yields takes nothing with it, and is stopped when dropped.
        let called = async move { tools.call(&place, &wish).await };
        let task = tokio::spawn(called.in_current_span());
        let deadline = tool.deadline.unwrap_or(DEADLINE).min(LONGEST);
        let outcome = match tokio::time::timeout(deadline, AbortOnDropHandle::new(task)).await {
            Ok(Ok(Some(outcome))) => outcome,
            Ok(Ok(None)) => unknown(&call.name, &stage.tools),
            Ok(Err(error)) => {
                tracing::error!(run = %self.id, tool = call.name, %error, "a tool failed");
                Outcome::error("the tool failed unexpectedly")
            }
            Err(_) => Outcome::error(format!("the tool did not finish within {deadline:?}")),
        };
        outcome.into()
    }

    /// The line of a result with its event, which are written together.
    fn result(&self, call: &OpenCall, outcome: &Outcome) -> (Vec<Entry>, Event) {
        let blank: Message = Voice::of(&self.active.request).message("tool_call_result");
        let (message, told) = results::result(call, outcome, blank);
        let message = Box::new(message);
        let mut entries = Vec::with_capacity(2);
        entries.extend(Voice::whole(&message).map(|line| Entry::Lines(vec![line])));
        entries.push(Entry::FinishTool { message: message.clone(), told: told.clone() });
        (entries, Event::ToolFinished { message, told })
    }
}

fn span(stage: &Stage, call: &OpenCall) -> Span {
    // What a model makes up is no name.
    let known = stage.tools.iter().any(|tool| tool.name == call.name);
    let name = if known { call.name.as_str() } else { "(unknown)" };
    tracing::info_span!(
        target: trace::TARGET,
        "execute_tool",
        otel.name = format!("execute_tool {name}"),
        otel.kind = "internal",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = name,
        gen_ai.tool.call.id = call.id,
    )
}

fn unknown(name: &str, tools: &[Tool]) -> Outcome {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Outcome::error(format!("there is no tool {name}; available: {known}"))
}

/// No arguments at all are none.
pub(super) fn arguments(sent: &str) -> Result<Map<String, Value>, String> {
    if sent.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str::<Value>(sent) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("the arguments are not a JSON object".to_owned()),
        Err(error) => Err(format!("the arguments are not valid JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_or_nothing() {
        for empty in ["", " ", "{}", "null"] {
            assert_eq!(arguments(empty), Ok(Map::new()), "{empty:?}");
        }
        assert_eq!(arguments("{\"a\": 1}").map(|found| found.len()), Ok(1));
        for wrong in ["{", "[]", "1", "{}{}", "{'a': 1}"] {
            assert!(arguments(wrong).is_err(), "{wrong}");
        }
    }
}

//! A run that goes on: what is known of it, and what a step adds.

use super::{DoneStep, Event, Interrupt, Refusal, Request, Step, TurnUsage};
use crate::{
    Revision,
    ids::{NodeId, RunId},
    message::{Line, Message},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A run that goes on.
#[derive(Debug, Clone)]
pub struct Active {
    /// What was asked.
    pub request: Box<Request>,
    /// Who performs.
    pub node: NodeId,
    /// From 1; each take-over adds one.
    pub attempt: u32,
    /// Lines so far: the index of the next one.
    pub lines: u64,
    /// Turns finished so far: the number of the next one.
    pub turns: u32,
    /// Message id of the turn in flight.
    pub speaking: Option<String>,
    /// Messages finished in this run.
    pub messages: Vec<Message>,
    /// What finished turns cost.
    pub usage: Vec<TurnUsage>,
    /// Calls the last turn asked for that have no result yet, in its order.
    pub calls: Vec<OpenCall>,
    /// Steps of the app that were begun, done or not.
    pub begun: BTreeSet<String>,
    /// Steps of the app that are done.
    pub steps: BTreeMap<String, DoneStep>,
    /// The runs that work for it, each with the last of its events that is here, too.
    pub sub_runs: BTreeMap<RunId, Revision>,
    /// Somebody wants it stopped.
    pub interrupt: Option<Interrupt>,
}

/// A call that waits for its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// Id, unique within the run.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments as the model wrote them: JSON, as a rule.
    pub arguments: String,
    /// The attempt in which it was last begun.
    pub begun: Option<u32>,
}

impl Active {
    /// A run that was just requested.
    pub fn of(request: Box<Request>) -> Self {
        Self {
            node: request.node,
            request,
            attempt: 1,
            lines: 0,
            turns: 0,
            speaking: None,
            messages: vec![],
            usage: vec![],
            calls: vec![],
            begun: BTreeSet::new(),
            steps: BTreeMap::new(),
            sub_runs: BTreeMap::new(),
            interrupt: None,
        }
    }

    /// Checks each step against the state the steps before it led to; repeated steps vanish.
    pub(super) fn advance(&self, steps: &[Step]) -> Result<Vec<Event>, Refusal> {
        let (mut lines, mut turns, mut speaking) = (self.lines, self.turns, self.speaking.clone());
        let (mut calls, mut sub_runs) = (self.calls.clone(), self.sub_runs.clone());
        let mut events = Vec::with_capacity(steps.len());
        for step in steps {
            match step {
                Step::BeginTurn { turn, message_id } => {
                    if *turn == turns && speaking.as_ref() != Some(message_id) {
                        speaking = Some(message_id.clone());
                        let (turn, message_id) = (*turn, message_id.clone());
                        events.push(Event::TurnStarted { turn, attempt: self.attempt, message_id });
                    }
                }
                Step::Lines { first, lines: new } => {
                    let known = usize::try_from(lines.saturating_sub(*first)).unwrap_or(usize::MAX);
                    if *first > lines {
                        return Err(Refusal::Moved);
                    }
                    if let Some(fresh @ [_, ..]) = new.get(known..) {
                        events.push(Event::LinesRecorded { first: lines, lines: fresh.to_vec() });
                        lines += fresh.len() as u64;
                    }
                }
                Step::CompleteTurn { turn, message, usage } => {
                    if *turn == turns {
                        (turns, speaking) = (turns + 1, None);
                        calls = calls_of(message.as_deref());
                        let (turn, message, usage) = (*turn, message.clone(), usage.clone());
                        events.push(Event::TurnCompleted { turn, message, usage });
                    }
                }
                Step::AbandonTurn { turn, message, reason } => {
                    if *turn == turns && speaking.is_some() {
                        speaking = None;
                        let (turn, message) = (*turn, message.clone());
                        events.push(Event::TurnAbandoned { turn, message, reason: reason.clone() });
                    }
                }
                Step::StartTool { call, name } => {
                    let open = calls.iter_mut().find(|open| open.id == *call);
                    if let Some(open) = open.filter(|open| open.begun != Some(self.attempt)) {
                        open.begun = Some(self.attempt);
                        let (call, name, attempt) = (call.clone(), name.clone(), self.attempt);
                        events.push(Event::ToolStarted { call, name, attempt });
                    }
                }
                Step::FinishTool { message, told } => {
                    let open = calls.iter().position(|open| open.answers(message));
                    if let Some(open) = open {
                        calls.remove(open);
                        let (message, told) = (message.clone(), told.clone());
                        events.push(Event::ToolFinished { message, told });
                    }
                }
                Step::Post(message) => {
                    let known = |m: &Message| m.message_id == message.message_id;
                    if !self.messages.iter().any(known) {
                        events.push(Event::MessagePosted(message.clone()));
                    }
                }
                Step::StartStep { step } => {
                    if !self.steps.contains_key(step) {
                        let (step, attempt) = (step.clone(), self.attempt);
                        events.push(Event::AppStepStarted { step, attempt });
                    }
                }
                Step::FinishStep { step, done, usage } => {
                    if !self.steps.contains_key(step) {
                        let (step, done, usage) = (step.clone(), done.clone(), usage.clone());
                        events.push(Event::AppStepFinished { step, done, usage });
                    }
                }
                Step::Relay { first, relayed } => {
                    let (run, revision) = (relayed.run, relayed.revision);
                    if sub_runs.get(&run).is_some_and(|known| *known >= revision) {
                        continue;
                    }
                    if *first != lines {
                        return Err(Refusal::Moved);
                    }
                    sub_runs.insert(run, revision);
                    lines += relayed.lines.len() as u64;
                    events.push(Event::SubRunRelayed {
                        run,
                        revision,
                        first: *first,
                        lines: relayed.lines.clone(),
                        message: relayed.message.clone(),
                        usage: relayed.usage.clone(),
                    });
                }
                Step::End { outcome, index, line, error } => {
                    if *index != lines {
                        return Err(Refusal::Moved);
                    }
                    let (outcome, line, error) = (*outcome, line.clone(), error.clone());
                    events.push(Event::RunEnded { outcome, index: *index, line, error });
                    return Ok(events);
                }
            }
        }
        Ok(events)
    }

    pub(super) fn take_over(&self, node: NodeId, closing: Option<&(Line, Message)>) -> Vec<Event> {
        let mut events = vec![Event::RunClaimed { node, attempt: self.attempt + 1 }];
        if self.speaking.is_some() {
            if let Some((line, _)) = closing {
                events.push(Event::LinesRecorded { first: self.lines, lines: vec![line.clone()] });
            }
            events.push(Event::TurnAbandoned {
                turn: self.turns,
                message: closing.map(|(_, message)| Box::new(message.clone())),
                reason: "superseded".to_owned(),
            });
        }
        events
    }

    /// What an event changes. Also for the performer, who knows what it did before it is written.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::RunRequested(_) | Event::RunEnded { .. } => {}
            Event::AppStepStarted { step, .. } => drop(self.begun.insert(step.clone())),
            Event::AppStepFinished { step, done, usage } => {
                self.steps.insert(step.clone(), (**done).clone());
                self.usage.extend(usage.iter().cloned());
            }
            Event::RunClaimed { node, attempt } => (self.node, self.attempt) = (*node, *attempt),
            Event::TurnStarted { message_id, .. } => self.speaking = Some(message_id.clone()),
            Event::LinesRecorded { lines, .. } => self.lines += lines.len() as u64,
            Event::TurnCompleted { message, usage, .. } => {
                self.messages.extend(message.as_deref().cloned());
                self.usage.push(usage.clone());
                self.turns += 1;
                self.speaking = None;
                self.calls = calls_of(message.as_deref());
            }
            Event::TurnAbandoned { message, .. } => {
                self.messages.extend(message.as_deref().cloned());
                self.speaking = None;
            }
            Event::ToolStarted { call, attempt, .. } => {
                if let Some(open) = self.calls.iter_mut().find(|open| open.id == *call) {
                    open.begun = Some(*attempt);
                }
            }
            Event::ToolFinished { message, told } => {
                self.calls.retain(|open| !open.answers(message));
                let mut message = (**message).clone();
                if let Some(told) = told {
                    message.content = Some(told.as_str().into());
                }
                self.messages.push(message);
            }
            Event::SubRunRelayed { run, revision, lines, usage, .. } => {
                if self.sub_runs.get(run).is_none_or(|known| known < revision) {
                    self.sub_runs.insert(*run, *revision);
                    self.lines += lines.len() as u64;
                    self.usage.extend(usage.clone());
                }
            }
            Event::MessagePosted(message) => self.messages.push((**message).clone()),
            Event::InterruptRequested(interrupt) => self.interrupt = Some(interrupt.clone()),
        }
    }
}

impl OpenCall {
    fn answers(&self, result: &Message) -> bool {
        result.tool_call_id.as_deref() == Some(&self.id)
    }
}

/// The calls a turn asks for.
fn calls_of(message: Option<&Message>) -> Vec<OpenCall> {
    let calls = message.into_iter().flat_map(|message| &message.tool_calls);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    calls
        .map(|call| OpenCall {
            id: text(&call["id"]),
            name: text(&call["function"]["name"]),
            arguments: text(&call["function"]["arguments"]),
            begun: None,
        })
        .collect()
}

//! One performance of one run of a chat: the gate, or an answer; one end line.

use super::{
    desk::Desk,
    echo::{Echo, News},
    lines::{self, Mood},
    prompt::{self, Background},
    steps,
    told::told,
};
use crate::{
    effects::model::{Delta, Request},
    execute::Loaded,
    log::EventLog,
    reactors::reply::{
        Surroundings,
        lines::timestamp,
        perform::halted,
        recorder::{Entry, Halt, Recorder},
    },
};
use domain::{
    Metadata,
    action::{Action, Interceptor, Piece},
    ids::{NodeId, RunId},
    message::{Line, Message},
    onboarding::Station,
    run::{Active, ChatTurn, Event, Outcome, Run, TurnUsage},
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::{sync::watch, time::Instant};

/// After so many take-overs a run is given up: it may be what brings the nodes down.
const ATTEMPTS: u32 = 5;
/// Bytes of an answer at most.
const LARGEST: usize = 1 << 20;

/// See the module.
pub(crate) struct ChatPerformance {
    pub log: Arc<dyn EventLog>,
    pub around: Arc<dyn Surroundings>,
    pub node: NodeId,
    pub id: RunId,
    /// The run as it will be when all that was handed to the recorder is written.
    pub active: Active,
    pub halt: Arc<watch::Sender<Option<Halt>>>,
    /// What clients have of the answer.
    pub said: String,
    /// Of all that is written.
    pub metadata: Metadata,
}

/// Why there is no answer, or no complete one.
pub(super) enum Stop {
    Halted(Halt),
    Failed(String),
}

impl ChatPerformance {
    /// Plays the run to its end, or until it is taken away.
    pub async fn play(mut self, run: Loaded<Run>) {
        let Some(turn) = self.active.request.settings.chat.clone() else { return };
        if let Some(wish) = &self.active.interrupt {
            self.halt.send_replace(Some(Halt::Interrupted(wish.clone())));
        }
        let (log, metadata, begun) = (self.log.clone(), self.metadata.clone(), Instant::now());
        let recorder = Recorder::start(log, run, self.node, metadata, self.halt.clone());
        let last = match self.act(&recorder, &turn).await {
            Ok(()) => self.completed(&turn, begun),
            Err(Stop::Failed(reason)) => self.failed(&reason, begun),
            Err(Stop::Halted(Halt::Interrupted(wish))) => {
                let mut entries = self.abandoned("interrupted");
                let outcome = if wish.replaced { Outcome::Replaced } else { Outcome::Interrupted };
                entries.extend(self.finale(outcome, None, begun));
                entries
            }
            // Somebody else goes on.
            Err(Stop::Halted(Halt::Lost | Halt::Draining)) => vec![],
        };
        // In one batch: whoever takes over finds all of it or nothing.
        recorder.write(last).await;
        recorder.finish().await;
    }

    async fn act(&mut self, recorder: &Recorder, turn: &ChatTurn) -> Result<(), Stop> {
        if self.active.attempt > 1 {
            let told = told(&*self.log, self.id).await;
            self.said = told.map_err(|failure| {
                tracing::warn!(run = %self.id, %failure, "what was said cannot be read");
                Stop::failed("a part of the server does not answer")
            })?;
        }
        if let Some(halt) = self.halt.borrow().clone() {
            return Err(Stop::Halted(halt));
        }
        if self.active.attempt > ATTEMPTS {
            return Err(Stop::failed("the run was taken over too many times"));
        }
        if turn.gate.is_some() {
            return Ok(());
        }
        if self.active.lines == 0 {
            say(recorder, [lines::stage("Thinking", Mood::Thinking)]).await;
        }
        let desk = self.around.desk();
        if self.active.turns == 0 {
            self.take_turn(recorder, desk.as_ref()).await?;
        }
        match desk {
            Some(desk) => self.take_actions(recorder, &desk).await,
            None => Ok(()),
        }
    }

    /// The answer of the model.
    async fn take_turn(&mut self, recorder: &Recorder, desk: Option<&Desk>) -> Result<(), Stop> {
        let mut news = self.halt.subscribe();
        let (request, question) = (&self.active.request, self.question());
        let prepared = async {
            tokio::try_join!(
                self.around.history(request.conversation, self.id, prompt::HISTORY),
                self.around.model(&request.settings),
                async {
                    match desk {
                        Some(desk) => desk.background(&request.owner, &question).await,
                        None => Ok(Background::default()),
                    }
                },
            )
        };
        let (history, choice, background) = tokio::select! {
            prepared = prepared => prepared.map_err(|error| Stop::failed(error.to_string()))?,
            halt = halted(&mut news) => return Err(Stop::Halted(halt)),
        };
        let asked = Request {
            endpoint: choice.endpoint.clone(),
            messages: prompt::messages(request, &history, &background),
            parameters: request.settings.parameters.clone(),
            ..Request::default()
        };
        let mut usage = TurnUsage { model: asked.endpoint.model.clone(), ..TurnUsage::default() };
        let turn = self.active.turns;
        let begin = Entry::BeginTurn { turn, message_id: self.id.to_string() };
        let focused = lines::stage("Writing an answer", Mood::Focused);
        recorder.write(vec![begin, Entry::Lines(focused.into_iter().collect())]).await;
        let failed = |error: &dyn std::fmt::Display| Stop::failed(error.to_string());
        let mut deltas = tokio::select! {
            begun = choice.model.stream(asked) => begun.map_err(|error| failed(&error))?,
            halt = halted(&mut news) => return Err(Stop::Halted(halt)),
        };
        let (mut echo, mut size) = (Echo::of(self.said.clone()), 0);
        let (mut interceptor, mut actions) = (Interceptor::default(), Vec::new());
        loop {
            let delta = tokio::select! {
                biased;
                halt = halted(&mut news) => return Err(Stop::Halted(halt)),
                delta = deltas.next() => delta,
            };
            match delta {
                Some(Ok(Delta::Text(text))) => {
                    size += text.len();
                    if size > LARGEST {
                        let reason = format!("the model's answer is longer than {LARGEST} bytes");
                        return Err(Stop::Failed(reason));
                    }
                    let pieces = interceptor.push(&text);
                    self.take(recorder, pieces, &mut echo, &mut actions).await;
                }
                Some(Ok(Delta::Usage(numbers))) => usage.usage = Some(numbers),
                Some(Ok(Delta::Reasoning(_) | Delta::ToolCalls(_))) => {}
                Some(Ok(Delta::Finished(_))) => break,
                Some(Err(error)) => return Err(failed(&error)),
                None => return Err(failed(&"the model's answer broke off")),
            }
        }
        let rest = interceptor.finish();
        self.take(recorder, rest, &mut echo, &mut actions).await;
        self.hear(recorder, echo.end()).await;
        let mut message = self.answer();
        message.tool_calls = actions.iter().enumerate().map(call).collect();
        let message = Some(Box::new(message));
        let event = Event::TurnCompleted { turn, message: message.clone(), usage: usage.clone() };
        recorder.write(vec![Entry::CompleteTurn { turn, message, usage }]).await;
        self.active.apply(&event);
        Ok(())
    }

    /// Sends what is for people, and keeps what is to be done.
    async fn take(
        &mut self,
        recorder: &Recorder,
        pieces: Vec<Piece>,
        echo: &mut Echo,
        actions: &mut Vec<Action>,
    ) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.hear(recorder, echo.hear(&text)).await,
                Piece::Action(action) => actions.push(action),
            }
        }
    }

    /// Sends what is new.
    async fn hear(&mut self, recorder: &Recorder, news: News) {
        match news {
            News::Nothing => {}
            News::More(text) => {
                self.said.push_str(&text);
                say(recorder, [lines::chunk(self.id.0, &text)]).await;
            }
            News::Anew(text) => {
                let again = (!text.is_empty()).then(|| lines::chunk(self.id.0, &text)).flatten();
                say(recorder, [lines::anew(self.id.0), again]).await;
                self.said = text;
            }
        }
    }

    /// Ends well.
    fn completed(&self, turn: &ChatTurn, begun: Instant) -> Vec<Entry> {
        let mut entries = match turn.gate {
            Some(station) => self.blocked(station),
            None => vec![Entry::Lines(lines::stage("Ready", Mood::Idle).into_iter().collect())],
        };
        entries.extend(self.finale(Outcome::Completed, None, begun));
        entries
    }

    /// What somebody is told who is still on the way in.
    fn blocked(&self, station: Station) -> Vec<Entry> {
        let told = lines::gate(self.id.0, station).into_iter().flatten().collect();
        let mut message = self.message(prompt::GATED);
        message.content = Some(lines::guidance(station).into());
        vec![Entry::Lines(told), Entry::Post(Box::new(message))]
    }

    /// Ends badly: what was said stays, and one event says what happened.
    fn failed(&self, reason: &str, begun: Instant) -> Vec<Entry> {
        tracing::info!(run = %self.id, reason, "an answer in a chat failed");
        let mut entries = self.abandoned(reason);
        let told =
            [lines::stage("Something went wrong", Mood::Error), lines::abort(self.id.0, reason)];
        entries.push(Entry::Lines(told.into_iter().flatten().collect()));
        entries.extend(self.finale(Outcome::Failed, Some(reason.to_owned()), begun));
        entries
    }

    /// The turn that broke off, if there is one; what it said is part of the chat.
    fn abandoned(&self, reason: &str) -> Vec<Entry> {
        if self.active.turns > 0 || self.said.is_empty() {
            return vec![];
        }
        let (turn, message) = (self.active.turns, Some(Box::new(self.answer())));
        let begin = Entry::BeginTurn { turn, message_id: self.id.to_string() };
        vec![begin, Entry::AbandonTurn { turn, message, reason: reason.to_owned() }]
    }

    fn finale(&self, outcome: Outcome, error: Option<String>, begun: Instant) -> Option<Entry> {
        let kept = self.active.turns > 0 || !self.said.is_empty();
        let metrics = lines::metrics(&self.active.usage, begun.elapsed().as_secs_f64());
        let line = lines::finale(self.id.0, kept, outcome == Outcome::Failed, &metrics)?;
        Some(Entry::EndWith { outcome, line, error })
    }

    fn answer(&self) -> Message {
        let content = Some(self.said.as_str().into());
        Message { content, ..self.message(prompt::ANSWER) }
    }

    /// What is asked.
    pub(super) fn question(&self) -> String {
        self.active.request.messages.last().map(Message::text).unwrap_or_default()
    }

    /// A message of the assistant; there is one in a run.
    pub(super) fn message(&self, kind: &str) -> Message {
        let request = &self.active.request;
        Message {
            role: "assistant".to_owned(),
            message_id: self.id.to_string(),
            kind: kind.to_owned(),
            timestamp: timestamp(),
            agent_name: Some(request.agent_name.clone()),
            session_id: request.session_id.clone(),
            ..Message::default()
        }
    }
}

impl Stop {
    fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }
}

/// An action as the run keeps it.
fn call((place, action): (usize, &Action)) -> Value {
    let Action { slug, input } = action;
    let arguments = Value::Object(input.clone()).to_string();
    let function = json!({ "name": slug, "arguments": arguments });
    json!({ "id": steps::id(place), "type": "function", "function": function })
}

pub(super) async fn say(recorder: &Recorder, told: impl IntoIterator<Item = Option<Line>>) {
    let lines: Vec<Line> = told.into_iter().flatten().collect();
    if !lines.is_empty() {
        recorder.write(vec![Entry::Lines(lines)]).await;
    }
}

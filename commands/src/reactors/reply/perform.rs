//! One performance of one run: history and passages in, model turns out, one end line.

use super::{
    Reply, Unavailable,
    lines::{Piece, Voice, timestamp},
    new_message_id, prompt,
    recorder::{Entry, Halt, Recorder},
};
use crate::{
    effects::model::{self, Delta, ModelError},
    execute::Loaded,
};
use domain::{
    Metadata,
    ids::RunId,
    message::{Line, Message, merge_tool_calls},
    run::{Active, Interrupt, Outcome, Run, TurnUsage},
};
use futures::StreamExt;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

/// Messages of the conversation that are looked at for the prompt.
const HISTORY: u32 = 400;
/// After so many take-overs a run is given up: it may be what brings the nodes down.
const ATTEMPTS: u32 = 5;

pub(super) struct Performance<'a> {
    reply: &'a Reply,
    id: RunId,
    active: Active,
    halt: Arc<watch::Sender<Option<Halt>>>,
}

/// How the one model turn of a performance came out.
enum Turn {
    Done { said: Said, usage: Option<Value> },
    Failed { said: Said, error: String },
    Halted { said: Said, halt: Halt },
}

/// What the model has said so far in a turn.
struct Said {
    message: Message,
    spoke: bool,
}

impl<'a> Performance<'a> {
    pub fn new(
        reply: &'a Reply,
        id: RunId,
        active: Active,
        halt: Arc<watch::Sender<Option<Halt>>>,
    ) -> Self {
        Self { reply, id, active, halt }
    }

    /// Plays the run to its end, or until it is taken away.
    pub async fn play(self, run: Loaded<Run>, metadata: Metadata) {
        if let Some(wish) = &self.active.interrupt {
            self.halt.send_replace(Some(Halt::Interrupted(wish.clone())));
        }
        let log = self.reply.log.clone();
        let recorder = Recorder::start(log, run, self.reply.node, metadata, self.halt.clone());
        if let Some(last) = self.act(&recorder).await {
            recorder.write(last).await;
        }
        recorder.finish().await;
    }

    /// The entries that end the run; `None` when somebody else will.
    async fn act(&self, recorder: &Recorder) -> Option<Vec<Entry>> {
        if let Some(halt) = self.halt.borrow().clone() {
            return self.halted(halt, None);
        }
        if self.active.attempt > 1 && self.active.request.surface.attached() {
            let reason = "connection lost".to_owned();
            return self.halted(Halt::Interrupted(Interrupt { reason, replaced: false }), None);
        }
        if self.active.attempt > ATTEMPTS {
            return Some(self.failed(None, "the run was taken over too many times"));
        }
        let mut news = self.halt.subscribe();
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared,
            halt = halted(&mut news) => return self.halted(halt, None),
        };
        let (choice, request) = match prepared {
            Ok(prepared) => prepared,
            Err(Unavailable(reason)) => return Some(self.failed(None, &reason)),
        };
        let model = request.endpoint.model.clone();
        match self.turn(recorder, &choice, request).await {
            Turn::Done { said, usage } => Some(self.completed(said, TurnUsage { model, usage })),
            Turn::Failed { said, error } => Some(self.failed(Some(said), &error)),
            Turn::Halted { said, halt } => self.halted(halt, Some(said)),
        }
    }

    async fn prepare(&self) -> Result<(super::Choice, model::Request), Unavailable> {
        let request = &self.active.request;
        let question = prompt::question(request);
        let around = &self.reply.surroundings;
        let (owner, bases) = (&request.owner, &request.settings.knowledge_bases);
        let (history, passages, choice) = tokio::try_join!(
            around.history(request.conversation, self.id, HISTORY),
            async {
                if bases.is_empty() || question.trim().is_empty() {
                    return Ok(vec![]);
                }
                around.passages(owner, bases, &question).await
            },
            around.model(&request.settings),
        )?;
        let messages = prompt::messages(request, &history, &self.active.messages, &passages);
        let endpoint = choice.endpoint.clone();
        let parameters = request.settings.parameters.clone();
        let request = model::Request { endpoint, messages, tools: vec![], parameters, passages };
        Ok((choice, request))
    }

    /// Streams one answer of the model into the recorder.
    async fn turn(
        &self,
        recorder: &Recorder,
        choice: &super::Choice,
        request: model::Request,
    ) -> Turn {
        let mut said = Said::nothing(self.voice(), &self.active.request.session_id);
        let turn = self.active.turns;
        let message_id = said.message.message_id.clone();
        let mut opening = Some(Entry::BeginTurn { turn, message_id });
        let mut news = self.halt.subscribe();
        let mut deltas = tokio::select! {
            begun = choice.model.stream(request) => match begun {
                Ok(deltas) => deltas,
                Err(error) => return Turn::Failed { said, error: error.to_string() },
            },
            halt = halted(&mut news) => return Turn::Halted { said, halt },
        };
        let mut usage = None;
        loop {
            let delta = tokio::select! {
                biased;
                halt = halted(&mut news) => return Turn::Halted { said, halt },
                delta = deltas.next() => delta,
            };
            let line = match delta {
                Some(Ok(Delta::Usage(numbers))) => {
                    usage = Some(numbers);
                    continue;
                }
                Some(Ok(Delta::Finished(_))) => return Turn::Done { said, usage },
                Some(Ok(Delta::Text(text))) => self.say(&mut said, Piece::Text(&text)),
                Some(Ok(Delta::Reasoning(text))) => self.say(&mut said, Piece::Reasoning(&text)),
                Some(Ok(Delta::ToolCalls(calls))) => self.say(&mut said, Piece::ToolCalls(&calls)),
                Some(Err(error)) => return Turn::Failed { said, error: error.to_string() },
                None => return Turn::Failed { said, error: unfinished() },
            };
            let entries =
                opening.take().into_iter().chain(line.map(|line| Entry::Lines(vec![line])));
            recorder.write(entries.collect()).await;
        }
    }

    fn say(&self, said: &mut Said, piece: Piece<'_>) -> Option<Line> {
        said.add(piece);
        self.voice().delta(&said.message.message_id, piece, said.message.timestamp)
    }

    fn voice(&self) -> Voice<'_> {
        Voice::of(&self.active.request)
    }

    /// Ends well: closing newline, usage, end.
    fn completed(&self, mut said: Said, usage: TurnUsage) -> Vec<Entry> {
        let turn = self.active.turns;
        let mut entries = Vec::new();
        if !said.spoke {
            let message_id = said.message.message_id.clone();
            entries.push(Entry::BeginTurn { turn, message_id });
        }
        // As upstream: a response without tool calls is closed by a lone newline.
        if said.message.tool_calls.is_empty() {
            entries.extend(
                self.say(&mut said, Piece::Text("\n")).map(|line| Entry::Lines(vec![line])),
            );
        }
        let message = Some(Box::new(said.message));
        entries.push(Entry::CompleteTurn { turn, message, usage: usage.clone() });
        let mut costs = self.active.usage.clone();
        costs.push(usage);
        entries.extend(self.usage_line(&costs));
        entries.push(Entry::End { outcome: Outcome::Completed, error: None });
        entries
    }

    /// Ends badly: what was said stays, one line says what happened.
    fn failed(&self, said: Option<Said>, error: &str) -> Vec<Entry> {
        tracing::warn!(run = %self.id, error, "run failed");
        let mut entries = self.abandon(said, error);
        let request = &self.active.request;
        let message = Message {
            role: "assistant".to_owned(),
            content: Some(format!("工作流执行失败: {error}").into()),
            message_id: new_message_id(),
            kind: "final_answer".to_owned(),
            timestamp: timestamp(),
            agent_name: Some(request.agent_name.clone()),
            session_id: request.session_id.clone(),
            ..Message::default()
        };
        entries.extend(Voice::whole(&message).map(|line| Entry::Lines(vec![line])));
        entries.push(Entry::Post(Box::new(message)));
        entries.extend(self.usage_line(&self.active.usage));
        entries.push(Entry::End { outcome: Outcome::Failed, error: Some(error.to_owned()) });
        entries
    }

    /// Stops: an interrupted run is ended, a lost or handed-over one is left to its next performer.
    fn halted(&self, halt: Halt, said: Option<Said>) -> Option<Vec<Entry>> {
        let Halt::Interrupted(Interrupt { replaced, .. }) = halt else { return None };
        let mut entries = self.abandon(said, "interrupted");
        let outcome = if replaced { Outcome::Replaced } else { Outcome::Interrupted };
        entries.push(Entry::End { outcome, error: None });
        Some(entries)
    }

    fn abandon(&self, said: Option<Said>, reason: &str) -> Vec<Entry> {
        let Some(Said { message, spoke: true }) = said else { return vec![] };
        let (turn, reason) = (self.active.turns, reason.to_owned());
        vec![Entry::AbandonTurn { turn, message: Some(Box::new(message)), reason }]
    }

    fn usage_line(&self, costs: &[TurnUsage]) -> Option<Entry> {
        let line = self.voice().token_usage(&new_message_id(), costs)?;
        Some(Entry::Lines(vec![line]))
    }
}

impl Said {
    fn nothing(voice: Voice<'_>, session_id: &str) -> Self {
        let message = Message {
            role: "assistant".to_owned(),
            message_id: new_message_id(),
            kind: "do_subtask_result".to_owned(),
            timestamp: timestamp(),
            agent_name: Some(voice.agent_name.to_owned()),
            session_id: session_id.to_owned(),
            ..Message::default()
        };
        Self { message, spoke: false }
    }

    /// As clients merge lines: the last line's type and time win, texts grow.
    fn add(&mut self, piece: Piece<'_>) {
        self.spoke = true;
        let message = &mut self.message;
        message.timestamp = timestamp();
        match piece {
            Piece::Text(text) => {
                match &mut message.content {
                    Some(Value::String(content)) => content.push_str(text),
                    content => *content = Some(text.into()),
                }
                message.kind = "do_subtask_result".to_owned();
            }
            Piece::Reasoning(text) => {
                message.reasoning_content.get_or_insert_default().push_str(text);
                message.kind = "reasoning_content".to_owned();
            }
            Piece::ToolCalls(calls) => {
                merge_tool_calls(&mut message.tool_calls, calls);
                message.kind = "tool_call".to_owned();
            }
        }
    }
}

async fn halted(news: &mut watch::Receiver<Option<Halt>>) -> Halt {
    match news.wait_for(Option::is_some).await.map(|halt| halt.clone()) {
        Ok(Some(halt)) => halt,
        // The sender outlives the performance; should it be gone all the same, nobody can halt us any more.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

fn unfinished() -> String {
    ModelError::Broken("the stream ended without an end".into()).to_string()
}

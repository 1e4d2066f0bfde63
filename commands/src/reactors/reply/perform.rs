//! One performance of one run: model turns and tool calls in turn, then what closes it, one end line.

use super::{
    Choice, Delegate, Reply, Unavailable, delegate,
    lines::{Piece, Voice},
    new_message_id, offered,
    prompt::{self, Background},
    recorder::{Entry, Halt, Recorder},
    system,
    turn::{Aim, Said, Turn},
};
use crate::{
    effects::{
        model,
        tools::{Place, Tool, Tools},
    },
    execute::Loaded,
};
use domain::{
    Metadata,
    ids::RunId,
    run::{Active, Event, Interrupt, Next, Outcome, Run, TurnUsage},
};
use serde_json::Value;
use std::sync::{Arc, atomic::AtomicUsize};
use tokio::sync::watch;

/// Messages of the conversation that are looked at for the prompt.
const HISTORY: u32 = 400;
/// After so many take-overs a run is given up: it may be what brings the nodes down.
const ATTEMPTS: u32 = 5;

/// A run being performed.
pub(super) struct Performance<'a> {
    pub(super) reply: &'a Arc<Reply>,
    pub(super) id: RunId,
    /// The run as it will be when all that was handed to the recorder is written.
    pub(super) active: Active,
    /// Of all that is written.
    pub(super) metadata: Metadata,
    pub(super) halt: Arc<watch::Sender<Option<Halt>>>,
}

/// What all turns and calls of a performance have in common.
pub(super) struct Stage {
    pub(super) choice: Choice,
    pub(super) background: Background,
    pub(super) place: Arc<Place>,
    /// Where tools are called.
    pub(super) toolbox: Arc<dyn Tools>,
    /// What may be called.
    pub(super) tools: Vec<Tool>,
    /// To whom work may be given.
    pub(super) team: Vec<Delegate>,
    /// How many runs work or have worked for this one.
    pub(super) begun: AtomicUsize,
}

/// How a performance comes to its end.
enum Ending {
    /// All is said.
    Completed,
    /// Something failed, in the middle of what was said.
    Failed(Option<Said>, String),
    /// It has to stop.
    Halted(Option<Said>, Halt),
}

impl Performance<'_> {
    /// Plays the run to its end, or until it is taken away.
    pub async fn play(mut self, run: Loaded<Run>) {
        if let Some(wish) = &self.active.interrupt {
            self.halt.send_replace(Some(Halt::Interrupted(wish.clone())));
        }
        let (log, metadata) = (self.reply.log.clone(), self.metadata.clone());
        let recorder = Recorder::start(log, run, self.reply.node, metadata, self.halt.clone());
        let last = match self.act(&recorder).await {
            Ending::Completed => Some(self.completed()),
            Ending::Failed(said, error) => {
                self.recall(&recorder).await;
                Some(self.failed(said, &error))
            }
            Ending::Halted(said, Halt::Interrupted(wish)) => {
                self.recall(&recorder).await;
                Some(self.interrupted(&wish, said))
            }
            // Left to its next performer.
            Ending::Halted(_, Halt::Lost | Halt::Draining) => None,
        };
        if let Some(last) = last {
            recorder.write(last).await;
        }
        recorder.finish().await;
    }

    async fn act(&mut self, recorder: &Recorder) -> Ending {
        if let Some(halt) = self.halt.borrow().clone() {
            return Ending::Halted(None, halt);
        }
        if self.active.attempt > 1 && self.active.request.surface.attached() {
            let reason = "connection lost".to_owned();
            return Ending::Halted(None, Halt::Interrupted(Interrupt { reason, replaced: false }));
        }
        if self.works_for_nobody().await {
            let reason = delegate::STOPPED.to_owned();
            return Ending::Halted(None, Halt::Interrupted(Interrupt { reason, replaced: false }));
        }
        if self.active.attempt > ATTEMPTS {
            return Ending::Failed(None, "the run was taken over too many times".to_owned());
        }
        let mut news = self.halt.subscribe();
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared,
            halt = halted(&mut news) => return Ending::Halted(None, halt),
        };
        let stage = match prepared {
            Ok(stage) => stage,
            Err(Unavailable(reason)) => return Ending::Failed(None, reason.to_string()),
        };
        let follows = stage.choice.model.follows_instructions();
        loop {
            let done = match self.active.next() {
                Next::Calls => {
                    let made = self.make_calls(recorder, &stage).await;
                    made.map_err(|halt| Ending::Halted(None, halt))
                }
                Next::Turn => self.take_turn(recorder, &stage, Aim::Answer).await,
                Next::LoopBreak => {
                    self.break_loop(recorder).await;
                    Ok(())
                }
                Next::Summary if follows => self.take_turn(recorder, &stage, Aim::Summary).await,
                Next::Suggestions if follows => {
                    let suggested = self.suggest(recorder, &stage).await;
                    return match suggested {
                        Ok(()) => Ending::Completed,
                        Err(halt) => Ending::Halted(None, halt),
                    };
                }
                Next::Summary | Next::Suggestions | Next::End => return Ending::Completed,
            };
            if let Err(ending) = done {
                return ending;
            }
        }
    }

    async fn prepare(&self) -> Result<Stage, Unavailable> {
        let request = &self.active.request;
        let question = prompt::question(request);
        let around = &self.reply.surroundings;
        let (owner, bases) = (&request.owner, &request.settings.knowledge_bases);
        let (history, passages, choice, place, remembered, team, own) = tokio::try_join!(
            around.history(request.conversation, self.id, HISTORY),
            async {
                if bases.is_empty() || question.trim().is_empty() {
                    return Ok(vec![]);
                }
                around.passages(owner, bases, &question).await
            },
            around.model(&request.settings),
            around.place(request, self.id),
            around.remembered(request),
            self.team(),
            around.run_tools(request),
        )?;
        let installed = self.reply.tools.clone();
        let (mut tools, toolbox) =
            offered::offered(installed, own, &place, &request.settings).await?;
        tools.extend(delegate::tool(&team));
        let background = Background { history, passages, remembered };
        let begun = AtomicUsize::new(self.active.sub_runs.len());
        Ok(Stage { choice, background, place: Arc::new(place), toolbox, tools, team, begun })
    }

    /// One turn of the model.
    ///
    /// # Errors
    /// With how the run ends, if it cannot go on.
    async fn take_turn(
        &mut self,
        recorder: &Recorder,
        stage: &Stage,
        aim: Aim,
    ) -> Result<(), Ending> {
        let (tools, wish) = match aim {
            Aim::Answer => (prompt::definitions(&stage.tools), None),
            Aim::Summary => (vec![], Some(system::SUMMARY)),
        };
        let messages = prompt::messages(&self.active, &stage.background, &tools, wish);
        let request = self.request(stage, messages, tools);
        let model = request.endpoint.model.clone();
        match self.turn(recorder, &stage.choice, request, aim).await {
            Turn::Done { said, usage } => {
                let step = (aim == Aim::Summary).then(|| "force_summary".to_owned());
                let usage = TurnUsage { model, usage, step };
                self.complete(recorder, said, usage, &stage.background).await;
                Ok(())
            }
            Turn::Failed { said, error } => Err(Ending::Failed(Some(said), error)),
            Turn::Halted { said, halt } => Err(Ending::Halted(Some(said), halt)),
        }
    }

    pub(super) fn request(
        &self,
        stage: &Stage,
        messages: Vec<Value>,
        tools: Vec<Value>,
    ) -> model::Request {
        model::Request {
            endpoint: stage.choice.endpoint.clone(),
            messages,
            tools,
            parameters: self.active.request.settings.parameters.clone(),
            passages: stage.background.passages.clone(),
            whole: false,
        }
    }

    /// Writes what completes a turn.
    async fn complete(
        &mut self,
        recorder: &Recorder,
        mut said: Said,
        usage: TurnUsage,
        background: &Background,
    ) {
        let turn = self.active.turns;
        let mut entries = Vec::new();
        if !said.spoke {
            let message_id = said.message.message_id.clone();
            entries.push(Entry::BeginTurn { turn, message_id });
        }
        // As upstream: a response without tool calls is closed by a lone newline.
        if said.message.tool_calls.is_empty() {
            let piece = match usage.step {
                None => {
                    // On the last line, because clients keep the metadata of the last one.
                    said.message.metadata = background.citations();
                    Piece::Text("\n")
                }
                Some(_) => Piece::Summary("\n"),
            };
            entries.extend(self.say(&mut said, piece).map(|line| Entry::Lines(vec![line])));
        }
        let message = Some(Box::new(said.message));
        let done = Event::TurnCompleted { turn, message: message.clone(), usage: usage.clone() };
        entries.push(Entry::CompleteTurn { turn, message, usage });
        recorder.write(entries).await;
        self.active.apply(&done);
    }

    /// Ends well: usage, end.
    fn completed(&self) -> Vec<Entry> {
        let end = Entry::End { outcome: Outcome::Completed, error: None };
        self.usage_line().into_iter().chain([end]).collect()
    }

    /// Ends badly: what was said stays, one line says what happened.
    fn failed(&self, said: Option<Said>, error: &str) -> Vec<Entry> {
        tracing::warn!(run = %self.id, error, "run failed");
        let mut entries = self.abandon(said, error);
        entries.extend(self.cancelled());
        let mut message = self.voice().message("final_answer");
        message.content = Some(format!("工作流执行失败: {error}").into());
        entries.extend(Voice::whole(&message).map(|line| Entry::Lines(vec![line])));
        entries.push(Entry::Post(Box::new(message)));
        entries.extend(self.usage_line());
        entries.push(Entry::End { outcome: Outcome::Failed, error: Some(error.to_owned()) });
        entries
    }

    /// Ends because somebody wants it.
    fn interrupted(&self, wish: &Interrupt, said: Option<Said>) -> Vec<Entry> {
        let mut entries = self.abandon(said, "interrupted");
        entries.extend(self.cancelled());
        let outcome = if wish.replaced { Outcome::Replaced } else { Outcome::Interrupted };
        entries.push(Entry::End { outcome, error: None });
        entries
    }

    fn abandon(&self, said: Option<Said>, reason: &str) -> Vec<Entry> {
        let Some(Said { message, spoke: true, .. }) = said else { return vec![] };
        let (turn, reason) = (self.active.turns, reason.to_owned());
        vec![Entry::AbandonTurn { turn, message: Some(Box::new(message)), reason }]
    }

    fn usage_line(&self) -> Option<Entry> {
        let line = self.voice().token_usage(&new_message_id(), &self.active.usage)?;
        Some(Entry::Lines(vec![line]))
    }

    fn voice(&self) -> Voice<'_> {
        Voice::of(&self.active.request)
    }
}

pub(crate) async fn halted(news: &mut watch::Receiver<Option<Halt>>) -> Halt {
    match news.wait_for(Option::is_some).await.map(|halt| halt.clone()) {
        Ok(Some(halt)) => halt,
        // The sender outlives the performance; should it be gone all the same, nobody can halt us any more.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

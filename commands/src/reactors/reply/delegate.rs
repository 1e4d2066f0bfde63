//! Gives work to other agents. Each task is a run of its own, in a session of its own, performed and taken over as any
//! other; this run follows its log and makes what is said there a part of itself. The id of such a run is derived from
//! the call, so whoever makes the call anew finds the run that is there, and what was relayed before is not relayed again.

use super::{
    Delegate,
    calls::{LONGEST, Made, arguments},
    perform::{Performance, Stage},
    recorder::{Entry, Recorder, passing},
    reports::{Report, Reports, TASKS, Task, asked, tasks},
};
use crate::{
    chat,
    effects::tools::{Outcome, Source, Tool},
    execute::{self, Error, Loaded, unpack},
};
use domain::{
    Metadata, Revision, StreamId,
    ids::{ConversationId, RunId},
    message::{Line, Message},
    run::{
        Command, Event, Interrupt, OpenCall, Outcome as RunOutcome, Parent, Relayed, Request, Run,
        TurnUsage,
    },
};
use futures::{StreamExt, future::join_all};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{borrow::Cow, sync::atomic::Ordering::Relaxed, time::Duration};
use tokio::time::{sleep, timeout};

/// The tool's name.
pub(super) const NAME: &str = "sys_delegate_task";
/// How many agents may work for each other, one below the other, beside the one that was asked.
pub(super) const DEEPEST: u32 = 2;
/// Runs that may work for one run.
const MOST: usize = 16;
/// How long a run that is told to stop may take to fall silent.
const SILENCE: Duration = Duration::from_secs(10);
/// Pause before a log that does not answer is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// The tool by which work is given to these agents; `None` when there are none.
pub(super) fn tool(team: &[Delegate]) -> Option<Tool> {
    if team.is_empty() {
        return None;
    }
    let mut description = "Gives tasks to other agents, which work on them at the same time and \
        know nothing of this conversation. Say in each task all that is needed. The agents:"
        .to_owned();
    for Delegate { key, name, description: good_for, .. } in team {
        description.push_str(&format!("\n- {key}: {name}. {good_for}"));
    }
    let keys: Vec<&str> = team.iter().map(|delegate| delegate.key.as_str()).collect();
    let task = json!({
        "type": "object",
        "properties": {
            "agent_id": {"type": "string", "enum": keys, "description": "Who shall do it."},
            "content": {"type": "string", "description": "What is to be done, with all that has to be known for it."},
        },
        "required": ["agent_id", "content"],
    });
    let parameters = json!({
        "type": "object",
        "properties": {"tasks": {"type": "array", "items": task, "minItems": 1, "maxItems": TASKS}},
        "required": ["tasks"],
    });
    // Asking again leads to the runs that are there.
    Some(Tool {
        name: NAME.to_owned(),
        description,
        parameters,
        source: Source::BuiltIn,
        idempotent: true,
        deadline: Some(LONGEST),
    })
}

/// What was heard of a run that works for this one.
#[derive(Default)]
struct Heard {
    /// The last thing it said that was no call.
    answer: String,
    outcome: Option<RunOutcome>,
    /// What it adds to this run, lines and messages left out.
    relayed: Vec<Event>,
}

impl Performance<'_> {
    /// The agents to which this run may give work.
    pub(super) async fn team(&self) -> Result<Vec<Delegate>, super::Unavailable> {
        let request = &self.active.request;
        if !request.settings.multi_agent || request.depth() >= DEEPEST {
            return Ok(vec![]);
        }
        self.reply.surroundings.team(request).await
    }

    /// Has tasks done by other agents, and tells what came of them.
    pub(super) async fn delegate(
        &self,
        recorder: &Recorder,
        stage: &Stage,
        call: &OpenCall,
        wish: &Map<String, Value>,
    ) -> Made {
        let tasks = match tasks(wish, &stage.team) {
            Ok(tasks) => tasks,
            Err(reason) => return Outcome::error(reason).into(),
        };
        // Where nothing else can be said meanwhile, every word is relayed at once; else whole messages, lest they mix.
        let calls = self.active.calls.len();
        let alone = tasks.len() == 1 && calls == 1;
        let assigned = tasks.iter().enumerate().map(|(nth, task)| async move {
            let run = self.id.delegated(&call.id, nth);
            let report = |status, result| Report { task, run, status, result };
            match self.begin(stage, call, run, task).await {
                Ok(()) => {
                    let heard = self.hear(recorder, run, alone).await;
                    let status = match heard.outcome {
                        Some(RunOutcome::Completed) => "completed",
                        Some(RunOutcome::Failed) => "failed",
                        Some(RunOutcome::Interrupted | RunOutcome::Replaced) => "interrupted",
                        None => "out of time",
                    };
                    (report(status, heard.answer), heard.relayed)
                }
                Err(reason) => (report("refused", reason), vec![]),
            }
        });
        let (reports, relayed): (Vec<_>, Vec<_>) = join_all(assigned).await.into_iter().unzip();
        Made { outcome: Reports(reports).into(), relayed: relayed.concat() }
    }

    /// Sees to it that the run is there.
    ///
    /// # Errors
    /// With a reason for the model, when it may not be.
    async fn begin(
        &self,
        stage: &Stage,
        call: &OpenCall,
        run: RunId,
        task: &Task<'_>,
    ) -> Result<(), String> {
        let command = Command::Request(Box::new(self.assignment(call, run, task)));
        let mut counted = false;
        loop {
            match Loaded::<Run>::load(&*self.reply.log, &run).await {
                Ok(found) if !matches!(found.state(), Run::Absent) => return Ok(()),
                Ok(_) => {
                    if !counted && stage.begun.fetch_add(1, Relaxed) >= MOST {
                        return Err(format!("a run may give away at most {MOST} tasks"));
                    }
                    counted = true;
                    let (seat, metadata) = (self.reply.reserve(run), self.caused());
                    let log = &*self.reply.log;
                    match execute::execute::<Run>(log, &run, &command, &metadata).await {
                        Ok(_) => {
                            self.reply.perform(seat, metadata);
                            return Ok(());
                        }
                        // Somebody else has begun it meanwhile.
                        Err(Error::Refused(_)) => return Ok(()),
                        Err(Error::Failed(failure)) if !passing(&failure) => {
                            return Err(failure.to_string());
                        }
                        Err(Error::Failed(failure)) => {
                            tracing::warn!(%run, %failure, "a task is not given away yet");
                        }
                    }
                }
                Err(failure) => tracing::warn!(%run, %failure, "a task is not given away yet"),
            }
            sleep(PAUSE).await;
        }
    }

    fn assignment(&self, call: &OpenCall, run: RunId, task: &Task<'_>) -> Request {
        let request = &self.active.request;
        let (session_id, delegate) = (run.to_string(), task.delegate);
        let message = Message {
            role: "user".to_owned(),
            content: Some(task.content.as_str().into()),
            message_id: super::new_message_id(),
            kind: "user_input".to_owned(),
            timestamp: super::lines::timestamp(),
            session_id: session_id.clone(),
            ..Message::default()
        };
        let (call, depth) = (call.id.clone(), request.depth() + 1);
        Request {
            owner: request.owner.clone(),
            conversation: ConversationId::of(&request.owner, &session_id),
            session_id,
            surface: request.surface,
            node: self.reply.node,
            agent_id: delegate.agent_id.clone(),
            agent_name: delegate.name.clone(),
            messages: vec![message],
            settings: delegate.settings.clone(),
            parent: Some(Parent { run: self.id, call, depth }),
        }
    }

    /// Relays what the run says to its end; one that takes too long is stopped.
    async fn hear(&self, recorder: &Recorder, run: RunId, alone: bool) -> Heard {
        if let Ok(heard) = timeout(LONGEST, self.follow(recorder, run, alone)).await {
            return heard;
        }
        self.stop(recorder, run, "超时").await
    }

    /// Stops the run, and relays what it still says.
    async fn stop(&self, recorder: &Recorder, run: RunId, reason: &str) -> Heard {
        let wish = Interrupt { reason: reason.to_owned(), replaced: false };
        let stopped = async {
            let told = chat::interrupt(&*self.reply.log, run, wish, &self.caused()).await;
            if let Err(failure) = told {
                tracing::warn!(%run, %failure, "a sub-agent could not be stopped");
            }
            self.follow(recorder, run, false).await
        };
        let heard = timeout(SILENCE, stopped).await;
        heard.unwrap_or_else(|_| {
            tracing::warn!(%run, "a sub-agent that was stopped is still speaking");
            Heard::default()
        })
    }

    /// Stops what still works for this run before it ends: what was said belongs to it.
    pub(super) async fn recall(&mut self, recorder: &Recorder) {
        let calls = self.active.calls.iter().filter(|call| call.name == NAME);
        let runs = calls.flat_map(|call| {
            let tasks = arguments(&call.arguments).map_or(0, |wish| asked(&wish));
            (0..tasks).map(|nth| self.id.delegated(&call.id, nth))
        });
        let runs: Vec<RunId> = runs.collect();
        let stopped = runs.into_iter().map(|run| {
            let this = &*self;
            async move {
                match Loaded::<Run>::load(&*this.reply.log, &run).await {
                    Ok(found) if !matches!(found.state(), Run::Absent) => {
                        this.stop(recorder, run, "上级任务已停止").await.relayed
                    }
                    Ok(_) => vec![],
                    Err(failure) => {
                        tracing::warn!(%run, %failure, "a sub-agent could not be stopped");
                        vec![]
                    }
                }
            }
        });
        let relayed = join_all(stopped).await.concat();
        relayed.iter().for_each(|event| self.active.apply(event));
    }

    /// Makes everything in the run's log a part of this run, up to its end. What is here already stays as it is.
    async fn follow(&self, recorder: &Recorder, run: RunId, at_once: bool) -> Heard {
        let mut heard = Heard::default();
        let mut held = Vec::new();
        let mut news = self.reply.log.follow(StreamId::of::<Run>(&run), Revision(0));
        while let Some(batch) = news.next().await {
            for recorded in &batch {
                let event = match unpack::<Run>(recorded) {
                    Ok(event) => event,
                    Err(failure) => {
                        tracing::error!(%run, %failure, "unreadable event");
                        continue;
                    }
                };
                let (lines, message, usage) = match event {
                    Event::LinesRecorded { lines, .. } => (lines, None, None),
                    Event::TurnCompleted { message, usage, .. } => (vec![], message, Some(usage)),
                    Event::TurnAbandoned { message, .. } => (vec![], message, None),
                    Event::ToolFinished { message, .. } | Event::MessagePosted(message) => {
                        (vec![], Some(message), None)
                    }
                    Event::SubRunRelayed { lines, message, usage, .. } => (lines, message, usage),
                    Event::RunEnded { outcome, .. } => {
                        heard.outcome = Some(outcome);
                        return heard;
                    }
                    _ => continue,
                };
                let usage = usage.map(|usage| TurnUsage {
                    step: usage.step.or_else(|| Some("sub_agent_execution".to_owned())),
                    ..usage
                });
                let revision = recorded.revision;
                heard.note(run, revision, message.as_deref(), usage.as_ref());
                let lines: Vec<Line> =
                    lines.into_iter().filter(|line| is_shown(line.get())).collect();
                let whole = message.is_some() || usage.is_some();
                if whole || !lines.is_empty() {
                    held.push(Entry::Relay(Relayed { run, revision, lines, message, usage }));
                }
                if (whole || at_once) && !held.is_empty() {
                    recorder.write(std::mem::take(&mut held)).await;
                }
            }
        }
        heard
    }

    /// What is done because of this run.
    fn caused(&self) -> Metadata {
        Metadata {
            actor: self.active.request.owner.clone(),
            causation: Some(self.id.0),
            ..self.metadata.clone()
        }
    }
}

impl Heard {
    fn note(
        &mut self,
        run: RunId,
        revision: Revision,
        message: Option<&Message>,
        usage: Option<&TurnUsage>,
    ) {
        let own = |message: &&Message| {
            message.session_id == run.to_string()
                && message.role == "assistant"
                && message.tool_calls.is_empty()
                && matches!(message.kind.as_str(), "do_subtask_result" | "final_answer")
                && !message.metadata.contains_key("superseded")
        };
        if let Some(message) = message.filter(own) {
            self.answer = message.text().trim().to_owned();
        }
        if let Some(usage) = usage {
            self.relayed.push(Event::SubRunRelayed {
                run,
                revision,
                first: 0,
                lines: vec![],
                message: None,
                usage: Some(usage.clone()),
            });
        }
    }
}

/// The costs of a run are counted by the run it works for, and its end is not the end of that.
fn is_shown(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Typed<'_>>(line)
        .is_ok_and(|line| !matches!(&*line.kind, "token_usage" | "stream_end"))
}

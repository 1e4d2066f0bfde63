//! Gives work to other agents. Each task is a run of its own, in a session of its own, performed and taken over as any
//! other; this run follows its log and makes what is said there a part of itself. The id of such a run is derived from
//! the call, so whoever makes the call anew finds the run that is there, and what was relayed before is not relayed again.

use super::{
    Delegate,
    calls::{LONGEST, Made},
    perform::{Performance, Stage},
    recorder::{Recorder, passing},
    reports::{Report, Reports, TASKS, Task, tasks},
};
use crate::{
    effects::tools::{Outcome, Source, Tool},
    execute::{self, Error, Failure, Loaded},
};
use domain::{
    Metadata,
    ids::{ConversationId, RunId},
    message::Message,
    run::{Command, OpenCall, Outcome as RunOutcome, Parent, Request, Run},
};
use futures::future::join_all;
use serde_json::{Map, Value, json};
use std::{sync::atomic::Ordering::Relaxed, time::Duration};
use tokio::time::sleep;

/// The tool's name.
pub(super) const NAME: &str = "sys_delegate_task";
/// How many agents may work for each other, one below the other, beside the one that was asked.
pub(super) const DEEPEST: u32 = 2;
/// Runs that may work for one run.
const MOST: usize = 16;
/// Why a run is stopped whose work nobody waits for any more.
pub(super) const STOPPED: &str = "上级任务已停止";
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
            let session_id = self.session_of(run, task);
            let report = |status, result| Report { task, session_id, status, result };
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
                    match self.commission(run, &command).await {
                        Ok(()) => return Ok(()),
                        Err(failure) if !passing(&failure) => return Err(failure.to_string()),
                        Err(failure) => {
                            tracing::warn!(%run, %failure, "a task is not given away yet");
                        }
                    }
                }
                Err(failure) => tracing::warn!(%run, %failure, "a task is not given away yet"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Requests the run and has it performed here, both or neither, also when nobody waits for it any more.
    async fn commission(&self, run: RunId, command: &Command) -> Result<(), Failure> {
        let (reply, command, metadata) = (self.reply.clone(), command.clone(), self.caused());
        let requested = tokio::spawn(async move {
            let seat = reply.reserve(run);
            match execute::execute::<Run>(&*reply.log, &run, &command, &metadata).await {
                Ok(_) => reply.perform(seat, metadata),
                // Somebody else has begun it meanwhile.
                Err(Error::Refused(_)) => {}
                Err(Error::Failed(failure)) => return Err(failure),
            }
            Ok(())
        });
        match requested.await {
            Ok(requested) => requested,
            Err(error) => Err(Failure::Unencodable(error.to_string().into())),
        }
    }

    /// The session of a task: its own, under the name the model gave it, if that is not this run's.
    fn session_of(&self, run: RunId, task: &Task<'_>) -> String {
        let named = task.session.as_ref().filter(|id| **id != self.active.request.session_id);
        named.cloned().unwrap_or_else(|| run.to_string())
    }

    fn assignment(&self, call: &OpenCall, run: RunId, task: &Task<'_>) -> Request {
        let request = &self.active.request;
        let (session_id, delegate) = (self.session_of(run, task), task.delegate);
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
            // Of its own, whatever session the model named: no task gets into a conversation of the person.
            conversation: ConversationId::of(&request.owner, &run.to_string()),
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

    /// Whether the run works for one that is over: nobody will hear of it.
    pub(super) async fn works_for_nobody(&self) -> bool {
        let Some(parent) = &self.active.request.parent else { return false };
        match Loaded::<Run>::load_ends(&*self.reply.log, &parent.run).await {
            Ok(parent) => matches!(parent.state(), Run::Ended { .. }),
            Err(failure) => {
                tracing::warn!(run = %self.id, %failure, "it is not known for whom a run works");
                false
            }
        }
    }

    /// What is done because of this run.
    pub(super) fn caused(&self) -> Metadata {
        Metadata {
            actor: self.active.request.owner.clone(),
            causation: Some(self.id.0),
            ..self.metadata.clone()
        }
    }
}

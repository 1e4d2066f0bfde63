//! Makes what the runs of sub-agents say a part of the run they work for.

use super::{
    calls::{LONGEST, arguments},
    delegate::{NAME, STOPPED},
    perform::Performance,
    recorder::{Entry, Recorder},
    reports::asked,
};
use crate::{
    chat,
    execute::{Loaded, unpack},
};
use domain::{
    Revision, StreamId,
    ids::RunId,
    message::{Line, Message},
    run::{Event, Interrupt, Outcome, Relayed, Run, TurnUsage},
};
use futures::{StreamExt, future::join_all};
use serde::Deserialize;
use std::{borrow::Cow, time::Duration};
use tokio::time::timeout;

/// How long a run that is told to stop may take to fall silent.
const SILENCE: Duration = Duration::from_secs(10);

/// What was heard of a run that works for this one.
#[derive(Default)]
pub(super) struct Heard {
    /// The last thing it said that was no call.
    pub answer: String,
    pub outcome: Option<Outcome>,
    session_id: String,
    /// What it adds to this run, lines and messages left out.
    pub relayed: Vec<Event>,
}

impl Performance<'_> {
    /// Relays what the run says to its end; one that takes too long is stopped.
    pub(super) async fn hear(&self, recorder: &Recorder, run: RunId, alone: bool) -> Heard {
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
                        this.stop(recorder, run, STOPPED).await.relayed
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
                    Event::RunRequested(request) => {
                        heard.session_id = request.session_id;
                        continue;
                    }
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
            message.session_id == self.session_id
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

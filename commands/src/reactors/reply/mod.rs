//! Performs runs: asks the model, calls the tools it asks for, records everything line by line, and ends every run exactly
//! once.

mod budget;
mod calls;
mod closing;
mod delegate;
pub(crate) mod lines;
mod offered;
pub(crate) mod perform;
mod pieces;
mod prompt;
pub(crate) mod recorder;
mod relay;
mod reports;
mod results;
mod system;
mod takeover;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;
mod turn;

use crate::{
    app_runs::{Workshop, perform::AppPerformance},
    apps::secrets::Hidden,
    effects::{
        model::{Endpoint, Model, Passage},
        tools::{Place, Tools},
    },
    execute::Loaded,
    genie_chat::{Desk, perform::ChatPerformance},
    log::{EventLog, Filter},
    pulse, trace,
};
use domain::{
    Metadata, Position,
    ids::{AgentId, ConversationId, KnowledgeBaseId, NodeId, RunId, UserId},
    message::Message,
    run::{Active, Event, Request, Run, Settings},
};
use futures::{StreamExt, future::BoxFuture};
use recorder::Halt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

/// What a performer needs from elsewhere, behind one object so that `commands` knows no read model.
pub trait Surroundings: Send + Sync {
    /// The last `limit` messages of the conversation before `run`, oldest first.
    fn history<'a>(
        &'a self,
        conversation: ConversationId,
        run: RunId,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Message>, Unavailable>>;

    /// What the owner's knowledge bases say about `query`, best first. Bases that are not the owner's are left out.
    fn passages<'a>(
        &'a self,
        owner: &'a UserId,
        bases: &'a [KnowledgeBaseId],
        query: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Passage>, Unavailable>>;

    /// The model for these settings.
    fn model<'a>(&'a self, settings: &'a Settings) -> BoxFuture<'a, Result<Choice, Unavailable>>;

    /// Where the run's tools are called: for whom, with which of the attached things that are really theirs.
    fn place<'a>(
        &'a self,
        request: &'a Request,
        run: RunId,
    ) -> BoxFuture<'a, Result<Place, Unavailable>>;

    /// The agents to which this run may give work, as far as its owner may use them.
    fn team<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Vec<Delegate>, Unavailable>>;

    /// The tools that the run has for itself; `None` when it has none.
    fn run_tools<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Tools>>, Unavailable>>;

    /// What the owner's other conversations were about, newest first; empty unless the run asks for it.
    fn remembered<'a>(
        &'a self,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Vec<String>, Unavailable>>;

    /// What the steps of apps work with; `None` where none are run.
    fn workshop(&self) -> Option<Workshop> {
        None
    }

    /// What the assistant of chats works with; `None` where there is none.
    fn desk(&self) -> Option<Desk> {
        None
    }

    /// Runs that go on under a node that is gone, or under this one; with the node, as far as is known.
    fn orphans(&self) -> BoxFuture<'_, Result<Vec<(RunId, NodeId)>, Unavailable>>;
}

/// Something a performer needs cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub Arc<str>);

/// A model and where it answers.
#[derive(Clone)]
pub struct Choice {
    /// The client.
    pub model: Arc<dyn Model>,
    /// Where, with which key and model name.
    pub endpoint: Endpoint,
}

/// An agent to which a run may give work.
#[derive(Debug, Clone)]
pub struct Delegate {
    /// As the model names it; unique among those of its run.
    pub key: String,
    /// For people; lines carry it.
    pub name: String,
    /// What it is good for.
    pub description: String,
    /// The saved agent it is.
    pub agent_id: Option<AgentId>,
    /// How it works.
    pub settings: Settings,
}

/// The reactor. Cheap to share.
pub struct Reply {
    log: Arc<dyn EventLog>,
    node: NodeId,
    surroundings: Arc<dyn Surroundings>,
    tools: Arc<dyn Tools>,
    performing: Mutex<HashMap<RunId, Arc<watch::Sender<Option<Halt>>>>>,
    tasks: TaskTracker,
}

impl Reply {
    /// A reactor that performs runs as `node`; their models may call `tools`.
    pub fn new(
        log: Arc<dyn EventLog>,
        node: NodeId,
        surroundings: Arc<dyn Surroundings>,
        tools: Arc<dyn Tools>,
    ) -> Arc<Self> {
        let performing = Mutex::default();
        Arc::new(Self { log, node, surroundings, tools, performing, tasks: TaskTracker::new() })
    }

    /// Runs performed here right now.
    pub fn performing(&self) -> usize {
        self.lock().len()
    }

    /// Whether no new runs are taken.
    pub fn is_draining(&self) -> bool {
        self.tasks.is_closed()
    }

    /// Announces that this node is about to become the performer of `run`, so that it is not mistaken for a run that
    /// nobody performs between its first event and [`Reply::perform`].
    pub fn reserve(self: &Arc<Self>, run: RunId) -> Seat {
        let halt = Arc::new(watch::Sender::new(None));
        if self.lock().insert(run, halt.clone()).is_some() {
            tracing::error!(%run, "performed twice by the same node");
        }
        Seat { reply: self.clone(), run, halt }
    }

    /// Whether `run` is performed here, or about to be.
    fn is_seated(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// Performs a run that names this node as its performer, in the background. Does nothing while draining: the run
    /// stays in the log and another node takes it over.
    pub fn perform(self: &Arc<Self>, seat: Seat, metadata: Metadata) {
        if self.tasks.is_closed() {
            return;
        }
        // The task is none of the caller's spans, but a child of the one it is in.
        let traceparent = trace::or_current(metadata.traceparent);
        let metadata = Metadata { traceparent, ..metadata };
        pulse::RUNS_PERFORMED.add(1);
        let this = self.clone();
        self.tasks.spawn(async move {
            let (run, halt) = (seat.run, seat.halt.clone());
            if let Err(failure) = this.run(run, metadata, halt).await {
                tracing::error!(%run, %failure, "run cannot be performed now");
            }
            drop(seat);
        });
    }

    /// Listens for interrupts and take-overs of the runs performed here. Never returns.
    pub async fn listen(self: Arc<Self>, from: Position) {
        let wanted = Filter::categories(&["run"]).kinds(&["InterruptRequested", "RunClaimed"]);
        let mut news = self.log.subscribe(from, wanted);
        while let Some(delivery) = news.next().await {
            for recorded in &delivery.events {
                let Ok(run) = recorded.stream.key().parse::<RunId>() else { continue };
                let Some(halt) = self.lock().get(&run).cloned() else { continue };
                match crate::execute::unpack::<Run>(recorded) {
                    Ok(Event::InterruptRequested(wish)) => {
                        halt.send_if_modified(|halt| {
                            let first = halt.is_none();
                            if first {
                                *halt = Some(Halt::Interrupted(wish));
                            }
                            first
                        });
                    }
                    Ok(Event::RunClaimed { node, .. }) if node != self.node => {
                        halt.send_replace(Some(Halt::Lost));
                    }
                    Ok(_) => {}
                    Err(failure) => tracing::error!(%run, %failure, "unreadable event"),
                }
            }
        }
    }

    /// Stops taking runs and lets go of those performed here, so that another node, or this one after its restart,
    /// goes on with them. Waits until all that was said is recorded, at most until `deadline`.
    pub async fn drain(&self, deadline: Duration) {
        self.tasks.close();
        for halt in self.lock().values() {
            halt.send_replace(Some(Halt::Draining));
        }
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!(runs = self.performing(), "left runs in the middle of a line");
        }
    }

    async fn run(
        self: &Arc<Self>,
        id: RunId,
        metadata: Metadata,
        halt: Arc<watch::Sender<Option<Halt>>>,
    ) -> Result<(), crate::execute::Failure> {
        let run = Loaded::<Run>::load(&*self.log, &id).await?;
        if let Run::Active(active) = run.state()
            && active.node == self.node
        {
            let active = (**active).clone();
            let span = span(id, &active, &metadata);
            self.play(run, id, active, metadata, halt).instrument(span).await;
        }
        Ok(())
    }

    async fn play(
        self: &Arc<Self>,
        run: Loaded<Run>,
        id: RunId,
        active: Active,
        metadata: Metadata,
        halt: Arc<watch::Sender<Option<Halt>>>,
    ) {
        let (log, around, node) = (self.log.clone(), self.surroundings.clone(), self.node);
        if active.request.settings.app.is_some() {
            let hidden = Hidden::default();
            let performance = AppPerformance { log, around, node, id, active, halt, hidden };
            performance.play(run, metadata).await;
        } else if active.request.settings.chat.is_some() {
            let said = String::new();
            let performance =
                ChatPerformance { log, around, node, id, active, halt, said, metadata };
            performance.play(run).await;
        } else {
            perform::Performance { reply: self, id, active, metadata, halt }.play(run).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<watch::Sender<Option<Halt>>>>> {
        // Nothing panics while holding it, and a map stays whole even if something did.
        self.performing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run's place among those performed here, until it is dropped. A run that goes on in the log without one is taken up
/// again by [`Reply::take_over_orphans`].
pub struct Seat {
    reply: Arc<Reply>,
    run: RunId,
    halt: Arc<watch::Sender<Option<Halt>>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.reply.lock().remove(&self.run);
    }
}

/// The span of one performance, below the one that caused it, wherever that was.
fn span(id: RunId, active: &Active, metadata: &Metadata) -> Span {
    let request = &active.request;
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "invoke_agent",
        otel.name = format!("invoke_agent {}", request.agent_name).trim_end(),
        otel.kind = "internal",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = request.agent_name,
        gen_ai.agent.id = request.agent_id.as_ref().map(|id| id.as_str()),
        gen_ai.conversation.id = %request.conversation,
        annals.run.id = %id,
        annals.run.attempt = i64::from(active.attempt),
        annals.run.outcome = field::Empty,
        otel.status_code = field::Empty,
    );
    trace::adopt(&span, metadata.traceparent.as_deref());
    span
}

fn new_message_id() -> String {
    Uuid::new_v4().to_string()
}

//! Begins a run of an app in a session, which takes one run after the other.

use crate::{
    app_runs::catalogue,
    chat::{is_over, wait_for_end},
    execute::{self, Failure},
    log::{AppendError, EventLog, LARGEST_EVENT},
    reactors::reply::Reply,
};
use chrono::{TimeDelta, Utc};
use domain::{
    Metadata, StreamId,
    app::Definition,
    app_session::{self, AppSession},
    ids::{ConversationId, NodeId, RunId, UserId},
    run::{self, AppTurn, ChosenProvider, Request, Run, Settings, Surface},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

/// How long a run waits for those before it in its session.
const QUEUE: Duration = Duration::from_secs(120);
/// Runs of this process that may wait for their session.
static WAITING: Semaphore = Semaphore::const_new(256);
/// Most bytes of a request; the event's metadata need some, too.
const LARGEST: usize = LARGEST_EVENT - (64 << 10);

/// A run that somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who.
    pub caller: UserId,
    /// The session id, as the client chose it.
    pub session_id: String,
    /// What is run, on what.
    pub turn: AppTurn,
    /// Whose models answer; `None` for the operator's.
    pub provider: Option<ChosenProvider>,
    /// How long the session remembers.
    pub lifetime: TimeDelta,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The app has steps that nothing here performs.
    #[error("Unsupported processor {}", .0.join(", "))]
    Unsupported(Vec<String>),
    /// The session is busy, and so is the queue before it.
    #[error("the session is busy")]
    Busy,
    /// The node takes no new runs.
    #[error("the server is shutting down")]
    Draining,
    /// The machine failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Begins a run on this node, as soon as its session is free.
///
/// # Errors
/// As [`RunError`].
pub async fn begin(
    log: &dyn EventLog,
    reply: &Arc<Reply>,
    node: NodeId,
    wish: Wish,
    metadata: &Metadata,
) -> Result<RunId, RunError> {
    if reply.is_draining() {
        return Err(RunError::Draining);
    }
    supported(&wish.turn.definition)?;
    let run = RunId(Uuid::now_v7());
    let request = Box::new(request(&wish, node));
    fits(&request)?;
    take_the_session(log, &wish, run, metadata).await?;
    let seat = reply.reserve(run);
    let command = run::Command::Request(request);
    execute::execute::<Run>(log, &run, &command, metadata).await.map_err(|error| match error {
        execute::Error::Failed(failure) => failure,
        // The id is new, so nobody can have requested it.
        execute::Error::Refused(_) => Failure::Contended(StreamId::of::<Run>(&run)),
    })?;
    reply.perform(seat, metadata.clone());
    Ok(run)
}

/// Whether everything in this definition is performed here.
fn supported(definition: &Definition) -> Result<(), RunError> {
    let mut unknown: Vec<String> = Vec::new();
    for step in &definition.processors {
        let slug = step.slug();
        if catalogue::find(&step.provider_slug, &step.processor_slug).is_none()
            && !unknown.contains(&slug)
        {
            unknown.push(slug);
        }
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(RunError::Unsupported(unknown)),
    }
}

fn request(wish: &Wish, node: NodeId) -> Request {
    let Wish { caller, session_id, turn, provider, .. } = wish;
    let app = Some(Box::new(turn.clone()));
    let provider = provider.clone();
    let steps = turn.definition.config.get("max_steps").and_then(serde_json::Value::as_u64);
    let steps = u32::try_from(steps.unwrap_or(10)).unwrap_or(100).clamp(1, 100);
    let max_loop_count = turn.definition.is_agent().then_some(steps);
    Request {
        owner: caller.clone(),
        conversation: ConversationId(turn.session.0),
        session_id: session_id.clone(),
        surface: Surface::LlmStack,
        node,
        agent_id: None,
        agent_name: turn.definition.name.clone(),
        parent: None,
        messages: vec![],
        settings: Settings { app, provider, max_loop_count, ..Settings::default() },
    }
}

fn fits(request: &Request) -> Result<(), Failure> {
    let stored = serde_json::to_vec(request)
        .map_err(|error| Failure::Unencodable(error.to_string().into()))?;
    match stored.len() > LARGEST {
        true => Err(Failure::Append(AppendError::TooLarge { limit: LARGEST })),
        false => Ok(()),
    }
}

/// Waits until no other run works in the session.
async fn take_the_session(
    log: &dyn EventLog,
    wish: &Wish,
    run: RunId,
    metadata: &Metadata,
) -> Result<(), RunError> {
    let deadline = Instant::now() + QUEUE;
    let id = wish.turn.session;
    let mut over = None;
    let mut waiting = None;
    loop {
        let command = app_session::Command::Begin {
            app: wish.turn.app,
            caller: wish.caller.clone(),
            session_id: wish.session_id.clone(),
            run,
            at: Utc::now(),
            lifetime: wish.lifetime,
            over,
        };
        let other = match execute::execute::<AppSession>(log, &id, &command, metadata).await {
            Ok(_) => return Ok(()),
            Err(execute::Error::Refused(app_session::Refusal::Busy(other))) => other,
            Err(execute::Error::Refused(_)) => return Err(RunError::Busy),
            Err(execute::Error::Failed(failure)) => return Err(failure.into()),
        };
        if waiting.is_none() {
            waiting = Some(WAITING.try_acquire().map_err(|_| RunError::Busy)?);
        }
        if !is_over(log, other).await? {
            let end = wait_for_end(log, other, QUEUE);
            if !timeout_at(deadline, end).await.unwrap_or(false) {
                return Err(RunError::Busy);
            }
        }
        over = Some(other);
    }
}

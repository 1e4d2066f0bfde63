//! Begins a run of an app in a session, which takes one run after the other.

use crate::{
    app_runs::catalogue,
    chat::{fits, launch},
    execute::{self, Failure},
    line::{self, TooLong},
    log::EventLog,
    reactors::reply::Reply,
};
use chrono::{TimeDelta, Utc};
use domain::{
    Metadata,
    app::Definition,
    app_session::{self, AppSession},
    ids::{ConversationId, NodeId, RunId, UserId},
    run::{AppTurn, ChosenProvider, Request, Settings, Surface},
};
use std::sync::Arc;
use uuid::Uuid;

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

impl From<TooLong> for RunError {
    fn from(_: TooLong) -> Self {
        Self::Busy
    }
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
    launch(log, reply, run, request, metadata).await?;
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

/// Waits until no other run works in the session.
async fn take_the_session(
    log: &dyn EventLog,
    wish: &Wish,
    run: RunId,
    metadata: &Metadata,
) -> Result<(), RunError> {
    let id = wish.turn.session;
    let begin = |over| async move {
        let command = app_session::Command::Begin {
            app: wish.turn.app,
            caller: wish.caller.clone(),
            session_id: wish.session_id.clone(),
            run,
            at: Utc::now(),
            lifetime: wish.lifetime,
            over,
        };
        match execute::execute::<AppSession>(log, &id, &command, metadata).await {
            Ok(_) => Ok(None),
            Err(execute::Error::Refused(app_session::Refusal::Busy(other))) => Ok(Some(other)),
            Err(execute::Error::Refused(_)) => Err(RunError::Busy),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    };
    line::stand(log, begin).await
}

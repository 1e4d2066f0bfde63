//! Asking: a message becomes a run that has the floor in its conversation.

use crate::{
    execute::{self, Failure, Loaded},
    log::{AppendError, EventLog, LARGEST_EVENT},
    reactors::reply::Reply,
};
use domain::{
    Metadata, Position, Revision, StreamId,
    conversation::{self, Conversation, OpenRun},
    ids::{AgentId, ConversationId, NodeId, RunId, UserId},
    message::Message,
    prompt_text::title,
    run::{self, Interrupt, Request, Run, Settings, Surface},
};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use uuid::Uuid;

/// How long a run that takes the floor waits for the one before to fall silent.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a run that was given the floor may take to appear in the log before it counts as never begun.
const APPEARANCE: Duration = Duration::from_secs(2);
/// Most bytes of a request; the event's metadata need some, too.
const LARGEST: usize = LARGEST_EVENT - (64 << 10);
/// How often the floor is asked for while other requests change it.
const ATTEMPTS: usize = 8;

/// A message somebody sends.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Who asks.
    pub owner: UserId,
    /// The session id the client chose.
    pub session_id: String,
    /// Through which door.
    pub surface: Surface,
    /// Whether a run that still has the floor is stopped; otherwise the request is refused.
    pub replace: bool,
    /// The agent spoken to.
    pub agent_id: Option<AgentId>,
    /// Its name.
    pub agent_name: String,
    /// What is said; not empty.
    pub messages: Vec<Message>,
    /// How the agent shall work.
    pub settings: Settings,
}

/// Why an ask led to nothing.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A run has the floor and was not to be replaced.
    #[error("a run is still going on in this session")]
    Busy,
    /// The node takes no new runs.
    #[error("the server is shutting down")]
    Draining,
    /// The machine failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A run that was begun.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// The run.
    pub run: RunId,
    /// Position of its request in the log.
    pub position: Position,
}

/// Begins a run on this node.
///
/// # Errors
/// [`AskError::Busy`] when the session's last run is not over and may not be replaced.
pub async fn ask(
    log: &dyn EventLog,
    reply: &Arc<Reply>,
    node: NodeId,
    ask: Ask,
    metadata: &Metadata,
) -> Result<Begun, AskError> {
    if reply.is_draining() {
        return Err(AskError::Draining);
    }
    let conversation = ConversationId::of(&ask.owner, &ask.session_id);
    let run = RunId(Uuid::now_v7());
    let opening = opening(&ask, run);
    let request = Request {
        owner: ask.owner,
        conversation,
        session_id: ask.session_id,
        surface: ask.surface,
        node,
        agent_id: ask.agent_id,
        agent_name: ask.agent_name,
        messages: ask.messages,
        settings: ask.settings,
        parent: None,
    };
    let request = Box::new(request);
    // Before the floor is taken: nobody waits for a run that the log will not hold.
    fits(&request)?;
    take_the_floor(log, conversation, opening, ask.replace, metadata).await?;
    let position = launch(log, reply, run, request, metadata).await?;
    Ok(Begun { run, position: position.unwrap_or(Position::START) })
}

/// Writes the request of a new run and performs it here.
pub(crate) async fn launch(
    log: &dyn EventLog,
    reply: &Arc<Reply>,
    run: RunId,
    request: Box<Request>,
    metadata: &Metadata,
) -> Result<Option<Position>, Failure> {
    let seat = reply.reserve(run);
    let command = run::Command::Request(request);
    let decided = execute::execute::<Run>(log, &run, &command, metadata).await;
    let decided = decided.map_err(|error| match error {
        execute::Error::Failed(failure) => failure,
        // The id is new, so nobody can have requested it.
        execute::Error::Refused(_) => Failure::Contended(StreamId::of::<Run>(&run)),
    })?;
    reply.perform(seat, metadata.clone());
    Ok(decided.position)
}

/// Stops a run. Stopping one that is over changes nothing.
///
/// # Errors
/// When the log does not answer.
pub async fn interrupt(
    log: &dyn EventLog,
    run: RunId,
    interrupt: Interrupt,
    metadata: &Metadata,
) -> Result<(), Failure> {
    match execute::execute::<Run>(log, &run, &run::Command::Interrupt(interrupt), metadata).await {
        Ok(_) | Err(execute::Error::Refused(_)) => Ok(()),
        Err(execute::Error::Failed(failure)) => Err(failure),
    }
}

/// Waits until the run is over, at most `within`. Whether it is.
pub async fn wait_for_end(log: &dyn EventLog, run: RunId, within: Duration) -> bool {
    let over = async {
        let mut events = log.follow(StreamId::of::<Run>(&run), Revision(0));
        while let Some(batch) = events.next().await {
            if batch.iter().any(|event| &*event.kind == "RunEnded") {
                return;
            }
        }
    };
    timeout(within, over).await.is_ok()
}

fn opening(ask: &Ask, run: RunId) -> OpenRun {
    OpenRun {
        owner: ask.owner.clone(),
        session_id: ask.session_id.clone(),
        title: title_of(&ask.messages),
        agent_id: ask.agent_id.clone(),
        agent_name: ask.agent_name.clone(),
        run,
        replace: false,
        over: None,
    }
}

/// Whether the log will hold the request. Stored JSON may be longer than what was sent: `1e15` becomes
/// `1000000000000000.0`.
pub(crate) fn fits(request: &Request) -> Result<(), Failure> {
    let stored = serde_json::to_vec(request)
        .map_err(|error| Failure::Unencodable(error.to_string().into()))?;
    if stored.len() > LARGEST {
        return Err(Failure::Append(AppendError::TooLarge { limit: LARGEST }));
    }
    Ok(())
}

async fn take_the_floor(
    log: &dyn EventLog,
    id: ConversationId,
    mut wish: OpenRun,
    replace: bool,
    metadata: &Metadata,
) -> Result<(), AskError> {
    for _ in 0..ATTEMPTS {
        let command = conversation::Command::OpenRun(Box::new(wish.clone()));
        match execute::execute::<Conversation>(log, &id, &command, metadata).await {
            Ok(_) => return Ok(()),
            Err(execute::Error::Failed(failure)) => return Err(failure.into()),
            Err(execute::Error::Refused(conversation::Refusal::Busy(other))) => {
                if is_over(log, other).await? {
                    wish.over = Some(other);
                } else if replace {
                    silence(log, other, metadata).await?;
                    wish.replace = true;
                } else {
                    return Err(AskError::Busy);
                }
            }
            // Opening a run is refused for no other reason.
            Err(execute::Error::Refused(_)) => return Err(AskError::Busy),
        }
    }
    Err(AskError::Busy)
}

/// Tells a run that another one takes the floor, and waits for its end: what it said belongs before what follows.
async fn silence(log: &dyn EventLog, run: RunId, metadata: &Metadata) -> Result<(), Failure> {
    let wish =
        Interrupt { reason: "同会话重入，先中断旧会话".to_owned(), replaced: true };
    interrupt(log, run, wish, metadata).await?;
    if !wait_for_end(log, run, SILENCE).await {
        tracing::warn!(%run, "a replaced run is still speaking");
    }
    Ok(())
}

/// Whether the run is over, or never came to be.
pub(crate) async fn is_over(log: &dyn EventLog, run: RunId) -> Result<bool, Failure> {
    match Loaded::<Run>::load(log, &run).await?.state() {
        Run::Active(_) => Ok(false),
        Run::Ended { .. } => Ok(true),
        // Given the floor a moment ago, or by a node that died right after.
        Run::Absent => {
            let mut events = log.follow(StreamId::of::<Run>(&run), Revision(0));
            let _appeared_or_never_will = timeout(APPEARANCE, events.next()).await;
            let run = Loaded::<Run>::load(log, &run).await?;
            Ok(!matches!(run.state(), Run::Active(_)))
        }
    }
}

fn title_of(messages: &[Message]) -> String {
    match messages.first().map(|message| title(&message.text())) {
        Some(title) if !title.is_empty() => title,
        _ => "新会话".to_owned(),
    }
}

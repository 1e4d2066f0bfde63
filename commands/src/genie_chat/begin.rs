//! Begins a run in a chat, which answers one message after the other.

use super::prompt;
use crate::{
    chat::{fits, launch},
    execute::{self, Failure},
    line::{self, TooLong},
    log::EventLog,
    reactors::reply::{Reply, lines::timestamp},
};
use domain::{
    Metadata,
    genie_chat::{Busy, Command, GenieChat},
    ids::{ChatId, ConversationId, NodeId, RunId, UserId},
    message::Message,
    run::{ChatTurn, Request, Settings, Surface},
};
use std::sync::Arc;
use uuid::Uuid;

/// What the assistant is called.
const NAME: &str = "Genie";

/// A message somebody sends.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who.
    pub owner: UserId,
    /// The session id, as the client chose it.
    pub session_id: String,
    /// What they say.
    pub message: String,
    /// What is known of them.
    pub turn: ChatTurn,
    /// Who answers, and how.
    pub settings: Settings,
}

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Too many messages wait for their turn, or the one in front takes too long.
    #[error("another answer is still being given in this chat")]
    Busy,
    /// The node takes no new runs.
    #[error("the server is shutting down")]
    Draining,
    /// The machine failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<TooLong> for ChatError {
    fn from(_: TooLong) -> Self {
        Self::Busy
    }
}

/// Begins a run on this node, as soon as nobody else speaks in the chat.
///
/// # Errors
/// As [`ChatError`].
pub async fn begin(
    log: &dyn EventLog,
    reply: &Arc<Reply>,
    node: NodeId,
    wish: Wish,
    metadata: &Metadata,
) -> Result<RunId, ChatError> {
    if reply.is_draining() {
        return Err(ChatError::Draining);
    }
    let (chat, run) = (ChatId::of(&wish.owner, &wish.session_id), RunId(Uuid::now_v7()));
    let request = Box::new(request(&wish, chat, node));
    fits(&request)?;
    let (owner, session_id) = (&wish.owner, &wish.session_id);
    let enter = |over| async move {
        let (owner, session_id) = (owner.clone(), session_id.clone());
        let command = Command { owner, session_id, run, gate: wish.turn.gate, over };
        match execute::execute::<GenieChat>(log, &chat, &command, metadata).await {
            Ok(_) => Ok(None),
            Err(execute::Error::Refused(Busy(other))) => Ok(Some(other)),
            Err(execute::Error::Failed(failure)) => Err(ChatError::from(failure)),
        }
    };
    line::stand(log, enter).await?;
    launch(log, reply, run, request, metadata).await?;
    Ok(run)
}

fn request(wish: &Wish, chat: ChatId, node: NodeId) -> Request {
    let kind = match wish.turn.gate {
        None => prompt::ASKED,
        Some(_) => prompt::GATED,
    };
    let message = Message {
        role: "user".to_owned(),
        content: Some(wish.message.as_str().into()),
        message_id: Uuid::new_v4().to_string(),
        kind: kind.to_owned(),
        timestamp: timestamp(),
        session_id: wish.session_id.clone(),
        ..Message::default()
    };
    let chat_turn = Some(Box::new(wish.turn.clone()));
    Request {
        owner: wish.owner.clone(),
        conversation: ConversationId(chat.0),
        session_id: wish.session_id.clone(),
        surface: Surface::Genie,
        node,
        agent_id: None,
        agent_name: NAME.to_owned(),
        parent: None,
        messages: vec![message],
        settings: Settings { chat: chat_turn, ..wish.settings.clone() },
    }
}

//! Read model: conversations with their runs and messages, as the chat screens show them.
//!
//! Lines of running turns are not projected: a turn's message is inserted when the turn is over, and a reader who wants
//! the turn in flight folds the run's own stream.

mod queries;

use crate::{ApplyError, Projection};
use chrono::{DateTime, Utc};
use domain::{
    Recorded, codec, conversation,
    ids::{ConversationId, RunId},
    message::Message,
    run::{self, Outcome},
};
use futures::future::BoxFuture;
pub use queries::{
    Conversation, Found, Listing, Page, RunRow, Snapshot, Sort, going_on, history, latest_run,
    listed, orphans, run, snapshot,
};
use sqlx::PgConnection;
use uuid::Uuid;

/// The projection.
pub struct Conversations;

impl Projection for Conversations {
    fn name(&self) -> &'static str {
        "conversations"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["conversations", "runs", "messages"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &["conversation", "run"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            "ConversationStarted",
            "RunOpened",
            "ConversationRenamed",
            "ConversationDeleted",
            "RunRequested",
            "RunClaimed",
            "TurnCompleted",
            "TurnAbandoned",
            "MessagePosted",
            "RunEnded",
        ]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        event: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let Ok(id) = event.stream.key().parse::<Uuid>() else { return Ok(()) };
            match event.stream.category() {
                "conversation" => apply_conversation(db, event, ConversationId(id)).await,
                _ => apply_run(db, event, RunId(id)).await,
            }
        })
    }
}

async fn apply_conversation(
    db: &mut PgConnection,
    recorded: &Recorded,
    id: ConversationId,
) -> Result<(), ApplyError> {
    use conversation::Event;
    let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
        Event::ConversationStarted { owner, session_id, title, agent_id, agent_name } => {
            sqlx::query(
                "insert into conversations (conversation_id, owner, session_id, title, agent_id,
                     agent_name, created_at, updated_at, revision)
                 values ($1, $4, $5, $6, $7, $8, $2, $2, $3)",
            )
            .bind(id.0)
            .bind(recorded.recorded_at)
            .bind(revision(recorded))
            .bind(owner.0)
            .bind(session_id)
            .bind(storable(&title))
            .bind(agent_id.map(|agent| agent.0))
            .bind(storable(&agent_name))
        }
        Event::RunOpened { .. } => sqlx::query(
            "update conversations set updated_at = $2, revision = $3 where conversation_id = $1",
        )
        .bind(id.0)
        .bind(recorded.recorded_at)
        .bind(revision(recorded)),
        Event::ConversationRenamed { title } => sqlx::query(
            "update conversations set title = $4, updated_at = $2, revision = $3
             where conversation_id = $1",
        )
        .bind(id.0)
        .bind(recorded.recorded_at)
        .bind(revision(recorded))
        .bind(storable(&title)),
        Event::ConversationDeleted {} => sqlx::query(
            "with told as (delete from messages where conversation_id = $1),
                  forgotten as (update runs set forgotten = true where conversation_id = $1)
             delete from conversations where conversation_id = $1",
        )
        .bind(id.0),
    };
    statement.execute(db).await?;
    Ok(())
}

async fn apply_run(
    db: &mut PgConnection,
    recorded: &Recorded,
    id: RunId,
) -> Result<(), ApplyError> {
    use run::Event;
    match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
        Event::RunRequested(request) => {
            insert_run(db, recorded, id, &request).await?;
            insert_messages(db, recorded, id, &request.messages).await
        }
        Event::RunClaimed { node, attempt } => {
            sqlx::query(
                "update runs set node = $4, attempt = $5, updated_at = $2, revision = $3
                 where run_id = $1",
            )
            .bind(id.0)
            .bind(recorded.recorded_at)
            .bind(revision(recorded))
            .bind(node.0)
            .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
            .execute(db)
            .await?;
            Ok(())
        }
        Event::TurnCompleted { message, usage, .. } => {
            sqlx::query(
                "update runs set updated_at = $2, revision = $3,
                     usage = (left(usage::text, -1) || case usage::text when '[]' then '' else ',' end
                         || $4 || ']')::json
                 where run_id = $1",
            )
            .bind(id.0)
            .bind(recorded.recorded_at)
            .bind(revision(recorded))
            // As text and not by way of jsonb, which does not take every string a provider may send.
            .bind(serde_json::to_string(&usage)?)
            .execute(&mut *db)
            .await?;
            insert_messages(db, recorded, id, message.as_deref().as_slice()).await
        }
        Event::TurnAbandoned { message, .. } => {
            insert_messages(db, recorded, id, message.as_deref().as_slice()).await
        }
        Event::MessagePosted(message) => insert_messages(db, recorded, id, &[&*message]).await,
        Event::RunEnded { outcome, index, error, .. } => {
            sqlx::query(
                "update runs set outcome = $4, lines = $5, error = $6, updated_at = $2, revision = $3
                 where run_id = $1",
            )
            .bind(id.0)
            .bind(recorded.recorded_at)
            .bind(revision(recorded))
            .bind(outcome_name(outcome))
            .bind(i64::try_from(index + 1).unwrap_or(i64::MAX))
            .bind(error.as_deref().map(storable))
            .execute(&mut *db)
            .await?;
            touch(db, id, recorded.recorded_at).await
        }
        Event::TurnStarted { .. } | Event::LinesRecorded { .. } | Event::InterruptRequested(_) => {
            Ok(())
        }
    }
}

async fn insert_run(
    db: &mut PgConnection,
    recorded: &Recorded,
    id: RunId,
    request: &run::Request,
) -> Result<(), ApplyError> {
    let query = request.messages.first().and_then(|message| message.content.as_ref());
    let query = query.map_or_else(|| "\"\"".to_owned(), ToString::to_string);
    sqlx::query(
        "insert into runs (run_id, conversation_id, owner, session_id, surface, agent_id, query,
             node, attempt, usage, forgotten, requested_at, updated_at, position, revision)
         values ($1, $5, $6, $7, $8, $9, $10::text::json, $11, 1, '[]', false, $2, $2, $4, $3)",
    )
    .bind(id.0)
    .bind(recorded.recorded_at)
    .bind(revision(recorded))
    .bind(position(recorded))
    .bind(request.conversation.0)
    .bind(&request.owner.0)
    .bind(&request.session_id)
    .bind(surface_name(request.surface))
    .bind(request.agent_id.as_ref().map(|agent| &agent.0))
    .bind(query)
    .bind(request.node.0)
    .execute(db)
    .await?;
    Ok(())
}

/// Inserts messages in one statement and counts them. A message id the conversation already has changes nothing: clients
/// send messages again.
async fn insert_messages<M: std::borrow::Borrow<Message>>(
    db: &mut PgConnection,
    recorded: &Recorded,
    run: RunId,
    messages: &[M],
) -> Result<(), ApplyError> {
    if messages.is_empty() {
        return Ok(());
    }
    let all = || messages.iter().map(std::borrow::Borrow::borrow);
    let ids: Vec<&str> = all().map(|message| message.message_id.as_str()).collect();
    let roles: Vec<&str> = all().map(|message| message.role.as_str()).collect();
    let bodies = all().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(
        "with told as (
             insert into messages (conversation_id, message_id, run_id, position, ordinal, role, message)
             select r.conversation_id, m.id, r.run_id, $2, m.ordinal::int, m.role, m.body::json
             from unnest($3::text[], $4::text[], $5::text[]) with ordinality as m(id, role, body, ordinal)
             join runs r on r.run_id = $1 and not r.forgotten
             on conflict (conversation_id, message_id) do nothing
             returning conversation_id, role
         ), counted as (
             select conversation_id, count(*) filter (where role = 'user') as users,
                 count(*) filter (where role in ('assistant', 'agent')) as agents
             from told group by conversation_id
         )
         update conversations c
         set user_count = user_count + users, agent_count = agent_count + agents, updated_at = $6
         from counted where c.conversation_id = counted.conversation_id",
    )
    .bind(run.0)
    .bind(position(recorded))
    .bind(ids)
    .bind(roles)
    .bind(bodies)
    .bind(recorded.recorded_at)
    .execute(db)
    .await?;
    Ok(())
}

async fn touch(db: &mut PgConnection, run: RunId, at: DateTime<Utc>) -> Result<(), ApplyError> {
    sqlx::query(
        "update conversations c set updated_at = $2
         from runs r where r.run_id = $1 and not r.forgotten and c.conversation_id = r.conversation_id",
    )
    .bind(run.0)
    .bind(at)
    .execute(db)
    .await?;
    Ok(())
}

/// A text as a text column takes it, without NUL: an event that is in the log must not stop the projection.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

/// How an outcome is stored and shown.
fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Interrupted => "interrupted",
        Outcome::Replaced => "replaced",
        Outcome::Failed => "failed",
    }
}

fn surface_name(surface: run::Surface) -> &'static str {
    match surface {
        run::Surface::SageChat => "sage_chat",
        run::Surface::SageStream => "sage_stream",
        run::Surface::SageWebStream => "sage_web_stream",
    }
}

fn revision(recorded: &Recorded) -> i64 {
    i64::try_from(recorded.revision.0).unwrap_or(i64::MAX)
}

fn position(recorded: &Recorded) -> i64 {
    i64::try_from(recorded.position.0).unwrap_or(i64::MAX)
}

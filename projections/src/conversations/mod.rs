//! Read model: conversations with their runs and messages, as the chat screens show them.
//!
//! Lines of running turns are not projected: a turn's message is inserted when the turn is over, and a reader who wants
//! the turn in flight folds the run's own stream.

mod listing;
mod performing;
mod queries;

use crate::{ApplyError, Projection, column, runner::storable};
use domain::{
    Recorded, codec, conversation,
    ids::{ConversationId, RunId},
    message::Message,
    run::{self, Outcome},
};
use futures::future::BoxFuture;
pub use listing::{ListedRun, RunListing, listed_runs};
pub use performing::{Load, Performed, load_of_nodes, performed};
pub use queries::{
    Conversation, Found, Listing, Page, RunRow, Snapshot, Sort, going_on, history, latest_run,
    listed, orphans, other_titles, owner_of_session, run, snapshot,
};
use sqlx::{PgConnection, types::Json};
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
            "ToolFinished",
            "MessagePosted",
            "AppStepFinished",
            "SubRunRelayed",
            "RunEnded",
        ]
    }

    /// Messages are kept in `json`, which takes every character, and are shown as they were sent.
    fn takes_nul(&self) -> bool {
        true
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
    let clean = storable(recorded);
    let statement = match codec::decode::<Event>(&clean.kind, &clean.data)? {
        Event::ConversationStarted { owner, session_id, title, agent_id, agent_name } => {
            sqlx::query(
                "insert into conversations (conversation_id, owner, session_id, title, agent_id,
                     agent_name, created_at, updated_at, revision)
                 values ($1, $4, $5, $6, $7, $8, $2, $2, $3)",
            )
            .bind(id.0)
            .bind(recorded.recorded_at)
            .bind(column(recorded.revision.0))
            .bind(owner.0)
            .bind(session_id)
            .bind(title)
            .bind(agent_id.map(|agent| agent.0))
            .bind(agent_name)
        }
        Event::RunOpened { .. } => sqlx::query(
            "update conversations set updated_at = $2, revision = $3 where conversation_id = $1",
        )
        .bind(id.0)
        .bind(recorded.recorded_at)
        .bind(column(recorded.revision.0)),
        Event::ConversationRenamed { title } => sqlx::query(
            "update conversations set title = $4, updated_at = $2, revision = $3
             where conversation_id = $1",
        )
        .bind(id.0)
        .bind(recorded.recorded_at)
        .bind(column(recorded.revision.0))
        .bind(title),
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
    let clean = storable(recorded);
    match codec::decode::<Event>(&clean.kind, &clean.data)? {
        Event::RunRequested(request) => {
            insert_run(db, recorded, id, &request).await?;
            insert_messages(db, recorded, id).await
        }
        Event::RunClaimed { node, attempt } => {
            sqlx::query(
                "update runs set node = $4, attempt = $5, updated_at = $2, revision = $3
                 where run_id = $1",
            )
            .bind(id.0)
            .bind(recorded.recorded_at)
            .bind(column(recorded.revision.0))
            .bind(node.0)
            .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
            .execute(db)
            .await?;
            Ok(())
        }
        Event::TurnCompleted { usage, .. } => {
            add_usage(db, recorded, id, &[usage]).await?;
            insert_messages(db, recorded, id).await
        }
        Event::TurnAbandoned { .. }
        | Event::ToolFinished { .. }
        | Event::MessagePosted(_)
        | Event::SubRunRelayed { .. } => insert_messages(db, recorded, id).await,
        Event::RunEnded { outcome, index, error, .. } => {
            sqlx::query(
                "with ended as (
                     update runs set outcome = $4, lines = $5, error = $6, updated_at = $2, revision = $3
                     where run_id = $1 returning conversation_id, forgotten
                 )
                 update conversations c set updated_at = $2
                 from ended where not ended.forgotten and c.conversation_id = ended.conversation_id",
            )
            .bind(id.0)
            .bind(recorded.recorded_at)
            .bind(column(recorded.revision.0))
            .bind(outcome_name(outcome))
            .bind(column(index + 1))
            .bind(error)
            .execute(db)
            .await?;
            Ok(())
        }
        Event::AppStepFinished { usage, .. } => add_usage(db, recorded, id, &usage).await,
        Event::TurnStarted { .. }
        | Event::LinesRecorded { .. }
        | Event::ToolStarted { .. }
        | Event::AppStepStarted { .. }
        | Event::InterruptRequested(_) => Ok(()),
    }
}

/// Notes what turns or steps cost.
async fn add_usage(
    db: &mut PgConnection,
    recorded: &Recorded,
    id: RunId,
    usage: &[run::TurnUsage],
) -> Result<(), ApplyError> {
    sqlx::query(
        "update runs set updated_at = $2, revision = $3, usage = (usage::jsonb || $4::jsonb)::json
         where run_id = $1",
    )
    .bind(id.0)
    .bind(recorded.recorded_at)
    .bind(column(recorded.revision.0))
    .bind(Json(usage))
    .execute(db)
    .await?;
    Ok(())
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
             node, attempt, usage, forgotten, requested_at, updated_at, position, revision, parent)
         select $1, coalesce(p.conversation_id, $5), $6, $7, $8, $9, $10::text::json, $11, 1, '[]',
             coalesce(p.forgotten, false), $2, $2, $4, $3, $12
         from (values (1)) one left join runs p on p.run_id = $12",
    )
    .bind(id.0)
    .bind(recorded.recorded_at)
    .bind(column(recorded.revision.0))
    .bind(column(recorded.position.0))
    .bind(request.conversation.0)
    .bind(&request.owner.0)
    .bind(&request.session_id)
    .bind(surface_name(request.surface))
    .bind(request.agent_id.as_ref().map(|agent| &agent.0))
    .bind(query)
    .bind(request.node.0)
    .bind(request.parent.as_ref().map(|parent| parent.run.0))
    .execute(db)
    .await?;
    Ok(())
}

/// Inserts the event's messages, as the log has them, in one statement and counts them. A message id the conversation
/// already has changes nothing: clients send messages again. What a run says that works for another one is inserted when
/// that one relays it.
async fn insert_messages(
    db: &mut PgConnection,
    recorded: &Recorded,
    run: RunId,
) -> Result<(), ApplyError> {
    let messages = messages_in(recorded)?;
    if messages.is_empty() {
        return Ok(());
    }
    let text = |text: &str| text.replace('\0', "\u{fffd}");
    let ids: Vec<String> = messages.iter().map(|message| text(&message.message_id)).collect();
    let roles: Vec<String> = messages.iter().map(|message| text(&message.role)).collect();
    let bodies = messages.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(
        "with told as (
             insert into messages (conversation_id, message_id, run_id, position, ordinal, role, message)
             select r.conversation_id, m.id, r.run_id, $2, m.ordinal::int, m.role, m.body::json
             from unnest($3::text[], $4::text[], $5::text[]) with ordinality as m(id, role, body, ordinal)
             join runs r on r.run_id = $1 and not r.forgotten and r.parent is null
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
    .bind(column(recorded.position.0))
    .bind(ids)
    .bind(roles)
    .bind(bodies)
    .bind(recorded.recorded_at)
    .execute(db)
    .await?;
    Ok(())
}

fn messages_in(recorded: &Recorded) -> Result<Vec<Message>, ApplyError> {
    use run::Event;
    Ok(match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
        Event::RunRequested(request) => request.messages,
        Event::TurnCompleted { message, .. } | Event::TurnAbandoned { message, .. } => {
            message.into_iter().map(|message| *message).collect()
        }
        Event::SubRunRelayed { message, .. } => message.into_iter().map(|m| *m).collect(),
        Event::ToolFinished { message, .. } | Event::MessagePosted(message) => vec![*message],
        Event::RunClaimed { .. }
        | Event::TurnStarted { .. }
        | Event::LinesRecorded { .. }
        | Event::ToolStarted { .. }
        | Event::AppStepStarted { .. }
        | Event::AppStepFinished { .. }
        | Event::InterruptRequested(_)
        | Event::RunEnded { .. } => vec![],
    })
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
        run::Surface::LlmStack => "llmstack",
        run::Surface::Genie => "genie",
    }
}

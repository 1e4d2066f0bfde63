//! What is asked of the conversations.

use chrono::{DateTime, Utc};
use domain::{
    ids::{ConversationId, NodeId, RunId, UserId},
    message::Message,
};
use serde_json::Value;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

/// Runs listed at most, wherever runs that go on are listed.
const RUNS: i64 = 1_000;
/// Messages of one conversation that are shown at most: the newest.
const MESSAGES: i64 = 5_000;

/// Titles of other conversations that a run remembers at most.
const TITLES: i64 = 20;

/// A conversation as lists show it.
#[derive(Debug, Clone, FromRow)]
pub struct Conversation {
    /// Derived from owner and session id.
    pub conversation_id: Uuid,
    /// Whose.
    pub owner: String,
    /// As the client chose it.
    pub session_id: String,
    /// Title.
    pub title: String,
    /// The agent of its first run.
    pub agent_id: Option<String>,
    /// Its name at that time.
    pub agent_name: String,
    /// Messages of role user.
    pub user_count: i32,
    /// Messages of role assistant.
    pub agent_count: i32,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When something last happened.
    pub updated_at: DateTime<Utc>,
}

/// A run as lists show it.
#[derive(Debug, Clone, FromRow)]
pub struct RunRow {
    /// The run.
    pub run_id: Uuid,
    /// In which conversation.
    pub conversation_id: Uuid,
    /// Whose.
    pub owner: String,
    /// The session id as the client chose it.
    pub session_id: String,
    /// Through which door it came.
    pub surface: String,
    /// The agent spoken to.
    pub agent_id: Option<String>,
    /// Content of the first message.
    pub query: Json<Value>,
    /// Who performs or performed it last.
    pub node: Uuid,
    /// From 1.
    pub attempt: i32,
    /// `completed`, `interrupted`, `replaced`, `failed`; `None` while it goes on.
    pub outcome: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// All lines, the end line included; `None` while it goes on.
    pub lines: Option<i64>,
    /// `[{"model", "usage"}]` of finished turns.
    pub usage: Json<Value>,
    /// When it was requested.
    pub requested_at: DateTime<Utc>,
    /// When something last happened, lines apart.
    pub updated_at: DateTime<Utc>,
    /// The run it works for; `None` when a person asked.
    pub parent: Option<Uuid>,
}

const RUN: &str =
    "select run_id, conversation_id, owner, session_id, surface, agent_id, query, node,
     attempt, outcome, error, lines, usage, requested_at, updated_at, parent from runs";

/// Order of a list of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Last touched first.
    #[default]
    Date,
    /// By title.
    Title,
    /// Most messages first.
    Messages,
}

/// Which conversations to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only this person's; `None` for everybody's.
    pub owner: Option<UserId>,
    /// Part of title or session id.
    pub search: Option<String>,
    /// Only with this agent.
    pub agent_id: Option<String>,
    /// Order.
    pub sort: Sort,
    /// Conversations to skip.
    pub offset: i64,
    /// Conversations to show.
    pub limit: i64,
}

/// A part of a list, and how long the whole list is.
#[derive(Debug, Clone)]
pub struct Page {
    /// The part.
    pub conversations: Vec<Conversation>,
    /// Length of the whole.
    pub total: i64,
}

/// The conversations that fit, a page of them.
///
/// # Errors
/// When the database does not answer.
pub async fn listed(db: &PgPool, listing: &Listing) -> sqlx::Result<Page> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        conversation: Conversation,
        total: i64,
    }
    // A page past the end still has to know the total, so the total stands beside the page, not in its rows.
    let pattern = listing.search.as_deref().map(|part| format!("%{}%", escape_like(part)));
    let order = match listing.sort {
        Sort::Date => 0,
        Sort::Title => 1,
        Sort::Messages => 2,
    };
    let rows: Vec<Row> = sqlx::query_as(
        "select c.conversation_id, c.owner, c.session_id, c.title, c.agent_id, c.agent_name,
             c.user_count, c.agent_count, c.created_at, c.updated_at, count(*) over () as total
         from conversations c
         where ($1::text is null or owner = $1)
           and ($2::text is null or title ilike $2 or session_id ilike $2)
           and ($3::text is null or agent_id = $3)
         order by
             case when $4 = 1 then title end,
             case when $4 = 2 then user_count + agent_count end desc,
             updated_at desc, conversation_id
         offset $5 limit $6",
    )
    .bind(listing.owner.as_ref().map(UserId::as_str))
    .bind(&pattern)
    .bind(&listing.agent_id)
    .bind(order)
    .bind(listing.offset)
    .bind(listing.limit)
    .fetch_all(db)
    .await?;
    let total = match rows.first() {
        Some(row) => row.total,
        None if listing.offset == 0 => 0,
        None => {
            sqlx::query_scalar(
                "select count(*) from conversations
                 where ($1::text is null or owner = $1)
                   and ($2::text is null or title ilike $2 or session_id ilike $2)
                   and ($3::text is null or agent_id = $3)",
            )
            .bind(listing.owner.as_ref().map(UserId::as_str))
            .bind(&pattern)
            .bind(&listing.agent_id)
            .fetch_one(db)
            .await?
        }
    };
    Ok(Page { conversations: rows.into_iter().map(|row| row.conversation).collect(), total })
}

fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// A conversation as one read at one place of the log.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The conversation.
    pub conversation: Conversation,
    /// Its messages in order, each with its run. Of a turn in flight nothing is here.
    pub messages: Vec<Found>,
    /// Its last run.
    pub run: Option<RunRow>,
}

/// A message and the run it belongs to.
#[derive(Debug, Clone, FromRow)]
pub struct Found {
    /// The run.
    pub run_id: Uuid,
    /// The message.
    pub message: Json<Message>,
}

/// Conversation, messages and last run, all from one view of the database.
///
/// # Errors
/// When the database does not answer.
pub async fn snapshot(db: &PgPool, id: ConversationId) -> sqlx::Result<Option<Snapshot>> {
    let mut view = db.begin_with("begin isolation level repeatable read read only").await?;
    // Before the view is taken: a rebuild that swapped the tables later would leave it looking at empty ones.
    sqlx::query("lock table conversations, runs, messages in access share mode")
        .execute(&mut *view)
        .await?;
    let conversation = sqlx::query_as::<_, Conversation>(
        "select conversation_id, owner, session_id, title, agent_id, agent_name, user_count,
             agent_count, created_at, updated_at
         from conversations where conversation_id = $1",
    )
    .bind(id.0)
    .fetch_optional(&mut *view)
    .await?;
    let Some(conversation) = conversation else { return Ok(None) };
    let mut messages: Vec<Found> = sqlx::query_as(
        "select run_id, message from messages where conversation_id = $1
         order by position desc, ordinal desc limit $2",
    )
    .bind(id.0)
    .bind(MESSAGES)
    .fetch_all(&mut *view)
    .await?;
    messages.reverse();
    let run = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{RUN} where conversation_id = $1 and parent is null and not forgotten
         order by position desc limit 1"
    )))
    .bind(id.0)
    .fetch_optional(&mut *view)
    .await?;
    view.commit().await?;
    Ok(Some(Snapshot { conversation, messages, run }))
}

/// The last `limit` messages before `run`, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn history(
    db: &PgPool,
    id: ConversationId,
    run: RunId,
    limit: u32,
) -> sqlx::Result<Vec<Message>> {
    let mut messages: Vec<Json<Message>> = sqlx::query_scalar(
        "select message from messages where conversation_id = $1
           and position < coalesce((select position from runs where run_id = $2), 9223372036854775807)
         order by position desc, ordinal desc limit $3",
    )
    .bind(id.0)
    .bind(run.0)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    messages.reverse();
    Ok(messages.into_iter().map(|Json(message)| message).collect())
}

/// What the person's other conversations are called, the last touched first.
///
/// # Errors
/// When the database does not answer.
pub async fn other_titles(
    db: &PgPool,
    owner: &UserId,
    than: ConversationId,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select title from conversations where owner = $1 and conversation_id <> $2
         order by updated_at desc limit $3",
    )
    .bind(owner.as_str())
    .bind(than.0)
    .bind(TITLES)
    .fetch_all(db)
    .await
}

/// The last run of every conversation with this session id, newest first: several owners may use the same id.
///
/// # Errors
/// When the database does not answer.
pub async fn latest_run(
    db: &PgPool,
    session_id: &str,
    owner: Option<&UserId>,
) -> sqlx::Result<Option<(ConversationId, Option<RunId>)>> {
    let row: Option<(Uuid, Option<Uuid>)> = sqlx::query_as(
        "select c.conversation_id,
             (select run_id from runs r where r.conversation_id = c.conversation_id
                and parent is null and not forgotten order by position desc limit 1)
         from conversations c where session_id = $1 and ($2::text is null or owner = $2)
         order by updated_at desc limit 1",
    )
    .bind(session_id)
    .bind(owner.map(UserId::as_str))
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(conversation, run)| (conversation.into(), run.map(RunId))))
}

/// Whose the conversation with this session id is; of several owners the one who used it last.
///
/// # Errors
/// When the database does not answer.
pub async fn owner_of_session(db: &PgPool, session_id: &str) -> sqlx::Result<Option<UserId>> {
    let owner: Option<String> = sqlx::query_scalar(
        "select owner from conversations where session_id = $1 order by updated_at desc limit 1",
    )
    .bind(session_id)
    .fetch_optional(db)
    .await?;
    Ok(owner.map(UserId))
}

/// One run; those of deleted conversations are gone.
///
/// # Errors
/// When the database does not answer.
pub async fn run(db: &PgPool, id: RunId) -> sqlx::Result<Option<RunRow>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{RUN} where run_id = $1 and not forgotten")))
        .bind(id.0)
        .fetch_optional(db)
        .await
}

/// Runs of agents that people asked for and that go on, in order of their start; `owner` `None` for everybody's.
///
/// # Errors
/// When the database does not answer.
pub async fn going_on(db: &PgPool, owner: Option<&UserId>) -> sqlx::Result<Vec<RunRow>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{RUN} where outcome is null and parent is null and not forgotten and surface not in ('llmstack', 'genie')
             and ($1::text is null or owner = $1)
         order by position limit $2"
    )))
    .bind(owner.map(UserId::as_str))
    .bind(RUNS)
    .fetch_all(db)
    .await
}

/// Runs that go on under nodes that are not among `alive`, with that node, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn orphans(db: &PgPool, alive: &[NodeId]) -> sqlx::Result<Vec<(RunId, NodeId)>> {
    let alive: Vec<Uuid> = alive.iter().map(|node| node.0).collect();
    let runs: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select run_id, node from runs where outcome is null and node <> all($1)
         order by position limit $2",
    )
    .bind(alive)
    .bind(RUNS)
    .fetch_all(db)
    .await?;
    Ok(runs.into_iter().map(|(run, node)| (RunId(run), NodeId(node))).collect())
}

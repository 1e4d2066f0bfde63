//! Read model: what agents have set out to do in conversations.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::ConversationId,
    todo_list::{Event, MAX_ITEMS, Status, TodoList},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool};

/// The projection.
pub struct TodoItems;

impl Projection for TodoItems {
    fn name(&self) -> &'static str {
        "todo_items"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["todo_items"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[TodoList::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let (statement, item) = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::TaskPlanned { item } => (
                    "insert into todo_items (conversation_id, item_id, content, status,
                             conclusion, created_at, updated_at, revision, place)
                         values ($1, $2, $3, $4, $5, $6, $6, $7, $7)",
                    item,
                ),
                Event::TaskRevised { item } => (
                    "update todo_items set content = $3, status = $4, conclusion = $5,
                             updated_at = $6, revision = $7
                         where conversation_id = $1 and item_id = $2",
                    item,
                ),
            };
            sqlx::query(statement)
                .bind(recorded.stream.key())
                .bind(item.id)
                .bind(item.content)
                .bind(word(item.status))
                .bind(item.conclusion)
                .bind(recorded.recorded_at)
                .bind(column(recorded.revision.0))
                .execute(db)
                .await?;
            Ok(())
        })
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::InProgress => "in_progress",
        Status::Completed => "completed",
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Item {
    /// Unique within the list.
    pub item_id: String,
    /// What.
    pub content: String,
    /// `pending`, `in_progress` or `completed`.
    pub status: String,
    /// What came of it.
    pub conclusion: Option<String>,
    /// When it came onto the list.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// The list of a conversation, in its order.
///
/// # Errors
/// When the database does not answer.
pub async fn of(db: &PgPool, conversation: ConversationId) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(
        "select item_id, content, status, conclusion, created_at, updated_at from todo_items
         where conversation_id = $1 order by place limit $2",
    )
    .bind(conversation.to_string())
    .bind(i64::try_from(MAX_ITEMS).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await
}

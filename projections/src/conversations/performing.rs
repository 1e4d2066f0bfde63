//! Which node performs what.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

/// A run that goes on, of whatever kind.
#[derive(Debug, Clone, FromRow)]
pub struct Performed {
    /// The run.
    pub run_id: Uuid,
    /// Who performs it.
    pub node: Uuid,
    /// Whose it is.
    pub owner: String,
    /// Through which door it came.
    pub surface: String,
    /// From 1.
    pub attempt: i32,
    /// When it was requested.
    pub requested_at: DateTime<Utc>,
}

/// How many runs a node performs.
#[derive(Debug, Clone, FromRow)]
pub struct Load {
    /// The node.
    pub node: Uuid,
    /// Runs that go on there.
    pub runs: i64,
}

/// The oldest `limit` runs that go on.
///
/// # Errors
/// When the database does not answer.
pub async fn performed(db: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<Performed>> {
    sqlx::query_as(
        "select run_id, node, owner, surface, attempt, requested_at from runs
         where outcome is null order by position limit $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await
}

/// How many runs go on, by node.
///
/// # Errors
/// When the database does not answer.
pub async fn load_of_nodes(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Load>> {
    sqlx::query_as(
        "select node, count(*) as runs from runs where outcome is null group by node order by node",
    )
    .fetch_all(db)
    .await
}

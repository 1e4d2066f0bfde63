//! Lists of runs, the last one first.

use super::RunRow;
use domain::ids::UserId;
use sqlx::{FromRow, PgPool};

/// Which runs to list. `None` means any.
#[derive(Debug, Clone, Default)]
pub struct RunListing {
    /// Only this person's.
    pub owner: Option<UserId>,
    /// `running`, or how they ended.
    pub state: Option<String>,
    /// Through which door they came.
    pub surface: Option<String>,
    /// Only those requested before this position.
    pub before: Option<i64>,
    /// Runs to show.
    pub limit: i64,
}

/// A run and its place in the list.
#[derive(Debug, Clone, FromRow)]
pub struct ListedRun {
    /// The run.
    #[sqlx(flatten)]
    pub run: RunRow,
    /// Position of its request.
    pub position: i64,
}

/// The runs that fit, the last requested first; those of deleted conversations are gone.
///
/// # Errors
/// When the database does not answer.
pub async fn listed_runs(db: &PgPool, listing: &RunListing) -> sqlx::Result<Vec<ListedRun>> {
    sqlx::query_as(
        "select run_id, conversation_id, owner, session_id, surface, agent_id, query, node,
             attempt, outcome, error, lines, usage, requested_at, updated_at, parent, position
         from runs
         where not forgotten
           and ($1::text is null or owner = $1)
           and ($2::text is null or coalesce(outcome, 'running') = $2)
           and ($3::text is null or surface = $3)
           and ($4::bigint is null or position < $4)
         order by position desc limit $5",
    )
    .bind(listing.owner.as_ref().map(UserId::as_str))
    .bind(&listing.state)
    .bind(&listing.surface)
    .bind(listing.before)
    .bind(listing.limit)
    .fetch_all(db)
    .await
}

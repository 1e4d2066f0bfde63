//! How far each read model has come, in the table `checkpoints`.
//!
//! The law all writers keep: a stored position says that the rows reflect every event of interest up to it.

use crate::column;
use domain::Position;
use sqlx::{PgConnection, PgExecutor};

/// The stored position; a read model without one begins at the start of the log.
pub(crate) async fn load(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Position> {
    // The no-op update makes the statement return the row that is there.
    sqlx::query_scalar(
        "insert into checkpoints (name) values ($1)
         on conflict (name) do update set name = excluded.name returning position",
    )
    .bind(name)
    .fetch_one(db)
    .await
    .map(position)
}

/// The stored position, held against all others until the transaction ends. `None` when there is none.
pub(crate) async fn lock(db: &mut PgConnection, name: &str) -> sqlx::Result<Option<Position>> {
    sqlx::query_scalar("select position from checkpoints where name = $1 for update")
        .bind(name)
        .fetch_optional(db)
        .await
        .map(|found| found.map(position))
}

/// Up to where the rows of a read model reflect the log, as stored; the start of the log when there is no such model.
///
/// # Errors
/// When the database does not answer.
pub async fn peek(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Position> {
    sqlx::query_scalar("select position from checkpoints where name = $1")
        .bind(name)
        .fetch_optional(db)
        .await
        .map(|found| found.map_or(Position::START, position))
}

/// Moves a checkpoint whose row the transaction holds.
pub(crate) async fn advance(db: &mut PgConnection, name: &str, to: Position) -> sqlx::Result<()> {
    sqlx::query("update checkpoints set position = $2, moved_at = now() where name = $1")
        .bind(name)
        .bind(column(to.0))
        .execute(db)
        .await
        .map(|_| ())
}

/// Moves a checkpoint past positions without events of interest, if it still is where the caller believes. Anything
/// less strict could step over events whose rows a crash of the database took back.
pub(crate) async fn pass(
    db: impl PgExecutor<'_>,
    name: &str,
    from: Position,
    to: Position,
) -> sqlx::Result<bool> {
    sqlx::query(
        "update checkpoints set position = $3, moved_at = now() where name = $1 and position = $2",
    )
    .bind(name)
    .bind(column(from.0))
    .bind(column(to.0))
    .execute(db)
    .await
    .map(|done| done.rows_affected() == 1)
}

fn position(stored: i64) -> Position {
    Position(u64::try_from(stored).unwrap_or_default())
}

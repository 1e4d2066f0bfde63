//! The right to publish, and the checkpoint that goes with it.

use super::End;
use domain::Position;
use sqlx::{Connection, PgConnection, PgPool};
use std::time::Duration;
use tokio::time::timeout;

/// Row of the table `checkpoints`.
const NAME: &str = "publisher:nats";
/// No statement here takes longer; a connection whose other end is gone without a word would.
const DEADLINE: Duration = Duration::from_secs(15);

/// Held by at most one node, for as long as its connection lives.
pub(super) struct Leader {
    db: PgConnection,
    /// Everything up to here was acknowledged.
    pub position: Position,
}

impl Leader {
    /// `None` while another node publishes.
    pub async fn claim(pool: &PgPool) -> Result<Option<Self>, End> {
        timeout(DEADLINE, try_claim(pool)).await.map_err(|_| too_slow())?.map_err(End::from)
    }

    /// Stores how far the broker has acknowledged.
    pub async fn advance(&mut self, to: Position) -> Result<(), End> {
        let moved = sqlx::query(
            "update checkpoints set position = $3, moved_at = now() where name = $1 and position = $2",
        )
        .bind(NAME)
        .bind(column(self.position))
        .bind(column(to))
        .execute(&mut self.db);
        let moved = timeout(DEADLINE, moved).await.map_err(|_| too_slow())??;
        if moved.rows_affected() != 1 {
            return Err(End::because("the checkpoint was moved by somebody else"));
        }
        self.position = to;
        Ok(())
    }

    /// Whether the connection, and with it the right to publish, is still there.
    pub async fn check(&mut self) -> Result<(), End> {
        timeout(DEADLINE, self.db.ping()).await.map_err(|_| too_slow())?.map_err(End::from)
    }

    /// Lets another node publish at once.
    pub async fn resign(mut self) {
        let gone = async {
            sqlx::raw_sql("select pg_advisory_unlock_all()").execute(&mut self.db).await?;
            self.db.close().await
        };
        if let Ok(Err(error)) = timeout(DEADLINE, gone).await {
            tracing::debug!(%error, "the publisher's connection did not close cleanly");
        }
    }
}

async fn try_claim(pool: &PgPool) -> sqlx::Result<Option<Leader>> {
    let mut db = pool.acquire().await?.detach();
    let mine: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(NAME)
        .fetch_one(&mut db)
        .await?;
    if !mine {
        db.close().await?;
        return Ok(None);
    }
    // The checkpoint need not survive a crash of the database: the stream tells what it holds.
    sqlx::raw_sql("set synchronous_commit = off").execute(&mut db).await?;
    let position: i64 = sqlx::query_scalar(
        "insert into checkpoints (name) values ($1)
         on conflict (name) do update set name = excluded.name returning position",
    )
    .bind(NAME)
    .fetch_one(&mut db)
    .await?;
    Ok(Some(Leader { db, position: Position(u64::try_from(position).unwrap_or_default()) }))
}

fn column(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

fn too_slow() -> End {
    End::because("the database does not answer")
}

//! The right to perform a queue's jobs: held by at most one node, for as long as its connection lives.

use domain::job::Queue;
use sqlx::{Connection, PgConnection, PgPool};
use std::time::Duration;
use tokio::time::timeout;

/// No statement here takes longer; a connection whose other end is gone without a word would.
const DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks whether it is still held.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Lease(PgConnection);

impl Lease {
    /// `None` while another node performs this queue's jobs.
    pub async fn claim(pool: &PgPool, queue: Queue) -> sqlx::Result<Option<Self>> {
        timeout(DEADLINE, claim(pool, queue)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Resolves when the connection, and with it the right, is gone.
    pub async fn lost(&mut self) {
        while let Ok(Ok(())) = timeout(DEADLINE, self.0.ping()).await {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lets another node perform at once.
    pub async fn resign(self) {
        if let Ok(Err(error)) = timeout(DEADLINE, self.0.close()).await {
            tracing::debug!(%error, "the connection of a queue did not close cleanly");
        }
    }
}

async fn claim(pool: &PgPool, queue: Queue) -> sqlx::Result<Option<Lease>> {
    let mut db = pool.acquire().await?;
    let mine: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("annals job queue {}", queue.as_str()))
        .fetch_one(&mut *db)
        .await?;
    Ok(mine.then(|| Lease(db.detach())))
}

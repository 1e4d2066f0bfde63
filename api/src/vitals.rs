//! How this process and its database are doing.

use sqlx::PgPool;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the database may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a size that was looked up is told again: looking touches every file of the database.
const SIZE_KEPT: Duration = Duration::from_secs(30);

/// How the database is doing.
#[derive(Debug, Clone, Copy)]
pub struct Database {
    /// From the wish for a connection to the answer; `None` when none came in time.
    pub ping: Option<Duration>,
    /// Bytes on disk, as of up to 30 seconds ago.
    pub size: Option<i64>,
    /// Connections of this process that are open, the log's own apart.
    pub open: u32,
    /// How many of these do nothing.
    pub idle: u32,
    /// How many there may be.
    pub limit: u32,
}

/// Looks at the database now and then.
#[derive(Debug, Default)]
pub struct Examiner {
    size: Mutex<Option<(Instant, i64)>>,
}

impl Examiner {
    /// How the database is doing.
    pub async fn look(&self, db: &PgPool) -> Database {
        let idle = u32::try_from(db.num_idle()).unwrap_or(u32::MAX);
        let (open, limit) = (db.size(), db.options().get_max_connections());
        let begun = Instant::now();
        let ping = sqlx::query("select 1").execute(db);
        let ping = match tokio::time::timeout(DEADLINE, ping).await {
            Ok(Ok(_)) => Some(begun.elapsed()),
            _ => None,
        };
        let size = match ping {
            Some(_) => self.size(db).await,
            None => None,
        };
        Database { ping, size, open, idle, limit }
    }

    async fn size(&self, db: &PgPool) -> Option<i64> {
        let known = *self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, size)) = known.filter(|(at, _)| at.elapsed() < SIZE_KEPT) {
            return Some(size);
        }
        let size = sqlx::query_scalar("select pg_database_size(current_database())").fetch_one(db);
        let size = tokio::time::timeout(DEADLINE, size).await.ok()?.ok()?;
        *self.size.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), size));
        Some(size)
    }
}

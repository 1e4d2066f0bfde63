//! The right to rebuild a read model, and what others can see of who has it.

use super::{FoldError, RebuildProgress};
use crate::column;
use chrono::{DateTime, Utc};
use domain::ids::UserId;
use sqlx::{Connection, FromRow, PgConnection, PgExecutor, PgPool};
use std::time::Duration;
use tokio::sync::watch;

/// How often others are told how far it is.
const TOLD: Duration = Duration::from_millis(500);
/// The lock of a rebuild is named by a text; both halves of its hash identify it.
const LOCK: &str = "annals rebuild ";

/// The right, held by a connection of its own and gone with it. One at a time, whatever node or command wants it.
pub(super) struct Claim {
    /// Its search path must not return to the pool, so it is closed in the end.
    pub db: PgConnection,
    name: &'static str,
    attempt: i64,
}

impl Claim {
    /// Takes it for `by`, or for the command line.
    pub async fn take(
        pool: &PgPool,
        name: &'static str,
        by: Option<&UserId>,
    ) -> Result<Self, FoldError> {
        let mut db = pool.acquire().await?.detach();
        let mine: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
            .bind(format!("{LOCK}{name}"))
            .fetch_one(&mut db)
            .await?;
        if !mine {
            if let Err(error) = db.close().await {
                tracing::debug!(%error, "a connection did not close cleanly");
            }
            return Err(FoldError::Busy);
        }
        let attempt = sqlx::query_scalar(
            "insert into rebuilds (name, attempt, started_by, started_at, done, total, told_at)
             values ($1, 1, $2, now(), 0, 0, now())
             on conflict (name) do update set attempt = rebuilds.attempt + 1,
                 started_by = excluded.started_by, started_at = now(), done = 0, total = 0,
                 told_at = now(), events = null, failure = null, ended_at = null
             returning attempt",
        )
        .bind(name)
        .bind(by.map(UserId::as_str))
        .fetch_one(&mut db)
        .await?;
        Ok(Self { db, name, attempt })
    }

    /// What the others are to be told.
    pub fn diary(&self) -> Diary {
        Diary { name: self.name, attempt: self.attempt }
    }
}

/// Tells how a rebuild gets on. What cannot be told is no reason to give up the work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Diary {
    name: &'static str,
    attempt: i64,
}

impl Diary {
    /// Notes the progress again and again; never ends by itself.
    pub async fn follow(
        self,
        pool: &PgPool,
        progress: watch::Receiver<RebuildProgress>,
    ) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(TOLD).await;
            let RebuildProgress { done, total } = *progress.borrow();
            let noted = sqlx::query(
                "update rebuilds set done = $3, total = $4, told_at = now()
                 where name = $1 and attempt = $2",
            )
            .bind(self.name)
            .bind(self.attempt)
            .bind(column(done))
            .bind(column(total))
            .execute(pool)
            .await;
            self.told(noted.map(|_| ()));
        }
    }

    /// Notes the end: how many events were applied, or why not.
    pub async fn end(self, pool: &PgPool, events: Result<u64, String>, progress: RebuildProgress) {
        let (events, failure) = match events {
            Ok(events) => (Some(column(events)), None),
            Err(reason) => (None, Some(reason)),
        };
        let noted = sqlx::query(
            "update rebuilds set done = $3, total = $4, events = $5, failure = $6, told_at = now(),
                 ended_at = now() where name = $1 and attempt = $2",
        )
        .bind(self.name)
        .bind(self.attempt)
        .bind(column(progress.done))
        .bind(column(progress.total))
        .bind(events)
        .bind(failure)
        .execute(pool)
        .await;
        self.told(noted.map(|_| ()));
    }

    fn told(self, noted: sqlx::Result<()>) {
        if let Err(error) = noted {
            tracing::debug!(read_model = self.name, %error, "a rebuild's progress was not noted");
        }
    }
}

/// The last rebuild of a read model, wherever it was begun.
#[derive(Debug, Clone, FromRow)]
pub struct RebuildRow {
    /// The read model.
    pub name: String,
    /// Whether it goes on. One that neither goes on nor has ended was killed.
    pub running: bool,
    /// Who began it; `None` for the command line.
    pub started_by: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Positions of the log folded in.
    pub done: i64,
    /// Positions to fold in, as things stood; 0 before the first are.
    pub total: i64,
    /// Events applied, once it has succeeded.
    pub events: Option<i64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The last rebuild of each read model that was ever rebuilt.
///
/// # Errors
/// When the database does not answer.
pub async fn rebuilds(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<RebuildRow>> {
    // A lock with a key of 64 bits is listed as its two halves.
    sqlx::query_as(
        "select r.name, r.started_by, r.started_at, r.done, r.total, r.events, r.failure, r.ended_at,
             r.ended_at is null and exists (
                 select from pg_locks l join pg_database d on d.oid = l.database
                 where l.locktype = 'advisory' and l.granted and l.objsubid = 1
                   and d.datname = current_database()
                   and (l.classid::bigint << 32) | l.objid::bigint
                       = hashtextextended($1 || r.name, 0)) as running
         from rebuilds r order by r.name",
    )
    .bind(LOCK)
    .fetch_all(db)
    .await
}

//! Which processes are alive. A node says so every second; one that has been silent long enough is taken for dead.
//!
//! Being taken for dead wrongly is harmless: the log fences a node whose runs were taken over.

use chrono::{DateTime, Utc};
use domain::ids::NodeId;
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// How often a node says that it is alive.
pub const BEAT: Duration = Duration::from_secs(1);
/// Silence after which a node is taken for dead.
pub const LEASE: Duration = Duration::from_secs(5);
/// Silence after which a dead node's row is cleared away.
const FORGET: &str = "1 hour";

/// Whether a server runs on this database, or ended so that it could not say so.
///
/// # Errors
/// When the database does not answer.
pub async fn any(db: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from nodes)").fetch_one(db).await
}

/// Whether this node has lately said that it is alive, by the database's clock.
///
/// # Errors
/// When the database does not answer.
pub async fn lives(db: &PgPool, node: NodeId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (
             select from nodes where node_id = $1 and beat_at > now() - make_interval(secs => $2))",
    )
    .bind(node.0)
    .bind(2.0 * LEASE.as_secs_f64())
    .fetch_one(db)
    .await
}

/// A node as it stands in the database.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Listed {
    /// Which.
    pub node_id: Uuid,
    /// When it registered.
    pub started_at: DateTime<Utc>,
    /// Seconds since it last said that it is alive, by the database's clock.
    pub silence: f64,
}

impl Listed {
    /// Whether others take it for alive.
    pub fn alive(&self) -> bool {
        self.silence < LEASE.as_secs_f64()
    }
}

/// The nodes that were alive within the last hour, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn listed(db: &PgPool) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as(
        "select node_id, started_at,
             greatest(extract(epoch from now() - beat_at), 0)::float8 as silence
         from nodes order by started_at, node_id limit 100",
    )
    .fetch_all(db)
    .await
}

/// This node's view of the others. Judges by its own monotonic clock and only by what it saw itself, so neither clock
/// skew nor an outage of the database makes a healthy node look dead.
pub struct Nodes {
    db: PgPool,
    me: NodeId,
    seen: Mutex<HashMap<NodeId, Seen>>,
}

struct Seen {
    beats: i64,
    since: Instant,
}

impl Nodes {
    /// Registers this node. `alone`: no other node can exist (the data folder is locked), so all others are cleared.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn register(db: PgPool, me: NodeId, alone: bool) -> sqlx::Result<Self> {
        if alone {
            sqlx::query("delete from nodes").execute(&db).await?;
        }
        sqlx::query("insert into nodes (node_id) values ($1)").bind(me.0).execute(&db).await?;
        Ok(Self { db, me, seen: Mutex::default() })
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Says that this node is alive, and looks at the others. Returns the nodes that are alive, this one included.
    ///
    /// # Errors
    /// When the database does not answer; then nobody's silence is counted.
    pub async fn beat(&self) -> sqlx::Result<Vec<NodeId>> {
        let rows = self.exchange().await.inspect_err(|_| self.lock().clear())?;
        let now = Instant::now();
        let mut seen = self.lock();
        seen.retain(|node, _| rows.iter().any(|(other, _)| other == &node.0));
        let mut alive = Vec::with_capacity(rows.len());
        for (node, beats) in rows {
            let node = NodeId(node);
            let last = seen.entry(node).or_insert(Seen { beats, since: now });
            if last.beats != beats {
                *last = Seen { beats, since: now };
            }
            if node == self.me || now - last.since < LEASE {
                alive.push(node);
            }
        }
        Ok(alive)
    }

    /// Takes this node off the list, so that others need not wait for its silence.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn leave(&self) -> sqlx::Result<()> {
        sqlx::query("delete from nodes where node_id = $1")
            .bind(self.me.0)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn exchange(&self) -> sqlx::Result<Vec<(Uuid, i64)>> {
        // A row that somebody cleared is put back: this node is alive, whatever others thought.
        sqlx::query(
            "insert into nodes (node_id) values ($1)
             on conflict (node_id) do update set beats = nodes.beats + 1, beat_at = now()",
        )
        .bind(self.me.0)
        .execute(&self.db)
        .await?;
        sqlx::query("delete from nodes where beat_at < now() - $1::interval")
            .bind(FORGET)
            .execute(&self.db)
            .await?;
        sqlx::query_as("select node_id, beats from nodes").fetch_all(&self.db).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

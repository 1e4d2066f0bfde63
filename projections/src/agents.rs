//! Read model: agents.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Recorded,
    agent::{Config, Event},
    codec,
    ids::{AgentId, UserId},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};

/// Agents listed at most.
const AGENTS: i64 = 1_000;

/// The projection.
pub struct Agents;

impl Projection for Agents {
    fn name(&self) -> &'static str {
        "agents"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["agents"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &["agent"]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let id = recorded.stream.key();
            let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::AgentCreated { owner, config } => sqlx::query(
                    "insert into agents (agent_id, owner, name, config, created_at, updated_at,
                         position, revision)
                     values ($1, $2, $3, $4, $5, $5, $6, $7)",
                )
                .bind(id)
                .bind(owner.0)
                .bind(config.name.clone())
                .bind(Json(config))
                .bind(recorded.recorded_at)
                .bind(column(recorded.position.0))
                .bind(column(recorded.revision.0)),
                Event::AgentReconfigured { config } => sqlx::query(
                    "update agents set revision = $2, updated_at = $3, name = $4, config = $5
                     where agent_id = $1",
                )
                .bind(id)
                .bind(column(recorded.revision.0))
                .bind(recorded.recorded_at)
                .bind(config.name.clone())
                .bind(Json(config)),
                Event::AgentShared { users } => {
                    let users: Vec<String> = users.into_iter().map(|user| user.0).collect();
                    sqlx::query("update agents set revision = $2, shared = $3 where agent_id = $1")
                        .bind(id)
                        .bind(column(recorded.revision.0))
                        .bind(users)
                }
                Event::AgentDeleted {} => {
                    sqlx::query("delete from agents where agent_id = $1").bind(id)
                }
                Event::AgentNameForgone {} | Event::CreationAbandoned {} => return Ok(()),
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// An agent.
#[derive(Debug, Clone, FromRow)]
pub struct Agent {
    /// `agent_` and 8 hex digits.
    pub agent_id: String,
    /// Whose.
    pub owner: String,
    /// How it works.
    pub config: Json<Config>,
    /// Who else may see it and chat with it, in order.
    pub shared: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Agent {
    /// Whether it is shared with this person.
    pub fn is_shared_with(&self, person: &UserId) -> bool {
        self.shared.iter().any(|other| other == person.as_str())
    }
}

/// One agent.
///
/// # Errors
/// When the database does not answer.
pub async fn agent(db: &PgPool, id: &AgentId) -> sqlx::Result<Option<Agent>> {
    sqlx::query_as(
        "select agent_id, owner, config, shared, created_at, updated_at from agents where agent_id = $1",
    )
    .bind(&id.0)
    .fetch_optional(db)
    .await
}

/// Agents in the order of their creation: somebody's own and those shared with them; `None` for everybody's.
///
/// # Errors
/// When the database does not answer.
pub async fn visible_to(db: &PgPool, person: Option<&UserId>) -> sqlx::Result<Vec<Agent>> {
    sqlx::query_as(
        "select agent_id, owner, config, shared, created_at, updated_at from agents
         where $1::text is null or owner = $1 or shared @> array[$1] order by position limit $2",
    )
    .bind(person.map(UserId::as_str))
    .bind(AGENTS)
    .fetch_all(db)
    .await
}

/// Whether somebody owns an agent.
///
/// # Errors
/// When the database does not answer.
pub async fn has_any(db: &PgPool, owner: &UserId) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from agents where owner = $1)")
        .bind(&owner.0)
        .fetch_one(db)
        .await
}

/// Whether the owner has an agent of this name.
///
/// # Errors
/// When the database does not answer.
pub async fn named(db: &PgPool, owner: &UserId, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from agents where owner = $1 and name = $2)")
        .bind(&owner.0)
        .bind(name)
        .fetch_one(db)
        .await
}

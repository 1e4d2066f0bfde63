//! What models write for people in the background.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded,
    agent_task::{AgentTask, Event, Kind},
    codec,
    ids::{NodeId, TaskId, UserId},
};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Running tasks looked at in one go.
const RUNNING: i64 = 1_000;

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentTasks;

impl Projection for AgentTasks {
    fn name(&self) -> &'static str {
        "agent_tasks"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["agent_tasks"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[AgentTask::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            // The runner hands over streams of this category only, and their keys are made from ids.
            let Ok(id) = recorded.stream.key().parse::<TaskId>() else { return Ok(()) };
            let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::TaskRequested(request) => sqlx::query(
                    "insert into agent_tasks
                        (task_id, revision, updated_at, owner, kind, status, node, created_at)
                     values ($1, $2, $3, $4, $5, 'running', $6, $3)",
                )
                .bind(id.0)
                .bind(column(recorded.revision.0))
                .bind(recorded.recorded_at)
                .bind(request.owner.0)
                .bind(named(request.kind))
                .bind(request.node.0),
                Event::TaskCompleted { result } => sqlx::query(
                    "update agent_tasks set revision = $2, updated_at = $3, status = 'completed',
                       result = $4 where task_id = $1",
                )
                .bind(id.0)
                .bind(column(recorded.revision.0))
                .bind(recorded.recorded_at)
                .bind(Json(result)),
                Event::TaskFailed { failure } => sqlx::query(
                    "update agent_tasks set revision = $2, updated_at = $3, status = 'failed',
                       error = $4, code = $5 where task_id = $1",
                )
                .bind(id.0)
                .bind(column(recorded.revision.0))
                .bind(recorded.recorded_at)
                .bind(failure.message)
                .bind(i32::from(failure.code)),
                Event::TaskCancelled {} => sqlx::query(
                    "update agent_tasks set revision = $2, updated_at = $3, status = 'cancelled'
                     where task_id = $1",
                )
                .bind(id.0)
                .bind(column(recorded.revision.0))
                .bind(recorded.recorded_at),
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Draft => "draft",
        Kind::Optimize => "optimize",
    }
}

/// A task.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Its id.
    pub task_id: Uuid,
    /// Whose.
    pub owner: String,
    /// `draft` or `optimize`.
    pub kind: String,
    /// `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// What came of it.
    pub result: Option<Json<Map<String, Value>>>,
    /// Why nothing came of it.
    pub error: Option<String>,
    /// As of an answer.
    pub code: Option<i32>,
    /// When it was requested.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// One task.
///
/// # Errors
/// When the database does not answer.
pub async fn task(db: &PgPool, id: TaskId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from agent_tasks where task_id = $1")
        .bind(id.0)
        .fetch_optional(db)
        .await
}

/// How many of somebody's tasks are running.
///
/// # Errors
/// When the database does not answer.
pub async fn running_of(db: &PgPool, owner: &UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from agent_tasks where owner = $1 and status = 'running'")
        .bind(owner.as_str())
        .fetch_one(db)
        .await
}

/// Running tasks and the nodes that perform them.
///
/// # Errors
/// When the database does not answer.
pub async fn running(db: &PgPool) -> sqlx::Result<Vec<(TaskId, NodeId)>> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select task_id, node from agent_tasks where status = 'running' order by created_at limit $1",
    )
    .bind(RUNNING)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(task, node)| (TaskId(task), NodeId(node))).collect())
}

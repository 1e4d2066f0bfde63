//! The same in the background: submit, poll, cancel.

use super::{
    Fault, Reply, Result, text,
    writing::{DraftBody, OptimizeBody, Work},
};
use crate::{
    app::App,
    core::{Caller, Json, Path},
    sage::{
        conversations::iso,
        envelope::{Failed, Replied},
    },
};
use axum::extract::State;
use commands::agents::template::Language;
use domain::{
    agent_task::{Kind, Request},
    ids::TaskId,
};
use projections::agent_tasks::{self as read_model, Row};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Tasks of one person that run at once.
const MOST_RUNNING: i64 = 4;

/// Something that a model writes in the background.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentTask)]
pub(super) struct Dto {
    #[schema(format = Uuid)]
    task_id: String,
    /// `agent_auto_generate` or `system_prompt_optimize`.
    task_type: &'static str,
    /// `pending`, `running`, `completed`, `failed` or `cancelled`.
    status: String,
    /// What the operation of that name answers when somebody waits for it.
    #[schema(value_type = Option<Object>)]
    result: Option<Map<String, Value>>,
    error: Option<Failure>,
    metadata: Metadata,
    created_at: String,
    updated_at: String,
}

/// Why a task came to nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentTaskFailure)]
struct Failure {
    message: String,
    code: i32,
}

/// Nothing so far.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentTaskMetadata)]
struct Metadata {}

impl From<Row> for Dto {
    fn from(row: Row) -> Self {
        let code = row.code.unwrap_or(500);
        Self {
            task_id: row.task_id.to_string(),
            task_type: match row.kind.as_str() {
                "draft" => "agent_auto_generate",
                _ => "system_prompt_optimize",
            },
            status: row.status,
            result: row.result.map(|result| result.0),
            error: row.error.map(|message| Failure { message, code }),
            metadata: Metadata {},
            created_at: iso(row.created_at),
            updated_at: iso(row.updated_at),
        }
    }
}

/// Has a model draft an agent in the background.
///
/// At most four tasks of one person run at once.
#[utoipa::path(
    post,
    path = "/api/agent/auto-generate/submit",
    request_body = DraftBody,
    responses((status = 200, description = "The task.", body = Replied<Dto>)),
)]
pub(super) async fn draft(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<DraftBody>,
) -> Result<Dto> {
    let work = body.prepare(&app, &caller).await?;
    submit(&app, &caller, Kind::Draft, body.language(), json!(body), work).await
}

/// Has a model improve a system prompt in the background.
///
/// At most four tasks of one person run at once.
#[utoipa::path(
    post,
    path = "/api/agent/system-prompt/optimize/submit",
    request_body = OptimizeBody,
    responses((status = 200, description = "The task.", body = Replied<Dto>)),
)]
pub(super) async fn optimize(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<OptimizeBody>,
) -> Result<Dto> {
    let work = body.prepare(&app, &caller).await?;
    submit(&app, &caller, Kind::Optimize, body.language(), json!(body), work).await
}

async fn submit(
    app: &App,
    caller: &Caller,
    kind: Kind,
    language: Language,
    input: Value,
    work: Work,
) -> Result<Dto> {
    app.settled("agent_tasks").await?;
    if read_model::running_of(&app.db, &caller.user).await? >= MOST_RUNNING {
        return Err(Fault::raised(text(
            format!("同时进行的任务不能超过 {MOST_RUNNING} 个"),
            format!("At most {MOST_RUNNING} tasks can run at once"),
        )));
    }
    let input = input.as_object().cloned().unwrap_or_default();
    let (owner, language, node) = (caller.user.clone(), language.tag().to_owned(), app.node);
    let request = Request { owner, kind, input, language, node };
    let (id, position) = app.tasks.begin(request, work.perform(), &caller.metadata()).await?;
    app.caught_up("agent_tasks", position).await;
    Ok(Reply(text("任务已提交", "Task submitted"), find(app, caller, id).await?.into()))
}

/// Tells how a task stands.
#[utoipa::path(
    get,
    path = "/api/agent/tasks/{task_id}",
    params(("task_id" = String, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The task.", body = Replied<Dto>),
        (status = 404, description = "There is no such task.", body = Failed),
    ),
)]
pub(super) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Dto> {
    let found = find(&app, &caller, parsed(&id)?).await?;
    Ok(Reply(text("获取任务成功", "Task retrieved"), found.into()))
}

/// Stops a task that still runs.
#[utoipa::path(
    post,
    path = "/api/agent/tasks/{task_id}/cancel",
    params(("task_id" = String, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The task, as it stands now.", body = Replied<Dto>),
        (status = 404, description = "There is no such task.", body = Failed),
    ),
)]
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Dto> {
    let id = parsed(&id)?;
    find(&app, &caller, id).await?;
    let position = app.tasks.cancel(id, &caller.metadata()).await?;
    app.caught_up("agent_tasks", position).await;
    Ok(Reply(text("任务已取消", "Task cancelled"), find(&app, &caller, id).await?.into()))
}

async fn find(app: &App, caller: &Caller, id: TaskId) -> std::result::Result<Row, Fault> {
    let found = read_model::task(&app.db, id).await?;
    found.filter(|task| caller.sees(&task.owner)).ok_or_else(missing)
}

fn parsed(id: &str) -> std::result::Result<TaskId, Fault> {
    id.parse().map_err(|_| missing())
}

fn missing() -> Fault {
    Fault::Raised(404, text("任务不存在", "There is no such task"))
}

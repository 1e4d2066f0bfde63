//! Files of an agent's workspace: always the caller's own, whoever else uses the agent.

mod download;
mod incoming;
mod stat;

use super::{Fault, Reply, Result, Text, agents, chat::is_bad_id, text};
use crate::{
    app::App,
    core::{Caller, Error, Path, Query, extract::OptionalJson},
    openapi::Documented,
    sage::envelope::Replied,
};
use axum::extract::State;
use chrono::{DateTime, Utc};
use commands::workspaces::{
    Error as WorkspaceError,
    tree::{self, Entry, View},
};
use domain::{
    ids::{AgentId, UserId},
    workspace_file::{FilePath, MAX_FILE, MAX_FILES, Refusal, Workspace},
};
use projections::conversations;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How conversations without an agent name theirs; its workspace is that of work without an agent.
const NO_AGENT: &str = "default_agent";

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(abilities))
        .routes(routes!(list))
        .routes(routes!(download::download))
        .routes(routes!(remove))
        .routes(routes!(stat::stat))
        .routes(routes!(incoming::upload))
        .routes(routes!(incoming::from_url))
        .tagged("Workspaces")
}

/// What an agent could do.
#[derive(Debug, Serialize, ToSchema)]
struct Abilities {
    /// Empty so far.
    items: Vec<Value>,
}

/// Suggests what an agent could do: so far nothing.
#[utoipa::path(
    post,
    path = "/api/agent/abilities",
    request_body = Option<Value>,
    responses((status = 200, description = "The suggestions.", body = Replied<Abilities>)),
    tag = "Agents",
)]
async fn abilities(_: Caller, OptionalJson(_): OptionalJson<Value>) -> Result<Abilities> {
    Ok(Reply(text("获取能力列表成功", "Abilities retrieved"), Abilities { items: vec![] }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// For administrators: the conversation whose owner's files are meant.
    session_id: Option<String>,
    /// The folder to list; the workspace itself when empty.
    #[serde(default)]
    path: String,
    /// Folders below that one that are looked into; all without it.
    max_depth: Option<usize>,
}

/// Files of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceListing)]
struct Listing {
    agent_id: String,
    /// A folder's files come before its folders.
    files: Vec<Item>,
    /// As in the envelope.
    message: String,
    /// Whose files they are.
    #[schema(value_type = String)]
    user_id: UserId,
    /// The folder that was listed; empty for the workspace itself.
    path: String,
    max_depth: Option<usize>,
    /// Whether there is more below `max_depth`.
    truncated_by_depth: bool,
}

/// A file or folder of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceItem)]
struct Item {
    name: String,
    /// From the workspace on, with `/`.
    #[schema(value_type = String)]
    path: FilePath,
    /// Bytes; 0 for folders.
    size: u64,
    /// Seconds since the epoch.
    modified_time: f64,
    is_directory: bool,
}

impl From<Entry> for Item {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.path.name().to_owned(),
            size: entry.size,
            modified_time: seconds(entry.modified_at),
            is_directory: entry.folder,
            path: entry.path,
        }
    }
}

/// Lists the caller's files of an agent, with all folders.
///
/// Of an agent that does not exist, or not for the caller, there are none.
#[utoipa::path(
    post,
    path = "/api/agent/{agent_id}/file_workspace",
    params(("agent_id" = String, Path, description = "The agent, or `default_agent` for work without one."), ListQuery),
    responses((status = 200, description = "The files.", body = Replied<Listing>)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Listing> {
    let folder = match query.path.as_str() {
        "" | "." | "./" => None,
        path => Some(parsed(path)?),
    };
    let workspace = workspace(&app, &caller, &agent_id, query.session_id.as_deref()).await?;
    let files = match &workspace {
        Some(workspace) => {
            let limit = usize::try_from(MAX_FILES).unwrap_or(usize::MAX);
            app.workspaces.list(workspace, folder.as_ref(), limit).await.map_err(failed)?
        }
        None => Vec::new(),
    };
    let view = View { folder: folder.as_ref(), depth: query.max_depth, hidden: false };
    let shown = tree::shown(&files, view);
    let message = match shown.entries.is_empty() {
        true => text("工作空间为空", "The workspace is empty"),
        false => text("获取文件列表成功", "Files retrieved"),
    };
    let listing = Listing {
        agent_id,
        files: shown.entries.into_iter().map(Item::from).collect(),
        message: message.localized().to_owned(),
        user_id: workspace.map_or(caller.user, |workspace| workspace.owner),
        path: folder.map(|folder| folder.to_string()).unwrap_or_default(),
        max_depth: query.max_depth,
        truncated_by_depth: shown.cut,
    };
    Ok(Reply(message, listing))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RemoveQuery {
    /// For administrators: the conversation whose owner's files are meant.
    session_id: Option<String>,
    /// The file or folder, from the workspace on.
    #[serde(default)]
    #[param(required)]
    file_path: String,
    /// Whether it is fine if there is no such file.
    #[serde(default)]
    missing_ok: bool,
}

/// Nothing more than that it worked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FileDeleted)]
struct Removed {}

/// Deletes a file, or a folder with all that is in it.
#[utoipa::path(
    delete,
    path = "/api/agent/{agent_id}/file_workspace/delete",
    params(("agent_id" = String, Path, description = "The agent, or `default_agent` for work without one."), RemoveQuery),
    responses((status = 200, description = "It is gone.", body = Replied<Removed>)),
)]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<Removed> {
    let sent = query.file_path;
    let path = parsed(&sent)?;
    let deleted = text(format!("文件 {sent} 已删除"), format!("File {sent} deleted"));
    let removed = match workspace(&app, &caller, &agent_id, query.session_id.as_deref()).await? {
        Some(workspace) => app.workspaces.remove(&workspace, &path, &caller.metadata()).await,
        None => Err(Refusal::Unknown.into()),
    };
    match removed {
        Ok(_) => Ok(Reply(deleted, Removed {})),
        Err(WorkspaceError::Refused(Refusal::Unknown)) if query.missing_ok => {
            Ok(Reply(deleted, Removed {}))
        }
        Err(error) => Err(worded(error, &sent)),
    }
}

/// The workspace a request means: the caller's own for an agent they may use. An administrator who names a conversation
/// means its owner's. `None` when there is no such agent for them: such a workspace is empty.
async fn workspace(
    app: &App,
    caller: &Caller,
    agent_id: &str,
    session_id: Option<&str>,
) -> std::result::Result<Option<Workspace>, Fault> {
    let Some(agent) = agent_of(app, caller, agent_id).await? else { return Ok(None) };
    let session = session_id.filter(|id| caller.admin && !is_bad_id(id));
    let owner = match session {
        Some(session) => conversations::owner_of_session(&app.db, session).await?,
        None => None,
    };
    Ok(Some(Workspace { owner: owner.unwrap_or_else(|| caller.user.clone()), agent }))
}

/// The agent of this id, if the caller may use it; `Some(None)` is work without an agent.
pub(super) async fn agent_of(
    app: &App,
    caller: &Caller,
    id: &str,
) -> std::result::Result<Option<Option<AgentId>>, Fault> {
    if id == NO_AGENT {
        return Ok(Some(None));
    }
    let usable = agents::usable(app, caller, id).await?;
    Ok(usable.map(|agent| Some(AgentId(agent.agent_id))))
}

/// The path that was sent.
fn parsed(path: &str) -> std::result::Result<FilePath, Fault> {
    if path.is_empty() {
        return Err(Fault::raised(text("缺少必要的路径参数", "A path is needed")));
    }
    FilePath::parse(path).map_err(|_| Fault::raised(outside()))
}

fn outside() -> Text {
    text(
        "访问被拒绝：文件路径超出工作空间范围",
        "Access denied: the path is not one within the workspace",
    )
}

fn missing(path: &str) -> Text {
    text(format!("文件不存在: {path}"), format!("File does not exist: {path}"))
}

/// A failure about the file at `path`.
fn worded(error: WorkspaceError, path: &str) -> Fault {
    match error {
        WorkspaceError::Refused(Refusal::Unknown) => Fault::raised(missing(path)),
        WorkspaceError::Refused(Refusal::Changed) => Fault::raised(text(
            format!("文件 {path} 已被修改"),
            format!("File {path} was changed in the meantime"),
        )),
        WorkspaceError::Refused(Refusal::TooLarge) => Fault::raised(text(
            format!("文件 {path} 超过大小限制（{} MB）", MAX_FILE >> 20),
            format!("File {path} is larger than {} MB", MAX_FILE >> 20),
        )),
        WorkspaceError::InTheWay(other) => Fault::raised(text(
            format!("路径冲突: {other} 已存在"),
            format!("{other} is in the way"),
        )),
        WorkspaceError::Full => Fault::raised(text("工作空间已满", "The workspace is full")),
        error => failed(error),
    }
}

/// A failure that is nobody's fault.
fn failed(error: WorkspaceError) -> Fault {
    match error {
        WorkspaceError::Failed(failure) => Error::from(failure).into(),
        error => Error::Unavailable(error.to_string()).into(),
    }
}

fn kind(media_type: &str) -> &str {
    if media_type.is_empty() { "application/octet-stream" } else { media_type }
}

fn seconds(at: DateTime<Utc>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit in 53 bits")]
    let micros = at.timestamp_micros() as f64;
    micros / 1e6
}

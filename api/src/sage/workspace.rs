//! Files of an agent's workspace: always the caller's own, whoever else uses the agent.

mod download;
mod incoming;

use super::{Fault, Reply, Result, Text, agents, chat::is_bad_id, text};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path, Query, extract::OptionalJson},
};
use axum::{
    Router,
    extract::State,
    routing::{delete, get, post},
};
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
use serde_json::{Value, json};

/// Most files of which somebody asks at once.
const ASKED: usize = 200;
/// How conversations without an agent name theirs; its workspace is that of work without an agent.
const NO_AGENT: &str = "default_agent";

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/agent/abilities", post(abilities))
        .route("/api/agent/{agent_id}/file_workspace", post(list))
        .route("/api/agent/{agent_id}/file_workspace/download", get(download::download))
        .route("/api/agent/{agent_id}/file_workspace/delete", delete(remove))
        .route("/api/agent/{agent_id}/file_workspace/stat", post(stat))
        .route("/api/agent/{agent_id}/file_workspace/upload", post(incoming::upload))
        .route("/api/agent/{agent_id}/file_workspace/download_from_url", post(incoming::from_url))
}

/// Suggestions for what an agent could do: there are none.
async fn abilities(_: Caller, OptionalJson(_): OptionalJson<Value>) -> Result<Value> {
    Ok(Reply(text("获取能力列表成功", "Abilities retrieved"), json!({"items": []})))
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    session_id: Option<String>,
    /// The folder to list; the workspace itself when empty.
    #[serde(default)]
    path: String,
    max_depth: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Listing {
    agent_id: String,
    files: Vec<Item>,
    message: String,
    user_id: UserId,
    path: String,
    max_depth: Option<usize>,
    truncated_by_depth: bool,
}

#[derive(Debug, Serialize)]
struct Item {
    name: String,
    path: FilePath,
    size: u64,
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

#[derive(Debug, Deserialize)]
struct RemoveQuery {
    session_id: Option<String>,
    #[serde(default)]
    file_path: String,
    #[serde(default)]
    missing_ok: bool,
}

async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<Value> {
    let sent = query.file_path;
    let path = parsed(&sent)?;
    let deleted = text(format!("文件 {sent} 已删除"), format!("File {sent} deleted"));
    let removed = match workspace(&app, &caller, &agent_id, query.session_id.as_deref()).await? {
        Some(workspace) => app.workspaces.remove(&workspace, &path, &caller.metadata()).await,
        None => Err(Refusal::Unknown.into()),
    };
    match removed {
        Ok(_) => Ok(Reply(deleted, json!({}))),
        Err(WorkspaceError::Refused(Refusal::Unknown)) if query.missing_ok => {
            Ok(Reply(deleted, json!({})))
        }
        Err(error) => Err(worded(error, &sent)),
    }
}

#[derive(Debug, Deserialize)]
struct StatQuery {
    session_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StatBody {
    paths: Vec<String>,
    #[serde(default)]
    include_content_hash: bool,
}

/// What is known of each path, each with its own failure.
async fn stat(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    Query(query): Query<StatQuery>,
    Json(body): Json<StatBody>,
) -> Result<Value> {
    if body.paths.len() > ASKED {
        return Err(Fault::raised(text(
            format!("一次最多查询 {ASKED} 个文件"),
            format!("At most {ASKED} files can be asked for at once"),
        )));
    }
    let workspace = workspace(&app, &caller, &agent_id, query.session_id.as_deref()).await?;
    let mut files = Vec::new();
    for sent in &body.paths {
        let found = match (FilePath::parse(sent), &workspace) {
            (Err(_), _) => absent(sent, "ACCESS_DENIED", &outside()),
            (Ok(_), None) => absent(sent, "FILE_NOT_FOUND", &missing(sent)),
            (Ok(path), Some(workspace)) => {
                known(&app, workspace, &path, sent, body.include_content_hash).await?
            }
        };
        files.push(found);
    }
    Ok(Reply(text("获取文件信息成功", "File information retrieved"), json!({"files": files})))
}

async fn known(
    app: &App,
    workspace: &Workspace,
    path: &FilePath,
    sent: &str,
    with_hash: bool,
) -> std::result::Result<Value, Fault> {
    let folder = path.folders().last();
    let limit = usize::try_from(MAX_FILES).unwrap_or(usize::MAX);
    let around = app.workspaces.list(workspace, folder.as_ref(), limit).await.map_err(failed)?;
    let view = View { folder: folder.as_ref(), depth: Some(0), hidden: true };
    let entry = tree::shown(&around, view).entries.into_iter().find(|entry| entry.path == *path);
    let Some(entry) = entry else { return Ok(absent(sent, "FILE_NOT_FOUND", &missing(sent))) };
    let file = around.iter().find(|file| file.path == *path);
    let mut found = json!({
        "path": path,
        "exists": true,
        "is_directory": entry.folder,
        "size": entry.size,
        "modified_time": seconds(entry.modified_at),
        "content_type": file.map_or("inode/directory", |file| kind(&file.content.media_type)),
    });
    if let (Some(file), true) = (file, with_hash) {
        found["content_hash"] = json!(file.content.blob);
        found["hash_algorithm"] = json!("sha256");
    }
    Ok(found)
}

fn absent(path: &str, code: &str, message: &Text) -> Value {
    json!({"path": path, "exists": false, "is_directory": false, "error_code": code,
        "message": message.localized()})
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

//! What is known of files in a workspace.

use super::{failed, kind, missing, outside, seconds, workspace};
use crate::{
    app::App,
    core::{Caller, Json, Path, Query},
    sage::{Fault, Reply, Result, Text, envelope::Replied, text},
};
use axum::extract::State;
use commands::workspaces::tree::{self, View};
use domain::{
    document::BlobHash,
    workspace_file::{FilePath, MAX_FILES, Workspace},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most files of which somebody asks at once.
const ASKED: usize = 200;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatQuery {
    /// For administrators: the conversation whose owner's files are meant.
    session_id: Option<String>,
}

/// Which files somebody asks about.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WorkspaceQuestion)]
pub(super) struct StatBody {
    #[schema(max_items = 200)]
    paths: Vec<String>,
    /// Whether the digests of their contents are wanted.
    #[serde(default)]
    include_content_hash: bool,
}

/// What is known of the files, in the order of the question.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceKnown)]
pub(super) struct Answer {
    files: Vec<Stat>,
}

/// What is known of a path, or why nothing is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = WorkspaceStat)]
enum Stat {
    Known(Known),
    Absent(Absent),
}

/// A file or folder that is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceStatKnown)]
struct Known {
    #[schema(value_type = String)]
    path: FilePath,
    /// Always true.
    exists: bool,
    is_directory: bool,
    /// Bytes; 0 for folders.
    size: u64,
    /// Seconds since the epoch.
    modified_time: f64,
    /// `inode/directory` for folders.
    content_type: String,
    /// Of a file, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    content_hash: Option<BlobHash>,
    /// `sha256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_algorithm: Option<&'static str>,
}

/// A path under which nothing is found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceStatAbsent)]
struct Absent {
    /// As it was sent.
    path: String,
    /// Always false.
    exists: bool,
    /// Always false.
    is_directory: bool,
    /// `FILE_NOT_FOUND` or `ACCESS_DENIED`.
    error_code: &'static str,
    /// For people, in their language.
    message: String,
}

/// Tells what is known of files, of each with its own failure.
#[utoipa::path(
    post,
    path = "/api/agent/{agent_id}/file_workspace/stat",
    params(("agent_id" = String, Path, description = "The agent, or `default_agent` for work without one."), StatQuery),
    request_body = StatBody,
    responses((status = 200, description = "What is known.", body = Replied<Answer>)),
)]
pub(super) async fn stat(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    Query(query): Query<StatQuery>,
    Json(body): Json<StatBody>,
) -> Result<Answer> {
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
                known(&app, workspace, path, sent, body.include_content_hash).await?
            }
        };
        files.push(found);
    }
    Ok(Reply(text("获取文件信息成功", "File information retrieved"), Answer { files }))
}

async fn known(
    app: &App,
    workspace: &Workspace,
    path: FilePath,
    sent: &str,
    with_hash: bool,
) -> std::result::Result<Stat, Fault> {
    let folder = path.folders().last();
    let limit = usize::try_from(MAX_FILES).unwrap_or(usize::MAX);
    let around = app.workspaces.list(workspace, folder.as_ref(), limit).await.map_err(failed)?;
    let view = View { folder: folder.as_ref(), depth: Some(0), hidden: true };
    let entry = tree::shown(&around, view).entries.into_iter().find(|entry| entry.path == path);
    let Some(entry) = entry else { return Ok(absent(sent, "FILE_NOT_FOUND", &missing(sent))) };
    let file = around.into_iter().find(|file| file.path == path);
    let media_type = file.as_ref().map(|file| kind(&file.content.media_type).to_owned());
    let hash = file.filter(|_| with_hash).map(|file| file.content.blob);
    Ok(Stat::Known(Known {
        path,
        exists: true,
        is_directory: entry.folder,
        size: entry.size,
        modified_time: seconds(entry.modified_at),
        content_type: media_type.unwrap_or_else(|| "inode/directory".to_owned()),
        hash_algorithm: hash.is_some().then_some("sha256"),
        content_hash: hash,
    }))
}

fn absent(path: &str, error_code: &'static str, message: &Text) -> Stat {
    let message = message.localized().to_owned();
    let path = path.to_owned();
    Stat::Absent(Absent { path, exists: false, is_directory: false, error_code, message })
}

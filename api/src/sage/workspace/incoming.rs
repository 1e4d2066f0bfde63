//! Files that come into a workspace: sent as a form, or fetched from a URL.

use super::{outside, worded, workspace};
use crate::{
    app::App,
    core::{
        Caller, Json, Path,
        upload::{self, Form, Incoming, Part, Refused, Rules},
    },
    sage::{Fault, Reply, Result, Text, agents, envelope::Replied, outbound, text},
};
use axum::extract::State;
use commands::effects::{
    blobs::Blob,
    fetch::{Fetcher, Limits, Reach},
};
use domain::workspace_file::{Basis, FilePath, MAX_FILE, Workspace};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What one form may hold.
const RULES: Rules = Rules { file_bytes: MAX_FILE, files: 1 };
/// Limits of a file from a URL.
const LIMITS: Limits = Limits { bytes: 64 << 20, time: Duration::from_secs(60) };

/// A file that came into a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FileArrived)]
pub(super) struct Arrived {
    filename: String,
    /// From the workspace on.
    #[schema(value_type = String)]
    path: FilePath,
    /// Bytes.
    size: u64,
}

/// A file for a workspace.
#[derive(ToSchema)]
#[schema(as = WorkspaceUpload)]
#[expect(dead_code, reason = "it is read part by part")]
struct Upload {
    /// At most 256 MB.
    #[schema(value_type = String, format = Binary)]
    file: (),
    /// The folder it goes to; the workspace itself when empty.
    target_path: Option<String>,
}

/// Puts a file into the caller's workspace, in place of one of that name.
#[utoipa::path(
    post,
    path = "/api/agent/{agent_id}/file_workspace/upload",
    params(("agent_id" = String, Path, description = "The agent, or `default_agent` for work without one.")),
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses((status = 200, description = "Where it is now.", body = Replied<Arrived>)),
)]
pub(super) async fn upload(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    incoming: Incoming,
) -> Result<Arrived> {
    let workspace = usable(&app, &caller, &agent_id).await?;
    let mut form = incoming.open(&app.library.blobs, RULES);
    match receive(&mut form).await {
        Ok((name, blob, folder)) => record(&app, &caller, &workspace, &folder, name, blob).await,
        Err(fault) => {
            form.discard().await;
            Err(fault)
        }
    }
}

/// The whole form: the file's name, its bytes, and the folder it goes to.
async fn receive(form: &mut Form<'_>) -> std::result::Result<(String, Blob, String), Fault> {
    let (mut sent, mut folder) = (None, String::new());
    while let Some(part) = form.next().await.map_err(refused)? {
        match part {
            Part::File { field, file } if field == "file" => sent = Some((file.name, file.blob)),
            Part::Text { name, value } if name == "target_path" => {
                placed(&value, "file")?;
                folder = value;
            }
            Part::Text { .. } | Part::File { .. } => {}
        }
    }
    let (name, blob) = sent.ok_or_else(|| upload::missing("file"))?;
    Ok((name, blob, folder))
}

fn refused(refused: Refused) -> Fault {
    match refused {
        Refused::TooLarge { name, limit } => Fault::raised(text(
            format!("文件 {name} 超过大小限制（{} MB）", limit >> 20),
            format!("File {name} is larger than {} MB", limit >> 20),
        )),
        Refused::TooMany(limit) => Fault::raised(text(
            format!("一次最多上传 {limit} 个文件"),
            format!("At most {limit} files can be uploaded at once"),
        )),
        Refused::Other(error) => error.into(),
    }
}

/// A file to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WorkspaceFetch)]
pub(super) struct UrlBody {
    /// Public, with `http` or `https`. Also as `url`.
    #[serde(alias = "url")]
    source_url: String,
    /// How it is called; without it as the URL ends.
    #[serde(default)]
    filename: Option<String>,
    /// The folder it goes to; the workspace itself when empty.
    #[serde(default)]
    target_path: String,
}

/// Fetches a file from a URL into the caller's workspace, at most 64 MB in a minute.
#[utoipa::path(
    post,
    path = "/api/agent/{agent_id}/file_workspace/download_from_url",
    params(("agent_id" = String, Path, description = "The agent, or `default_agent` for work without one.")),
    request_body = UrlBody,
    responses((status = 200, description = "Where it is now.", body = Replied<Arrived>)),
)]
pub(super) async fn from_url(
    State(app): State<App>,
    caller: Caller,
    Path(agent_id): Path<String>,
    Json(body): Json<UrlBody>,
) -> Result<Arrived> {
    let workspace = usable(&app, &caller, &agent_id).await?;
    let named = body.filename.filter(|name| !name.is_empty());
    placed(&body.target_path, named.as_deref().unwrap_or("file"))?;
    let reach = match app.config.allow_private_urls {
        true => Reach::Anywhere,
        false => Reach::Public,
    };
    let fetched = match Fetcher::new(reach).get(&body.source_url, LIMITS).await {
        Ok(fetched) if fetched.status < 400 => Ok(fetched),
        Ok(fetched) => Err(outbound::answered(fetched.status)),
        Err(error) => Err(outbound::unfetched(&error)),
    };
    let failed = |why: Text| Fault::raised(why.prefixed("下载失败: ", "Download failed: "));
    let fetched = fetched.map_err(failed)?;
    let last = fetched.url.path_segments().and_then(|mut names| names.next_back());
    let name = named.unwrap_or_else(|| match last {
        Some(name) if FilePath::parse(name).is_ok() => name.to_owned(),
        _ => "file".to_owned(),
    });
    let bytes = futures::stream::iter([Ok::<_, std::convert::Infallible>(fetched.body)]);
    let blob = app.library.blobs.put(bytes, MAX_FILE).await;
    let blob = blob.map_err(|error| super::failed(error.into()))?;
    record(&app, &caller, &workspace, &body.target_path, name, blob).await
}

async fn record(
    app: &App,
    caller: &Caller,
    workspace: &Workspace,
    folder: &str,
    filename: String,
    blob: Blob,
) -> Result<Arrived> {
    let (path, size) = (placed(folder, &filename)?, blob.size);
    let metadata = caller.metadata();
    let recorded = app.workspaces.record(workspace, &path, blob, Basis::Anything, &metadata).await;
    recorded.map_err(|error| worded(error, path.as_str()))?;
    let message = text(format!("文件 {filename} 上传成功"), format!("File {filename} uploaded"));
    Ok(Reply(message, Arrived { filename, path, size }))
}

/// Where a file of this name goes; its name is one, and no path of its own.
fn placed(folder: &str, name: &str) -> std::result::Result<FilePath, Fault> {
    let file = FilePath::parse(name).ok().filter(|file| !file.as_str().contains('/'));
    let path = file.and_then(|file| match folder {
        "" | "." | "./" => Some(file),
        folder => FilePath::parse(folder).ok()?.join(file.as_str()).ok(),
    });
    path.ok_or_else(|| Fault::raised(outside()))
}

async fn usable(
    app: &App,
    caller: &Caller,
    agent_id: &str,
) -> std::result::Result<Workspace, Fault> {
    let found = workspace(app, caller, agent_id, None).await?;
    found.ok_or_else(|| Fault::raised(agents::missing(agent_id)))
}

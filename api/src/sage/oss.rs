//! Files that are uploaded to be linked to, and how they are read.

mod files;
mod names;

use super::{Fault, Reply, Result, Text, text};
use crate::{
    app::App,
    core::{
        Caller, Error, Json,
        site::Site,
        stored_file::in_url,
        upload::{self, File, Form, Incoming, Part, Refused, Rules},
    },
};
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use chrono::Local;
use commands::{
    effects::blobs::Blob,
    execute,
    links::{self, TakenIn},
};
use domain::{
    ids::UploadId,
    upload::{self as uploaded, Command, Refusal, Upload},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// One file per upload, as large as one of a knowledge base.
const RULES: Rules = Rules { file_bytes: 100 << 20, files: 1 };
/// When to try again while others fetch files.
const LATER: Duration = Duration::from_secs(5);

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/oss/upload", post(store))
        .route("/api/oss/import_url", post(import))
        .route("/api/oss/files/{id}/{*key}", get(files::read))
}

async fn store(
    State(app): State<App>,
    caller: Caller,
    site: Site,
    incoming: Incoming,
) -> Result<Value> {
    let mut form = incoming.open(&app.library.blobs, RULES);
    match receive(&mut form).await {
        Ok((file, path)) => {
            let name = names::plain(&file.name);
            let media_type = names::media_type(&file.media_type, &name);
            let url = keep(&app, &caller, &site, &path, &name, file.blob, media_type).await?;
            Ok(Reply(Text::default(), json!({"url": url})))
        }
        Err(fault) => {
            form.discard().await;
            Err(fault)
        }
    }
}

/// The whole form: its texts may stand before or after the file.
async fn receive(form: &mut Form<'_>) -> std::result::Result<(File, String), Fault> {
    let (mut found, mut path) = (None, String::new());
    while let Some(part) = form.next().await.map_err(refused)? {
        match part {
            Part::Text { name, value } if name == "path" => path = value,
            Part::File { field, file } if field == "file" => found = Some(file),
            Part::Text { .. } | Part::File { .. } => {}
        }
    }
    Ok((found.ok_or_else(|| upload::missing("file"))?, path))
}

#[derive(Deserialize)]
struct Link {
    url: String,
}

async fn import(
    State(app): State<App>,
    caller: Caller,
    site: Site,
    Json(link): Json<Link>,
) -> Result<Value> {
    let taken = app.links.take_in(link.url.trim(), &app.library.blobs).await;
    let TakenIn { blob, name, media_type } = taken.map_err(not_taken_in)?;
    let name = names::of_link(&name, &media_type);
    let media_type = names::media_type(&media_type, &name);
    let url = keep(&app, &caller, &site, "", &name, blob, media_type).await?;
    Ok(Reply(Text::default(), json!({"url": url, "filename": name})))
}

/// Records the file and says where it can be read.
async fn keep(
    app: &App,
    caller: &Caller,
    site: &Site,
    path: &str,
    name: &str,
    blob: Blob,
    media_type: String,
) -> std::result::Result<String, Fault> {
    let stamp = Local::now().format("%Y%m%d%H%M%S").to_string();
    let key = uploaded::key(path, name, &stamp).map_err(|refusal| worded(&refusal))?;
    let id = UploadId(Uuid::new_v4());
    let url = format!("{}/api/oss/files/{}/{}", site.base(), id.0.simple(), in_url(&key));
    let owner = caller.user.clone();
    let command = Command::Keep { owner, key, blob: blob.hash, size: blob.size, media_type };
    match app.execute::<Upload>(&id, &command, &caller.metadata()).await {
        Ok(decided) => app.caught_up("uploads", decided.position).await,
        Err(execute::Error::Refused(refusal)) => return Err(worded(&refusal)),
        Err(execute::Error::Failed(failure)) => return Err(failure.into()),
    }
    Ok(url)
}

fn worded(refusal: &Refusal) -> Fault {
    let message = match refusal {
        Refusal::BadKey => "文件路径无效",
        Refusal::BadMediaType => "文件类型无效",
        Refusal::Exists | Refusal::BadBlob => "文件无法保存",
    };
    Fault::Raised(400, text(message, refusal.to_string()))
}

fn refused(refused: Refused) -> Fault {
    let message = match refused {
        Refused::TooLarge { name, limit } => {
            let megabytes = limit >> 20;
            let message = text(
                format!("文件 {name} 超过大小限制（{megabytes} MB）"),
                format!("File {name} is larger than {megabytes} MB"),
            );
            return Fault::Raised(413, message);
        }
        Refused::TooMany(_) => {
            text("一次只能上传一个文件", "Only one file can be uploaded at once")
        }
        Refused::Other(error) => return error.into(),
    };
    Fault::Raised(400, message)
}

fn not_taken_in(error: links::Error) -> Fault {
    match error {
        links::Error::Busy => Error::Throttled { retry_after: LATER }.into(),
        links::Error::Store(error) => Error::Unavailable(error.to_string()).into(),
        links::Error::Fetch(_) | links::Error::Status(_) => Fault::Raised(
            400,
            text(format!("导入失败: {error}"), format!("The import failed: {error}")),
        ),
    }
}

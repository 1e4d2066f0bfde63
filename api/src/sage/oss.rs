//! Files that are uploaded to be linked to, and how they are read.

mod files;
mod names;

use super::{
    Fault, Reply, Result, Text,
    envelope::{Failed, Replied},
    text,
};
use crate::{
    app::App,
    core::{
        Caller, Error, Json,
        site::Site,
        stored_file::in_url,
        upload::{self, File, Form, Incoming, Part, Refused, Rules},
    },
    openapi::Documented,
};
use axum::extract::State;
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
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// One file per upload, as large as one of a knowledge base.
const RULES: Rules = Rules { file_bytes: 100 << 20, files: 1 };
/// When to try again while others fetch files.
const LATER: Duration = Duration::from_secs(5);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(store))
        .routes(routes!(import))
        .routes(routes!(files::read))
        .tagged("Files")
}

/// A file to keep.
#[derive(ToSchema)]
#[schema(as = Upload)]
#[expect(dead_code, reason = "forms are read part by part")]
struct UploadBody {
    /// At most 100 MiB.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Where it belongs, as a part of its link.
    path: Option<String>,
}

/// A file that was kept.
#[derive(Serialize, ToSchema)]
struct Stored {
    /// Where everybody can read it.
    #[schema(format = "uri-reference")]
    url: String,
}

/// Uploads a file.
#[utoipa::path(
    post,
    path = "/api/oss/upload",
    request_body(content = UploadBody, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "It is kept.", body = Replied<Stored>),
        (status = 400, description = "Its path is not possible, or there is more than one file.", body = Failed),
    ),
)]
async fn store(
    State(app): State<App>,
    caller: Caller,
    site: Site,
    incoming: Incoming,
) -> Result<Stored> {
    let mut form = incoming.open(&app.library.blobs, RULES);
    match receive(&mut form).await {
        Ok((file, path)) => {
            let name = names::plain(&file.name);
            let media_type = names::media_type(&file.media_type, &name);
            let url = keep(&app, &caller, &site, &path, &name, file.blob, media_type).await?;
            Ok(Reply(Text::default(), Stored { url }))
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

/// Where a file is.
#[derive(Deserialize, ToSchema)]
#[schema(as = ImportFile)]
struct Link {
    /// An http or https URL that everybody can reach.
    #[schema(format = "uri")]
    url: String,
}

/// A file that was fetched and kept.
#[derive(Serialize, ToSchema)]
struct Imported {
    /// Where everybody can read it.
    #[schema(format = "uri-reference")]
    url: String,
    /// What it is called.
    filename: String,
}

/// Fetches a file from a URL and keeps it.
#[utoipa::path(
    post,
    path = "/api/oss/import_url",
    request_body = Link,
    responses(
        (status = 200, description = "It is kept.", body = Replied<Imported>),
        (status = 400, description = "It cannot be fetched.", body = Failed),
        (status = 429, description = "Too many at once; see the header `Retry-After`.", body = Failed),
    ),
)]
async fn import(
    State(app): State<App>,
    caller: Caller,
    site: Site,
    Json(link): Json<Link>,
) -> Result<Imported> {
    let taken = app.links.take_in(link.url.trim(), &app.library.blobs).await;
    let TakenIn { blob, name, media_type } = taken.map_err(not_taken_in)?;
    let name = names::of_link(&name, &media_type);
    let media_type = names::media_type(&media_type, &name);
    let url = keep(&app, &caller, &site, "", &name, blob, media_type).await?;
    Ok(Reply(Text::default(), Imported { url, filename: name }))
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

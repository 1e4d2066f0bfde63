//! Uploaded files as everybody with the link reads them.

use crate::{
    app::App,
    core::{
        Error, Path,
        stored_file::{self, NotSent, Readers},
    },
    sage::{Fault, envelope::Failed, text},
};
use axum::{
    extract::State,
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use domain::ids::UploadId;
use projections::uploads::{self, Row};
use uuid::Uuid;

/// Reads an uploaded file. Whoever has the link may.
#[utoipa::path(
    get,
    path = "/api/oss/files/{id}/{*key}",
    params(
        ("id" = String, Path, description = "The upload, as its link has it."),
        ("key" = String, Path, description = "The rest of the link."),
        ("Range" = Option<String>, Header, description = "One range of bytes."),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has."),
    ),
    responses(
        (status = 200, description = "The file.", content_type = "*/*", body = String, headers(
            ("ETag" = String, description = "Names these bytes."),
            ("Content-Disposition" = String, description = "What it is called, and whether browsers may show it."),
        )),
        (status = 206, description = "The part that `Range` names.", content_type = "*/*", body = String),
        (status = 304, description = "The client has it."),
        (status = 412, description = "It is not what `If-Match` names.", body = Failed),
        (status = 416, description = "It has nothing in that range.", body = Failed),
    ),
    security(()),
)]
pub(super) async fn read(
    State(app): State<App>,
    method: Method,
    Path((id, key)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let row = find(&app, &id, &key).await?;
    let blobs = &app.library.blobs;
    match stored_file::answer(blobs, &row, Readers::Everybody, &method, &headers).await {
        Ok(response) => Ok(response),
        Err(NotSent::Another) => {
            Err(Fault::Raised(412, text("文件与条件不符", "The file is another one")))
        }
        Err(NotSent::Unsatisfiable(size)) => Ok(unsatisfiable(size)),
        Err(NotSent::Core(error)) => Err(error.into()),
    }
}

/// The file of this link, whole and exact.
async fn find(app: &App, id: &str, key: &str) -> Result<Row, Fault> {
    let parsed = Uuid::try_parse(id).ok().filter(|uuid| uuid.simple().to_string() == id);
    let id = UploadId(parsed.ok_or(Error::NotFound)?);
    let mut found = uploads::get(&app.db, id).await?;
    if found.is_none() {
        // Uploaded a moment ago, perhaps at another node.
        app.settled("uploads").await?;
        found = uploads::get(&app.db, id).await?;
    }
    Ok(found.filter(|row| row.path == key).ok_or(Error::NotFound)?)
}

fn unsatisfiable(size: u64) -> Response {
    let fault = Fault::Raised(416, text("请求的范围无效", "The range cannot be satisfied"));
    ([(header::CONTENT_RANGE, format!("bytes */{size}"))], fault).into_response()
}

//! Uploaded files as everybody with the link reads them.

use crate::{
    app::App,
    core::{
        Error, Path,
        stored_file::{self, NotSent, Readers},
    },
    sage::{Fault, text},
};
use axum::{
    extract::State,
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use domain::ids::UploadId;
use projections::uploads::{self, Row};
use uuid::Uuid;

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

//! Uploaded files as everybody with the link reads them. Their bytes come from strangers and are served from our own
//! origin, so nothing in them may run here.

use super::names;
use crate::{
    app::App,
    core::{
        Error, Path,
        ranged::{Wanted, wanted},
    },
    sage::{Fault, text},
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::effects::blobs;
use domain::{document::BlobHash, ids::UploadId};
use projections::uploads::{self, Row};
use uuid::Uuid;

/// Opened as a page of its own, a file may load and run nothing, and is of no origin.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

pub(super) async fn read(
    State(app): State<App>,
    method: Method,
    Path((id, key)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let row = find(&app, &id, &key).await?;
    let (hash, size) = (BlobHash(row.blob.clone()), u64::try_from(row.size).unwrap_or_default());
    let tag = format!("\"{}\"", row.blob);
    let wanted = wanted(&method, &headers, &tag, size);
    let (status, length) = match &wanted {
        Wanted::Whole => (StatusCode::OK, size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range.end - range.start),
        Wanted::NotModified => (StatusCode::NOT_MODIFIED, 0),
        Wanted::Failed => {
            return Err(Fault::Raised(412, text("文件与条件不符", "The file is another one")));
        }
        Wanted::Unsatisfiable => return Ok(unsatisfiable(size)),
    };
    let blobs = &app.library.blobs;
    let body = match &wanted {
        _ if method == Method::HEAD || length == 0 => Body::empty(),
        Wanted::Part(range) => {
            Body::from_stream(blobs.part(&hash, range.clone()).await.map_err(lost)?)
        }
        _ => Body::from_stream(blobs.stream(&hash).await.map_err(lost)?),
    };
    let mut response = (status, described(&row, &tag)).into_response();
    let mut set = |name, value: String| {
        // Numbers and signs only, so always a value.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    };
    if wanted != Wanted::NotModified {
        set(header::CONTENT_LENGTH, length.to_string());
    }
    if let Wanted::Part(range) = &wanted {
        set(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1));
    }
    *response.body_mut() = body;
    Ok(response)
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

fn described(row: &Row, tag: &str) -> [(HeaderName, String); 8] {
    let Served { media_type, shown } = served(&row.media_type);
    let (kind, readers) = match shown {
        // Pages of other origins may show it, as clients that live elsewhere do.
        true => ("inline", "cross-origin"),
        false => ("attachment", "same-origin"),
    };
    [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_DISPOSITION, names::disposition(kind, &row.path)),
        (header::ETAG, tag.to_owned()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (HeaderName::from_static("cross-origin-resource-policy"), readers.to_owned()),
    ]
}

/// How a file is told to browsers.
#[derive(Debug, PartialEq, Eq)]
struct Served {
    media_type: String,
    /// Whether they may show it themselves; otherwise it is saved.
    shown: bool,
}

fn served(media_type: &str) -> Served {
    let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
    // A page's script tag does not care whether it was meant to be saved.
    let script = ["javascript", "ecmascript", "jscript", "livescript"]
        .iter()
        .any(|language| subtype.contains(language));
    if script {
        return Served { media_type: "text/plain; charset=utf-8".to_owned(), shown: false };
    }
    let shown = match kind {
        "image" => !subtype.contains("svg"),
        "audio" | "video" => true,
        _ => matches!(media_type, "text/plain" | "application/json"),
    };
    let media_type = match kind {
        "text" => format!("{media_type}; charset=utf-8"),
        _ => media_type.to_owned(),
    };
    Served { media_type, shown }
}

fn unsatisfiable(size: u64) -> Response {
    let fault = Fault::Raised(416, text("请求的范围无效", "The range cannot be satisfied"));
    ([(header::CONTENT_RANGE, format!("bytes */{size}"))], fault).into_response()
}

fn lost(error: blobs::Error) -> Error {
    match error {
        blobs::Error::Store(error) => Error::Unavailable(error.to_string()),
        // It was there when it was recorded.
        error => Error::Internal(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_run_is_shown() {
        for (media_type, shown) in [
            ("image/png", true),
            ("image/svg+xml", false),
            ("text/plain", true),
            ("text/html", false),
            ("text/xml", false),
            ("application/xhtml+xml", false),
            ("application/pdf", false),
            ("video/mp4", true),
            ("multipart/x-mixed-replace", false),
        ] {
            assert_eq!(served(media_type).shown, shown, "{media_type}");
        }
    }

    #[test]
    fn a_script_is_told_to_be_text() {
        for media_type in ["text/javascript", "application/x-javascript", "text/ecmascript"] {
            let told = Served { media_type: "text/plain; charset=utf-8".into(), shown: false };
            assert_eq!(served(media_type), told, "{media_type}");
        }
    }
}

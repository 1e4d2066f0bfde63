//! Files from the blob store as browsers read them. Their bytes come from strangers and are served from our own origin, so
//! nothing in them may run here.

use super::{
    Error,
    ranged::{Wanted, wanted},
    site::RESERVED,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::effects::blobs::{self, Blobs};
use domain::document::BlobHash;
use percent_encoding::utf8_percent_encode;
use projections::uploads::Row;

/// Opened as a page of its own, a file may load and run nothing, and is of no origin.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Who may keep copies of a file, and who may show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whoever has the link.
    Everybody,
    /// Its owner.
    Owner,
}

/// Why a file is not sent.
#[derive(Debug)]
pub enum NotSent {
    /// The request holds for another file only: 412.
    Another,
    /// Nothing of a file of so many bytes lies in the range: 416.
    Unsatisfiable(u64),
    /// Anything else.
    Core(Error),
}

/// The file of this row, or what the request wants of it.
///
/// # Errors
/// [`NotSent`].
pub async fn answer(
    blobs: &Blobs,
    row: &Row,
    readers: Readers,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, NotSent> {
    let (hash, size) = (BlobHash(row.blob.clone()), u64::try_from(row.size).unwrap_or_default());
    let tag = format!("\"{}\"", row.blob);
    let wanted = wanted(method, headers, &tag, size);
    let (status, length) = match &wanted {
        Wanted::Whole => (StatusCode::OK, size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range.end - range.start),
        Wanted::NotModified => (StatusCode::NOT_MODIFIED, 0),
        Wanted::Failed => return Err(NotSent::Another),
        Wanted::Unsatisfiable => return Err(NotSent::Unsatisfiable(size)),
    };
    let body = match &wanted {
        _ if method == Method::HEAD || length == 0 => Body::empty(),
        Wanted::Part(range) => {
            Body::from_stream(blobs.part(&hash, range.clone()).await.map_err(lost)?)
        }
        _ => Body::from_stream(blobs.stream(&hash).await.map_err(lost)?),
    };
    let mut response = (status, described(row, readers, &tag)).into_response();
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

fn described(row: &Row, readers: Readers, tag: &str) -> [(HeaderName, String); 8] {
    let Served { media_type, shown } = served(&row.media_type);
    let kind = if shown { "inline" } else { "attachment" };
    let (pages, cached) = match readers {
        // Pages of other origins may show it, as clients that live elsewhere do.
        Readers::Everybody if shown => ("cross-origin", "public, max-age=31536000, immutable"),
        Readers::Everybody => ("same-origin", "public, max-age=31536000, immutable"),
        Readers::Owner => ("same-origin", "private, no-cache"),
    };
    [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_DISPOSITION, disposition(kind, &row.path)),
        (header::ETAG, tag.to_owned()),
        (header::CACHE_CONTROL, cached.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (HeaderName::from_static("cross-origin-resource-policy"), pages.to_owned()),
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

fn lost(error: blobs::Error) -> NotSent {
    NotSent::Core(match error {
        blobs::Error::Store(error) => Error::Unavailable(error.to_string()),
        // It was there when it was recorded.
        error => Error::Internal(error.to_string()),
    })
}

/// The key as the end of a URL.
pub fn in_url(key: &str) -> String {
    let encode = |part| utf8_percent_encode(part, RESERVED).to_string();
    key.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// `Content-Disposition` (RFC 6266) for the file of this key, with its name for old and new clients.
fn disposition(kind: &str, key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or_default();
    let old = |c: char| match c {
        '"' | '\\' | '%' => '_',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '_',
    };
    let old: String = name.chars().map(old).collect();
    format!("{kind}; filename=\"{old}\"; filename*=UTF-8''{}", in_url(name))
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

    #[test]
    fn names_survive_headers_and_urls() {
        let key = "a/猫 \"1\";\\%.png";
        assert_eq!(in_url(key), "a/%E7%8C%AB%20%221%22%3B%5C%25.png");
        assert_eq!(
            disposition("inline", key),
            "inline; filename=\"_ _1_;__.png\"; filename*=UTF-8''%E7%8C%AB%20%221%22%3B%5C%25.png"
        );
    }
}

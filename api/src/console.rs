//! `/console`: a small web application for people. Plain modules that lie in the binary; what they show comes from the API.

mod files;

use crate::{
    app::App,
    core::{Caller, Error, Path, ranged},
};
use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use files::File;
use reqwest::Url;

/// Nothing but what lies here, and nobody frames it: text from models and documents must never become script.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Known by its contents for ever: the address changes with them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Kept, but asked about each time.
const ASK_AGAIN: &str = "no-cache";

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/console", get(page))
        .route("/console/", get(page))
        .route("/console/{*path}", get(page))
        .route("/console/app/{*path}", get(asset))
}

/// The page, whatever is behind `/console`: it finds out itself which of its pages is meant. Who is not logged in does that
/// first and comes back to the same place.
async fn page(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    let root = root(app.config.public_url.as_deref());
    match Caller::from_request_parts(&mut parts, &app).await {
        Ok(_) => {}
        Err(Error::Unauthenticated(_)) => {
            let here = parts.uri.path_and_query().map_or("/console", |here| here.as_str());
            let next: String =
                form_urlencoded::byte_serialize(format!("{root}{here}").as_bytes()).collect();
            let quiet = [(header::CACHE_CONTROL, "no-store"), (header::VARY, "Cookie")];
            return Ok((quiet, Redirect::to(&format!("{root}/login?next={next}"))).into_response());
        }
        Err(error) => return Err(error),
    }
    let version = files::version();
    let text = files::PAGE
        .replace("{{assets}}", &format!("{root}/console/app/{version}/"))
        .replace("{{root}}", &root);
    let tag = files::tag(text.as_bytes());
    let mut response =
        sent(&parts.method, &parts.headers, &tag, "text/html; charset=utf-8", text.into());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
    Ok(response)
}

/// A file of the application, with or without the version in its path. They say nothing about anybody and need no login.
async fn asset(
    method: Method,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Result<Response, Error> {
    let version = files::version();
    let current = path.strip_prefix(version).and_then(|rest| rest.strip_prefix('/'));
    let name = current.unwrap_or_else(|| files::unversioned(&path));
    let File { kind, bytes, tag, .. } = files::find(name).ok_or(Error::NoSuchPath)?;
    let mut response = sent(&method, &headers, tag, kind, (*bytes).into());
    let caching = if current.is_some() { FOR_EVER } else { ASK_AGAIN };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

/// The bytes, or that the browser has them.
fn sent(
    method: &Method,
    headers: &HeaderMap,
    tag: &str,
    kind: &'static str,
    bytes: axum::body::Bytes,
) -> Response {
    let mut response = match ranged::wanted(method, headers, tag, bytes.len() as u64) {
        ranged::Wanted::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        ranged::Wanted::Failed => StatusCode::PRECONDITION_FAILED.into_response(),
        _ => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
    };
    let own = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        own.insert(header::ETAG, tag);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        own.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What a proxy that serves this below a path of its own puts before ours: the path of the configured URL.
fn root(public_url: Option<&str>) -> String {
    let url = public_url.and_then(|url| Url::parse(url).ok());
    url.map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_public_url_comes_first() {
        assert_eq!(root(None), "");
        assert_eq!(root(Some("https://a.example")), "");
        assert_eq!(root(Some("https://a.example/annals")), "/annals");
    }
}

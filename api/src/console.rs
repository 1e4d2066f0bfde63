//! `/console`: a small web application for people. Plain modules that lie in the binary; what they show comes from the API.

mod files;

use crate::{
    app::App,
    core::{Caller, Error, Path, ranged},
    openapi::Documented,
};
use axum::{
    body::Bytes,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use files::File;
use reqwest::Url;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Nothing but what lies here, and nobody frames it: text from models and documents must never become script.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Known by its contents for ever: the address changes with them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Kept, but asked about each time.
const ASK_AGAIN: &str = "no-cache";

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(front))
        .also("/console/", routes!(front))
        .routes(routes!(page))
        .routes(routes!(asset))
        .tagged("Console")
}

/// Shows the console, or leads to the login page and from there back.
#[utoipa::path(
    get,
    path = "/console",
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html"),
        (status = 303, description = "To the login page, and from there back."),
        (status = 304, description = "As `If-None-Match` has it."),
    ),
    security(()),
)]
async fn front(State(app): State<App>, request: Request) -> Result<Response, Error> {
    shown(&app, request).await
}

/// Shows a page of the console, or leads to the login page and from there back.
#[utoipa::path(
    get,
    path = "/console/{*path}",
    params(("path" = String, Path, description = "Which page, such as `runs`.")),
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html"),
        (status = 303, description = "To the login page, and from there back."),
        (status = 304, description = "As `If-None-Match` has it."),
    ),
    security(()),
)]
async fn page(State(app): State<App>, request: Request) -> Result<Response, Error> {
    shown(&app, request).await
}

/// The same page whatever is behind `/console`: it finds out itself which of its pages is meant.
async fn shown(app: &App, request: Request) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    let root = root(app.config.public_url.as_deref());
    match Caller::from_request_parts(&mut parts, app).await {
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

/// Gets a file of the console, with or without the version in its path.
///
/// Files say nothing about anybody and need no login.
#[utoipa::path(
    get,
    path = "/console/app/{*path}",
    params(("path" = String, Path, description = "Its name, as the page has it.")),
    responses(
        (status = 200, description = "The file.", body = String, content_type = "*/*"),
        (status = 304, description = "As `If-None-Match` has it."),
    ),
    security(()),
)]
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
    bytes: Bytes,
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

//! Pages of other origins. Whoever holds a token may call from anywhere; a cookie counts for pages of this server and of the
//! origins that the operator names. Else any page could act for whoever looks at it.

use super::{caller::VOUCHED, site::Site};
use crate::{app::App, config::Origins};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Duration;
use tower::ServiceExt;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

/// How long a browser need not ask again.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Headers of answers that scripts read.
const READ: [HeaderName; 14] = [
    HeaderName::from_static("x-run-id"),
    HeaderName::from_static("x-request-id"),
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::RETRY_AFTER,
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];

/// Answers preflights, and lets pages of other origins read answers, as [`Origins`] has it.
pub async fn across(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(origin) = parts.headers.get(header::ORIGIN).cloned() else {
        let request = Request::from_parts(parts, body);
        return vary(next.run(request).await);
    };
    let Ok(site) = Site::from_request_parts(&mut parts, &app).await;
    let ours = is_ours(&origin, &parts.headers, &site);
    let origins = &app.config.cors_origins;
    let admitted = !ours
        && match origins {
            Origins::WithToken => leave_the_token(&mut parts.headers),
            Origins::Listed(listed) => listed.contains(&origin),
        };
    let preflight = parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let request = Request::from_parts(parts, body);
    if !admitted || (*request.method() == Method::OPTIONS && !preflight) {
        return vary(next.run(request).await);
    }
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_credentials(true)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(READ)
        .max_age(REMEMBERED);
    let Ok(answer) = tower::Layer::layer(&cors, next).oneshot(request).await;
    let mut response = answer.into_response();
    if *origins == Origins::WithToken {
        // Else a page could log its visitors in as somebody else.
        response.headers_mut().remove(header::SET_COOKIE);
    }
    response
}

/// Whether the page came from here. Browsers know best; a proxy may have changed the host that the request names.
fn is_ours(origin: &HeaderValue, headers: &HeaderMap, site: &Site) -> bool {
    if fetched_from(headers).is_some_and(|site| site == "same-origin") {
        return true;
    }
    let host = |url: &str| url.split_once("://").map(|(_, host)| host.to_ascii_lowercase());
    let own = site.root.as_deref().and_then(host);
    own.is_some() && own == origin.to_str().ok().and_then(host)
}

fn fetched_from(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get("sec-fetch-site")
}

/// Takes away what a browser or a proxy adds of its own, so that nothing but a token says who calls. Whether that is all that
/// says so now: without a token, a browser that does not tell where a page came from, over plain HTTP, may be behind a proxy that
/// changes the host; the cookie then counts as ever, and the answer is not for other origins.
fn leave_the_token(headers: &mut HeaderMap) -> bool {
    let ambient = [header::COOKIE.as_str(), VOUCHED];
    if fetched_from(headers).is_some() || headers.contains_key(header::AUTHORIZATION) {
        for name in ambient {
            headers.remove(name);
        }
    }
    !ambient.iter().any(|name| headers.contains_key(*name))
}

/// Caches keep answers to each origin apart.
fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}

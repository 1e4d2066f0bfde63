//! Pages of other origins, for those whose client is served from elsewhere: what they may call is named one by one, or
//! nothing is.

use axum::http::{HeaderName, HeaderValue};
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Headers of answers that scripts read.
const READ: [HeaderName; 14] = [
    HeaderName::from_static("x-run-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("etag"),
    HeaderName::from_static("link"),
    HeaderName::from_static("location"),
    HeaderName::from_static("content-disposition"),
    HeaderName::from_static("content-range"),
    HeaderName::from_static("retry-after"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];

/// What tells browsers that pages of these origins may call this server, also with its cookie, and read every answer,
/// failures included; `None` when there are none.
pub fn layer(origins: &[HeaderValue]) -> Option<CorsLayer> {
    let origins = (!origins.is_empty()).then(|| AllowOrigin::list(origins.iter().cloned()))?;
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_credentials(true)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(READ)
        .max_age(REMEMBERED);
    Some(layer)
}

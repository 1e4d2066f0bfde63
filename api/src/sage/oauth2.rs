//! The OAuth2 authorization server (RFC 6749, 7636, 8414, 9207; 7009 and 7662 as extras), in the shapes of those
//! documents and not in the dialect's envelope.

mod authorize;
mod client_auth;
mod consent;
mod error;
mod introspect;
mod issuer;
mod metadata;
mod params;
mod token;
mod userinfo;

pub use authorize::leads_there;

use crate::{
    app::App,
    core::{Error, context},
};
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{any, get, post},
};
use error::{Refused, Result};

/// The table of contents.
pub fn routes() -> Router<App> {
    let well_known = Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata::show))
        .route("/.well-known/oauth-authorization-server/{*path}", get(metadata::of_path));
    shaped(well_known.merge(below("/oauth2")).merge(below("/api/oauth2")))
}

/// The endpoints that a configured issuer has at another place: metadata names no path that nobody serves.
pub fn elsewhere(app: &App) -> Router<App> {
    let issuer = app.config.oauth2_issuer.as_ref();
    shaped(issuer.map_or_else(Router::new, |issuer| endpoints(issuer.path())))
}

fn below(base: &str) -> Router<App> {
    let nothing = async || -> Refused { Error::NoSuchPath.into() };
    endpoints(base)
        .route(&format!("{base}/metadata"), get(metadata::show))
        .route(&format!("{base}/{{*path}}"), any(nothing))
}

fn endpoints(base: &str) -> Router<App> {
    let at = |name: &str| format!("{base}/{name}");
    Router::new()
        .route(&at("authorize"), get(authorize::authorize))
        .route(&at("consent"), post(consent::decide))
        .route(&at("token"), post(token::token))
        .route(&at("userinfo"), get(userinfo::userinfo).post(userinfo::userinfo))
        .route(&at("revoke"), post(token::revoke))
        .route(&at("introspect"), post(introspect::introspect))
}

fn shaped(router: Router<App>) -> Router<App> {
    router
        .method_not_allowed_fallback(async || Refused::from(Error::MethodNotAllowed))
        .layer(middleware::from_fn(enter))
}

async fn enter(request: Request, next: Next) -> Response {
    let mut response = context::enter(error::render, request, next).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::PRAGMA).or_insert(HeaderValue::from_static("no-cache"));
    response
}

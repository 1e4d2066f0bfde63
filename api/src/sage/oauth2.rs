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
    openapi::Documented,
};
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::any,
};
use error::{Failed, Refused, Result};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    let well_known =
        OpenApiRouter::default().routes(routes!(metadata::show)).routes(routes!(metadata::of_path));
    shaped(well_known.merge(below("/oauth2")).merge(below("/api/oauth2"))).tagged("OAuth2")
}

/// The endpoints that a configured issuer has at another place: metadata names no path that nobody serves.
pub fn elsewhere(app: &App) -> Router<App> {
    let issuer = app.config.oauth2_issuer.as_ref();
    let endpoints = issuer.map(|issuer| endpoints(issuer.path()));
    shaped(endpoints.unwrap_or_default()).into()
}

fn below(base: &str) -> OpenApiRouter<App> {
    let nothing = async || -> Refused { Error::NoSuchPath.into() };
    endpoints(base)
        .also(&format!("{base}/metadata"), routes!(metadata::show))
        .route(&format!("{base}/{{*path}}"), any(nothing))
}

fn endpoints(base: &str) -> OpenApiRouter<App> {
    let at = |name: &str| format!("{base}/{name}");
    OpenApiRouter::default()
        .also(&at("authorize"), routes!(authorize::authorize))
        .also(&at("consent"), routes!(consent::decide))
        .also(&at("token"), routes!(token::token))
        .also(&at("userinfo"), routes!(userinfo::userinfo))
        .also(&at("revoke"), routes!(token::revoke))
        .also(&at("introspect"), routes!(introspect::introspect))
}

fn shaped(routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    let (router, document) = routes.split_for_parts();
    let router = router
        .method_not_allowed_fallback(async || Refused::from(Error::MethodNotAllowed))
        .layer(middleware::from_fn(enter));
    OpenApiRouter::with_openapi(document).merge(router.into())
}

async fn enter(request: Request, next: Next) -> Response {
    let mut response = context::enter(error::render, request, next).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::PRAGMA).or_insert(HeaderValue::from_static("no-cache"));
    response
}

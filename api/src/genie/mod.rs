//! The GenieHelper dialect: bare objects on success, one error shape.

mod auth;
mod captions;
mod credentials;
mod document;
pub mod envelope;
mod fans;
mod goose;
mod ids;
mod impersonate;
mod invites;
mod items;
mod onboarding;
mod posts;
mod queue;
mod rbac_sync;
mod register;
mod roles;
pub mod skills;
mod stream_chat;
mod usage;
mod user_proxy;
mod webhook;

use crate::{
    app::App,
    core::{Error, context},
};
use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};

pub use document::document;
use envelope::Failed;
pub use envelope::{Fault, Result};
use utoipa_axum::router::OpenApiRouter;

/// The table of contents, without prefix.
fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(auth::routes().into())
        .merge(captions::routes().into())
        .merge(credentials::routes().into())
        .merge(fans::routes().into())
        .merge(goose::routes().into())
        .merge(items::routes().into())
        .merge(invites::routes().into())
        .merge(onboarding::routes().into())
        .merge(posts::routes().into())
        .merge(skills::routes().into())
        .merge(stream_chat::routes().into())
        .merge(queue::routes().into())
        .merge(register::routes())
        .merge(usage::routes().into())
        .merge(user_proxy::routes().into())
        .merge(rbac_sync::routes().into())
        .merge(impersonate::routes().into())
}

/// All routes of the dialect but those that another one serves, too, without prefix, each failing in the dialect's shape.
pub fn routes() -> Router<App> {
    Router::from(resources())
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(middleware::from_fn(enter))
}

/// `GET /api/skills`, which another dialect serves at the same path.
pub fn skill_list() -> Router<App> {
    skills::list_routes().layer(middleware::from_fn(enter))
}

/// `GET /api/skills/{id}`, where another dialect has paths, too.
pub fn one_skill() -> Router<App> {
    skills::one_routes().layer(middleware::from_fn(enter))
}

/// What answers paths below the dialect's own prefix that nobody serves.
pub fn fallback() -> Router {
    Router::new().fallback(async || Error::NoSuchPath).layer(middleware::from_fn(enter))
}

async fn enter(request: Request, next: Next) -> Response {
    context::enter(envelope::render, request, next).await
}

//! The GenieHelper dialect: bare objects on success, one error shape.

mod answers;
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
        .merge(auth::routes())
        .merge(captions::routes())
        .merge(credentials::routes())
        .merge(fans::routes())
        .merge(goose::routes())
        .merge(items::routes())
        .merge(invites::routes())
        .merge(onboarding::routes())
        .merge(posts::routes())
        .merge(skills::routes())
        .merge(stream_chat::routes())
        .merge(queue::routes())
        .merge(register::routes())
        .merge(usage::routes())
        .merge(user_proxy::routes())
        .merge(rbac_sync::routes())
        .merge(impersonate::routes())
}

/// All routes of the dialect but those that another one serves, too, without prefix, each failing in the dialect's shape.
pub fn routes() -> Router<App> {
    whole(resources())
}

fn whole(resources: OpenApiRouter<App>) -> Router<App> {
    Router::from(resources)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(middleware::from_fn(enter))
}

/// `GET /api/skills`, which another dialect serves at the same path.
pub fn skill_list() -> Router<App> {
    whole(skills::list_routes())
}

/// `GET /api/skills/{id}`, where another dialect has paths, too.
pub fn one_skill() -> Router<App> {
    whole(skills::one_routes())
}

/// What answers paths below the dialect's own prefix that nobody serves.
pub fn fallback() -> Router {
    Router::new().fallback(async || Error::NoSuchPath).layer(middleware::from_fn(enter))
}

async fn enter(request: Request, next: Next) -> Response {
    context::enter(envelope::render, request, next).await
}

//! The Sage dialect: one envelope, three families of errors, line streams.

mod admin;
pub mod agents;
pub mod auth;
pub mod chat;
pub mod conversations;
mod document;
pub mod envelope;
pub mod knowledge_base;
pub mod llm_providers;
pub mod mcp;
mod oauth2;
pub mod observability;
pub mod oss;
mod outbound;
mod pages;
pub mod sessions;
pub mod skills;
pub mod system;
pub mod tools;
mod users;
pub mod versions;
pub mod workspace;

use crate::{
    app::App,
    core::{Caller, Error, context, cors},
};
use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    middleware,
    response::{IntoResponse, Response},
};
pub use document::document;
pub use envelope::{Fault, Reply, Result, Text, text};
use utoipa_axum::router::OpenApiRouter;

/// The table of contents, without prefix.
fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(auth::routes())
        .merge(users::routes())
        .merge(chat::routes())
        .merge(conversations::routes())
        .merge(sessions::routes())
        .merge(agents::routes())
        .merge(llm_providers::routes())
        .merge(workspace::routes())
        .merge(tools::routes())
        .merge(knowledge_base::routes())
        .merge(mcp::routes())
        .merge(system::routes())
        .merge(versions::routes())
        .merge(oss::routes())
        .merge(observability::routes())
        .merge(skills::routes())
        .merge(oauth2::routes())
        .merge(pages::routes())
}

/// All routes of the dialect, without prefix, each failing in the dialect's shape.
pub fn routes() -> Router<App> {
    Router::from(resources())
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(middleware::from_fn(enter))
}

/// What answers paths that nobody serves: below `/api` a login is looked for first, as upstream does.
pub fn fallback(app: &App) -> Router {
    let unknown = async |State(app): State<App>, request: Request| -> Response {
        let (mut parts, _) = request.into_parts();
        let below_api = parts.uri.path().starts_with("/api/");
        if below_api && let Err(error) = Caller::from_request_parts(&mut parts, &app).await {
            return error.into_response();
        }
        Error::NoSuchPath.into_response()
    };
    let elsewhere = oauth2::elsewhere(app).merge(pages::elsewhere(app));
    let across = middleware::from_fn_with_state(app.clone(), cors::across);
    let routes = elsewhere.fallback(unknown).layer(middleware::from_fn(enter));
    routes.layer(across).with_state(app.clone())
}

async fn enter(request: Request, next: middleware::Next) -> Response {
    context::enter(envelope::render, request, next).await
}

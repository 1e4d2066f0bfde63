//! The native API: what happened, and every run of every dialect. Correct statuses, problem details, cursors.

mod document;
mod events;
mod problem;
mod run_events;
mod run_list;
mod runs;

use crate::{
    app::App,
    core::{Error, context},
    openapi,
};
use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
    routing::any,
};
pub use document::document;
use utoipa_axum::router::OpenApiRouter;

/// The table of contents, without prefix.
fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(events::routes())
        .merge(runs::routes())
        .merge(run_list::routes())
        .merge(run_events::routes())
}

/// All routes, with their prefix.
pub fn routes() -> Router<App> {
    let unknown = async || Error::NoSuchPath;
    let below = Router::from(resources())
        .fallback(unknown)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed);
    Router::new()
        .nest("/v1", below)
        // Belongs to no nest, though everybody would think so.
        .route("/v1/", any(unknown))
        .layer(middleware::from_fn(enter))
}

/// The documents and their pages, failing as the native API does.
pub fn documents() -> Router<App> {
    Router::from(openapi::routes())
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(middleware::from_fn(enter))
}

async fn enter(request: Request, next: Next) -> Response {
    context::enter(problem::render, request, next).await
}

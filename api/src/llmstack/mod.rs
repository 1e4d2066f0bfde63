//! The LLMStack dialect: bare objects and lists, three shapes of failures, runs of apps.

mod apps;
mod body;
mod datasources;
mod document;
pub mod envelope;
mod history;
mod holder;
mod jobs;
mod me;
mod runs;
mod ws;

use crate::{
    app::App,
    core::{Error, context},
};
use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::Response,
};
use body::Fields;
pub use document::document;
use envelope::{Fault, Reply, Result};
use holder::Holder;
use utoipa_axum::router::OpenApiRouter;

/// The table of contents, without prefix.
fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(me::routes())
        .merge(apps::routes())
        .merge(runs::routes())
        .merge(ws::routes())
        .merge(jobs::routes())
        .merge(datasources::routes())
        .merge(history::routes())
}

/// All routes of the dialect, without prefix, each failing in the dialect's shape.
pub fn routes() -> Router<App> {
    Router::from(resources())
        .method_not_allowed_fallback(other_method)
        .layer(middleware::from_fn(enter))
}

/// What answers paths below the dialect's own prefix that nobody serves.
pub fn fallback() -> Router {
    Router::new().fallback(async || Error::NoSuchPath).layer(middleware::from_fn(enter))
}

async fn other_method(method: Method) -> Fault {
    let text = format!("Method \"{method}\" not allowed.");
    Fault::Detail(StatusCode::METHOD_NOT_ALLOWED, text.into())
}

async fn enter(request: Request, next: Next) -> Response {
    context::enter(envelope::render, request, next).await
}

//! The native API: what happened, and every run of every dialect. Correct statuses, problem details, cursors.

mod document;
mod documents;
mod events;
mod problem;
mod read_models;
mod run_events;
mod run_list;
mod runs;
mod system;
mod usage;

use crate::{
    app::App,
    console,
    core::{Caller, Error, Problem, context},
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
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;

/// The table of contents, without prefix.
fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(events::routes())
        .merge(runs::routes())
        .merge(documents::routes())
        .merge(usage::routes())
        .merge(read_models::routes())
        .merge(system::routes())
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

fn administrators_only(caller: &Caller) -> Result<(), Error> {
    if caller.admin { Ok(()) } else { Err(Error::Forbidden) }
}

/// A parameter of the query that does not fit, and what would.
fn bad(name: &str, fits: &str, input: Value) -> Error {
    let loc = vec![json!("query"), json!(name)];
    Error::Invalid(vec![Problem { kind: "value_error", loc, msg: format!("{name} {fits}"), input }])
}

/// What stands beside the dialects, failing as the native API does: the documents, their pages, and the console.
pub fn beside() -> Router<App> {
    Router::from(openapi::routes().merge(console::routes()))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(middleware::from_fn(enter))
}

async fn enter(request: Request, next: Next) -> Response {
    context::enter(problem::render, request, next).await
}

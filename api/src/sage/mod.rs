//! The Sage dialect: one envelope, three families of errors, line streams.

pub mod envelope;

use crate::{app::App, core::Error};
use axum::{Router, middleware};

pub use envelope::{Fault, Reply, Result, Text, text};

/// All routes of the dialect, without prefix, each failing in the dialect's shape.
pub fn routes() -> Router<App> {
    Router::new().method_not_allowed_fallback(async || Error::MethodNotAllowed).layer(
        middleware::from_fn(|request, next| {
            crate::core::context::enter(envelope::render, request, next)
        }),
    )
}

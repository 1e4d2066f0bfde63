//! `/api/apibackends`, `/api/apiproviders`: the processors that run here.

use crate::{
    app::App,
    llmstack::{Holder, Reply, Result},
};
use axum::{Router, routing::get};
use commands::app_runs::catalogue::{self, Entry};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/apibackends", get(backends))
        .route("/api/apiproviders", get(providers))
}

async fn backends(_: Holder) -> Result<Vec<Value>> {
    Ok(Reply::ok(catalogue::ALL.iter().map(shown).collect()))
}

async fn providers(_: Holder) -> Result<Vec<Value>> {
    let slugs: BTreeSet<&str> = catalogue::ALL.iter().map(|entry| entry.provider).collect();
    Ok(Reply::ok(slugs.into_iter().map(|slug| json!({"name": slug, "slug": slug})).collect()))
}

fn shown(entry: &Entry) -> Value {
    json!({
        "id": entry.id(),
        "name": entry.name,
        "slug": entry.slug,
        "description": entry.description,
        "provider_slug": entry.provider,
        "api_provider": {"name": entry.provider, "slug": entry.provider},
        "input_schema": entry.schema(entry.input),
        "output_schema": entry.schema(entry.output),
        "config_schema": entry.schema(entry.config),
        "input_ui_schema": {},
        "output_ui_schema": {},
        "config_ui_schema": {},
        "output_template": {"markdown": entry.template},
    })
}

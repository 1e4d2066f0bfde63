//! `/api/apibackends`, `/api/apiproviders`: the processors that run here.

use crate::{
    app::App,
    llmstack::{Holder, Reply, Result},
};
use commands::app_runs::catalogue::{self, Entry};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(backends)).routes(routes!(providers))
}

/// A processor that runs here.
#[derive(Serialize, ToSchema)]
struct Backend {
    /// `provider/slug`.
    id: String,
    name: &'static str,
    slug: &'static str,
    description: &'static str,
    provider_slug: &'static str,
    api_provider: Provider,
    /// JSON schema of what it works on.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// JSON schema of what it gives.
    #[schema(value_type = Object)]
    output_schema: Value,
    /// JSON schema of how it works.
    #[schema(value_type = Object)]
    config_schema: Value,
    /// Always empty.
    #[schema(value_type = Object)]
    input_ui_schema: Map<String, Value>,
    /// Always empty.
    #[schema(value_type = Object)]
    output_ui_schema: Map<String, Value>,
    /// Always empty.
    #[schema(value_type = Object)]
    config_ui_schema: Map<String, Value>,
    /// How its output is usually shown.
    output_template: Markdown,
}

/// Who makes processors.
#[derive(Serialize, ToSchema)]
struct Provider {
    name: &'static str,
    slug: &'static str,
}

/// A template of a text.
#[derive(Serialize, ToSchema)]
struct Markdown {
    markdown: &'static str,
}

/// Lists the processors that run here.
#[utoipa::path(
    get,
    path = "/api/apibackends",
    responses((status = 200, description = "The processors.", body = Vec<Backend>)),
)]
async fn backends(_: Holder) -> Result<Vec<Backend>> {
    Ok(Reply::ok(catalogue::ALL.iter().map(shown).collect()))
}

/// Lists who makes the processors that run here.
#[utoipa::path(
    get,
    path = "/api/apiproviders",
    responses((status = 200, description = "The providers.", body = Vec<Provider>)),
)]
async fn providers(_: Holder) -> Result<Vec<Provider>> {
    let slugs: BTreeSet<&'static str> = catalogue::ALL.iter().map(|entry| entry.provider).collect();
    Ok(Reply::ok(slugs.into_iter().map(provider).collect()))
}

fn provider(slug: &'static str) -> Provider {
    Provider { name: slug, slug }
}

fn shown(entry: &Entry) -> Backend {
    Backend {
        id: entry.id(),
        name: entry.name,
        slug: entry.slug,
        description: entry.description,
        provider_slug: entry.provider,
        api_provider: provider(entry.provider),
        input_schema: entry.schema(entry.input),
        output_schema: entry.schema(entry.output),
        config_schema: entry.schema(entry.config),
        input_ui_schema: Map::new(),
        output_ui_schema: Map::new(),
        config_ui_schema: Map::new(),
        output_template: Markdown { markdown: entry.template },
    }
}

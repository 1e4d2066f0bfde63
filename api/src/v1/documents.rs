//! `GET /v1/documents/{id}/passages`: what the search knows of a document, in the document's order.

use super::bad;
use crate::{
    app::App,
    core::{Caller, Error, Path, Query},
    openapi::Documented,
};
use axum::{Json, extract::State};
use domain::ids::DocumentId;
use projections::{
    documents,
    passages::{Placed, reading},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Passages of a page, unless the client asks for another number.
const PAGE: u32 = 50;
/// Most passages of a page.
const LONGEST_PAGE: u32 = 200;

/// The route.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(passages)).tagged("Knowledge")
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Number of the first passage, from 0.
    #[serde(default)]
    from: u32,
    /// Most passages of the page; 50 unless it is named.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A part of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentPassages)]
struct Page {
    /// The document.
    document: String,
    /// Its name.
    name: String,
    knowledge_base: String,
    /// Passages in all.
    total: i32,
    passages: Vec<Shown>,
    /// `from` of the page that follows; `null` when nothing does.
    next: Option<i32>,
}

/// A piece of a document that the search finds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passage)]
struct Shown {
    /// From 0.
    number: i32,
    /// First byte of the document's text, and one past the last; neighbours may overlap.
    start: i64,
    end: i64,
    /// From 1, in formats that have pages.
    page: Option<i32>,
    /// Headings above it, joined by ` > `.
    heading: String,
    text: String,
}

/// Lists the passages of a document that can be searched, in its order.
#[utoipa::path(
    get,
    path = "/documents/{id}/passages",
    params(("id" = String, Path, description = "The document."), Wanted),
    responses((status = 200, description = "A page of them.", body = Page)),
)]
async fn passages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Error> {
    let limit = wanted.limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(bad("limit", "has to be between 1 and 200", json!(limit)));
    }
    // Not every text can be an id; and another's is as good as none.
    let id = DocumentId(Some(id).filter(|id| !id.contains('\0')).ok_or(Error::NotFound)?);
    app.settled("passages").await?;
    let row = documents::get(&app.db, &id).await?;
    let row = row.filter(|row| caller.sees(&row.owner)).ok_or(Error::NotFound)?;
    let from = i32::try_from(wanted.from).unwrap_or(i32::MAX);
    let mut found = reading(&app.db, &id, from, i64::from(limit) + 1).await?;
    let next = found.get(limit as usize).map(|passage| passage.ordinal);
    found.truncate(limit as usize);
    Ok(Json(Page {
        document: row.id,
        name: row.name,
        knowledge_base: row.knowledge_base,
        total: row.passages,
        passages: found.into_iter().map(Shown::from).collect(),
        next,
    }))
}

impl From<Placed> for Shown {
    fn from(passage: Placed) -> Self {
        let Placed { ordinal, text, heading, starts, ends, page } = passage;
        Self { number: ordinal, start: starts, end: ends, page, heading, text }
    }
}

//! `GET /v1/documents/{id}/passages`: what the search knows of a document, in the document's order.

use super::bad;
use crate::{
    app::App,
    core::{Caller, Error, Path, Query},
};
use axum::{Json, Router, extract::State, routing::get};
use domain::ids::DocumentId;
use projections::{
    documents,
    passages::{Placed, reading},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Passages of a page, unless the client asks for another number.
const PAGE: u32 = 50;
/// Most passages of a page.
const LONGEST_PAGE: u32 = 200;

/// The route.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/documents/{id}/passages", get(passages))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Number of the first passage, from 0.
    #[serde(default)]
    from: u32,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Page {
    document: String,
    name: String,
    knowledge_base: String,
    /// Passages in all.
    total: i32,
    passages: Vec<Shown>,
    /// `from` of the page that follows; `null` when nothing does.
    next: Option<i32>,
}

#[derive(Debug, Serialize)]
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

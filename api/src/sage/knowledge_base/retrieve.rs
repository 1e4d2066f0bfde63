//! The search in a knowledge base.

use super::{owner_of, success};
use crate::{
    app::App,
    core::{Caller, Json},
    sage::{Reply, Result, conversations::in_range, envelope::Replied},
};
use axum::extract::State;
use domain::ids::{KnowledgeBaseId, UserId};
use projections::retrieval::{Hit, Leg, MAX_TOP_K};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is looked for where.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Search)]
pub(super) struct Body {
    kdb_id: String,
    query: String,
    /// Most results; 10 without it.
    #[serde(default)]
    #[schema(minimum = 1)]
    top_k: Option<i64>,
}

/// What was found, the best first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchResults)]
pub(super) struct Found {
    results: Vec<Item>,
    /// Owner of the knowledge base.
    #[schema(value_type = String)]
    user_id: UserId,
}

/// A place in a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchResult)]
struct Item {
    doc_id: String,
    doc_segment_id: String,
    /// Its text.
    doc_content: String,
    /// The higher, the better; comparable within one answer only.
    score: f64,
    /// Where it begins in the document's text, in characters.
    start: i64,
    /// Where it ends.
    end: i64,
    /// Name of the document.
    title: String,
    /// Name of the document.
    path: String,
    metadata: Metadata,
}

/// What is known of a place in a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchResultMetadata)]
struct Metadata {
    start: i64,
    end: i64,
    main_doc_id: String,
    origin_content: String,
    path: String,
    title: String,
    /// The heading under which it stands.
    heading: String,
    page: Option<i32>,
    /// The passages of the document that it covers.
    passages: Vec<i32>,
    /// Null if it was not found by its words.
    lexical: Option<Rank>,
    /// Null if it was not found by its meaning.
    vector: Option<Rank>,
}

/// What a search by words or by meaning said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchRank)]
struct Rank {
    rank: i64,
    score: f64,
}

/// Searches a knowledge base, by words and by meaning.
#[utoipa::path(
    post,
    path = "/api/knowledge-base/retrieve",
    request_body = Body,
    responses((status = 200, description = "What was found.", body = Replied<Found>)),
)]
pub(super) async fn retrieve(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Found> {
    let top_k = body.top_k.unwrap_or(10);
    in_range("top_k", top_k, 1, i64::MAX)?;
    let top_k = usize::try_from(top_k).unwrap_or(MAX_TOP_K).min(MAX_TOP_K);
    let id = KnowledgeBaseId(body.kdb_id);
    let user_id = owner_of(&app, &caller, &id).await?;
    let hits = app.library.retrieve(&app.db, &[id], &body.query, None, top_k).await?;
    Ok(Reply(success(), Found { results: hits.into_iter().map(Item::from).collect(), user_id }))
}

impl From<Hit> for Item {
    fn from(hit: Hit) -> Self {
        let segment = hit.passages.first().copied().unwrap_or_default();
        let rank = |Leg { rank, score }: Leg| Rank { rank, score };
        let metadata = Metadata {
            start: hit.start,
            end: hit.end,
            main_doc_id: hit.document.0.clone(),
            origin_content: hit.text.clone(),
            path: hit.title.clone(),
            title: hit.title.clone(),
            heading: hit.heading,
            page: hit.page,
            passages: hit.passages,
            lexical: hit.lexical.map(rank),
            vector: hit.semantic.map(rank),
        };
        Self {
            doc_segment_id: format!("{}_{segment}", hit.document),
            doc_id: hit.document.0,
            doc_content: hit.text,
            score: hit.score,
            start: hit.start,
            end: hit.end,
            path: hit.title.clone(),
            title: hit.title,
            metadata,
        }
    }
}

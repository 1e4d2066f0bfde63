//! The search in a knowledge base.

use super::{owner_of, success};
use crate::{
    app::App,
    core::{Caller, Json},
    sage::{Reply, Result, conversations::in_range},
};
use axum::{Router, extract::State, routing::post};
use domain::ids::{KnowledgeBaseId, UserId};
use projections::retrieval::{Hit, Leg, MAX_TOP_K};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The route.
pub fn routes() -> Router<App> {
    Router::new().route("/api/knowledge-base/retrieve", post(retrieve))
}

#[derive(Debug, Deserialize)]
struct Body {
    kdb_id: String,
    query: String,
    #[serde(default)]
    top_k: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Found {
    results: Vec<Item>,
    user_id: UserId,
}

#[derive(Debug, Serialize)]
struct Item {
    doc_id: String,
    doc_segment_id: String,
    doc_content: String,
    score: f64,
    start: i64,
    end: i64,
    title: String,
    path: String,
    metadata: Value,
}

async fn retrieve(State(app): State<App>, caller: Caller, Json(body): Json<Body>) -> Result<Found> {
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
        let leg = |leg: Option<Leg>| leg.map(|leg| json!({"rank": leg.rank, "score": leg.score}));
        let metadata = json!({
            "start": hit.start,
            "end": hit.end,
            "main_doc_id": hit.document,
            "origin_content": hit.text,
            "path": hit.title,
            "title": hit.title,
            "heading": hit.heading,
            "page": hit.page,
            "passages": hit.passages,
            "lexical": leg(hit.lexical),
            "vector": leg(hit.semantic),
            "fused": leg(Some(hit.fused)),
        });
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

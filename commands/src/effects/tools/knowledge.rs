//! Asking knowledge bases: in a run those attached to it, in a direct call the caller's own. Never anybody else's.

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{Answer, arguments, json_answer, tool},
};
use domain::ids::{KnowledgeBaseId, UserId};
use futures::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// Most passages of one answer.
const PASSAGES: usize = 20;
/// Characters of a question that count.
const QUESTION: usize = 4_000;

/// The search in knowledge bases.
pub trait KnowledgeSearch: Send + Sync {
    /// The owner's knowledge bases; of these only the ones in `among`, if that says some.
    fn bases<'a>(
        &'a self,
        owner: &'a UserId,
        among: Option<&'a [KnowledgeBaseId]>,
    ) -> BoxFuture<'a, Result<Vec<Base>, KnowledgeUnavailable>>;

    /// What these bases say, best first.
    fn search<'a>(
        &'a self,
        bases: &'a [KnowledgeBaseId],
        question: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Excerpt>, KnowledgeUnavailable>>;
}

/// A knowledge base that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its id.
    pub id: KnowledgeBaseId,
    /// What its owner calls it.
    pub name: String,
    /// How Sage's clients name its index.
    pub index_name: String,
}

/// A part of a document that answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Excerpt {
    /// Which knowledge base.
    pub kdb_id: KnowledgeBaseId,
    /// The document.
    pub doc_id: String,
    /// Its name.
    pub title: String,
    /// Headings above the excerpt.
    pub heading: String,
    /// The excerpt.
    pub content: String,
    /// Its first byte within the document's text.
    pub start: i64,
    /// One past its last byte.
    pub end: i64,
    /// The page it begins on, in formats that have pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<i32>,
    /// About 0 to 1.
    pub score: f64,
}

/// Knowledge bases cannot be asked now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("knowledge bases do not answer: {0}")]
pub struct KnowledgeUnavailable(pub Arc<str>);

/// Knowledge bases as tools.
pub struct Knowledge {
    library: Arc<dyn KnowledgeSearch>,
}

#[derive(Deserialize)]
struct Arguments {
    query: String,
    /// An id, an index name, or what the owner calls it.
    #[serde(default, alias = "kdb_id", alias = "knowledge_base")]
    index_name: Option<String>,
    #[serde(default)]
    top_k: Option<usize>,
}

impl Knowledge {
    /// Asks this library.
    pub fn new(library: Arc<dyn KnowledgeSearch>) -> Self {
        Self { library }
    }

    async fn retrieve(&self, place: &Place, call: &Call) -> Answer {
        let Arguments { query, index_name, top_k } = arguments(call)?;
        if query.trim().is_empty() {
            return Err("a query is needed".to_owned());
        }
        let attached = place.run.map(|_| place.knowledge_bases.as_slice());
        let bases = self.library.bases(&place.owner, attached).await.map_err(away)?;
        let meant = |base: &Base| {
            let name = index_name.as_deref();
            name.is_none_or(|n| base.index_name == n || base.id.as_str() == n || base.name == n)
        };
        let ids: Vec<_> = bases.into_iter().filter(meant).map(|base| base.id).collect();
        if ids.is_empty() {
            return Err(match index_name {
                Some(name) => format!("there is no knowledge base {name:?} here"),
                None => "no knowledge base is attached".to_owned(),
            });
        }
        let question: String = query.chars().take(QUESTION).collect();
        let limit = top_k.unwrap_or(5).clamp(1, PASSAGES);
        let results = self.library.search(&ids, &question, limit).await.map_err(away)?;
        json_answer(&json!({"query": query, "results": results}))
    }
}

fn away(error: KnowledgeUnavailable) -> String {
    tracing::warn!(%error, "a tool cannot ask knowledge bases");
    "the knowledge bases do not answer; try again later".to_owned()
}

impl Tools for Knowledge {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        let query = json!({"type": "string", "description": "The question, in words"});
        let top_k = json!({"type": "integer", "minimum": 1, "maximum": PASSAGES, "default": 5});
        let base = |what: &str| json!({"type": "string", "description": what});
        let retrieve = tool(
            "retrieve_knowledge_base",
            "Search the attached knowledge bases and return the passages that answer best.",
            json!({"query": query, "top_k": top_k,
                "knowledge_base": base("Name or id of one of them; all when left out")}),
            &["query"],
        );
        let sage = tool(
            "retrieve_on_zavixai_db",
            "Search one knowledge base by the name of its index.",
            json!({"index_name": base("For example kdb_0123abcd"), "query": query, "top_k": top_k}),
            &["index_name", "query"],
        );
        Box::pin(ready(Ok(vec![retrieve, sage])))
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            match call.name.as_str() {
                "retrieve_knowledge_base" | "retrieve_on_zavixai_db" => {
                    Some(self.retrieve(place, call).await.into())
                }
                _ => None,
            }
        })
    }
}

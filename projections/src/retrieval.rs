//! Finds passages: by their words (BM25) and by their vectors, both rankings fused.
//!
//! The vectors are those of an embedding model, or, where none is configured, what the passages of a knowledge base tell
//! about its words ([`crate::meanings`]).

mod filter;
mod fusion;
mod lexical;
pub mod models;
mod quotations;
mod scope;
mod semantic;

use crate::meanings::{self, Asked};
use domain::ids::{DocumentId, KnowledgeBaseId};
pub use filter::{Comparison, Filter};
use lexical::{Shelf, Weighed};
use scope::Scope;
use semantic::Places;
use sqlx::{FromRow, PgPool};

/// Most results of one question.
pub const MAX_TOP_K: usize = 100;
/// Longest vectors that have an index.
pub const MAX_INDEXED: usize = 4_000;
/// What the vectors of [`crate::meanings`] count beside the words, as [`QueryVector::weight`]: by evaluation (see
/// BENCHMARKS.md). From `ENOUGH` passages on they help; fewer say too little to do more than fill up.
const MEANINGS: (f32, f32) = (0.01, 0.25);
/// See [`MEANINGS`].
const ENOUGH: i64 = 500;
/// Least places of a ranking that are fused, so that each may bring what the other has further below.
const DEPTH: i64 = 50;

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where to look.
    pub knowledge_bases: &'a [KnowledgeBaseId],
    /// The words.
    pub text: &'a str,
    /// The meaning; without it, knowledge bases with vectors of an embedding model are searched by words alone.
    pub vector: Option<QueryVector<'a>>,
    /// Which documents count.
    pub filter: Option<&'a Filter>,
    /// Which rankings.
    pub rankings: Rankings,
    /// How many results at most; no more than [`MAX_TOP_K`].
    pub top_k: usize,
}

/// Which rankings answer a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rankings {
    /// Both, fused.
    #[default]
    Both,
    /// The one by words.
    Words,
    /// The one by vectors.
    Vectors,
}

/// The vector of a question.
#[derive(Debug, Clone, Copy)]
pub struct QueryVector<'a> {
    /// Its model; only passages of the same model are compared.
    pub model: &'a str,
    /// The vector.
    pub values: &'a [f32],
    /// What its ranking counts beside the one by words: 0 nothing, 0.5 as much, 1 all.
    pub weight: f32,
}

/// A place in a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg {
    /// From 1.
    pub rank: i64,
    /// BM25, cosine similarity, or what both come to.
    pub score: f64,
}

/// A part of a document that answers the question: one passage, or several that touch.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The document.
    pub document: DocumentId,
    /// Where it belongs.
    pub knowledge_base: KnowledgeBaseId,
    /// Its name.
    pub title: String,
    /// Numbers of the passages within the document, in order.
    pub passages: Vec<i32>,
    /// The document's text from `start` to `end`.
    pub text: String,
    /// First byte.
    pub start: i64,
    /// One past the last byte.
    pub end: i64,
    /// The page it begins on, from 1, in formats that have pages.
    pub page: Option<i32>,
    /// Headings above it, joined by ` > `.
    pub heading: String,
    /// About 0 to 1: 1 when both rankings have it first. A reranker's own, where one has ordered the results.
    pub score: f64,
    /// Its place in both rankings together, before any reranker.
    pub fused: Leg,
    /// Its best place by words.
    pub lexical: Option<Leg>,
    /// Its best place by vectors.
    pub semantic: Option<Leg>,
}

/// The best parts of these knowledge bases for a question, best first.
///
/// # Errors
/// When the database does not answer.
pub async fn retrieve(db: &PgPool, question: Question<'_>) -> sqlx::Result<Vec<Hit>> {
    let top_k = question.top_k.min(MAX_TOP_K);
    if top_k == 0 || question.knowledge_bases.is_empty() {
        return Ok(Vec::new());
    }
    let question = Question { top_k, ..question };
    let found = look(db, &question).await?;
    // A document that is read again may change its passages between the rankings and their texts: then the new ones answer.
    let found = if found.changed { look(db, &question).await? } else { found };
    Ok(fusion::join(found.hits, top_k))
}

/// Quotations, best first.
#[derive(Debug, Default)]
struct Looked {
    hits: Vec<Hit>,
    /// Whether passages went away while they were looked for.
    changed: bool,
}

/// Both rankings at the same time, each on a connection of its own, then the texts of the best.
async fn look(db: &PgPool, question: &Question<'_>) -> sqlx::Result<Looked> {
    let filter = question.filter.map(filter::Compiled::new);
    let mut shelves = lexical::shelves(db, question, filter.as_ref()).await?;
    shelves.retain(|shelf| shelf.eligible > 0);
    if shelves.is_empty() {
        return Ok(Looked::default());
    }
    let bags = lexical::bags(&shelves, question.text);
    let scope = Scope::new(&shelves, filter);
    let limit = i64::try_from(question.top_k).unwrap_or(i64::MAX).max(DEPTH);
    let search = Search { db, question, shelves: &shelves, bags: &bags, scope: &scope, limit };
    let (words, (vectors, weight)) = tokio::try_join!(search.words(), search.vectors())?;
    // What lies far down joins nobody: it would only make quotations longer.
    quotations::read(db, &fusion::rank(words, vectors, weight), 2 * question.top_k).await
}

/// A passage that a ranking has.
#[derive(Debug, Clone, FromRow)]
struct Found {
    document: String,
    attempt: i32,
    ordinal: i32,
    score: f64,
}

struct Search<'a> {
    db: &'a PgPool,
    question: &'a Question<'a>,
    shelves: &'a [Shelf],
    bags: &'a [Vec<(i64, i16)>],
    scope: &'a Scope,
    /// Places of a ranking.
    limit: i64,
}

impl Search<'_> {
    /// The ranking by words, best first.
    async fn words(&self) -> sqlx::Result<Vec<Found>> {
        if self.question.rankings == Rankings::Vectors {
            return Ok(Vec::new());
        }
        let weighed = Weighed::look_up(self.db, self.shelves, self.bags).await?;
        lexical::ranking(self.db, &weighed, self.scope, self.limit).await
    }

    /// The ranking by vectors, best first, and what it counts.
    async fn vectors(&self) -> sqlx::Result<(Vec<Found>, f32)> {
        if self.question.rankings == Rankings::Words {
            return Ok((Vec::new(), 0.0));
        }
        let asked = self.shelves.iter().zip(self.bags);
        let asked: Vec<Asked<'_>> =
            asked.map(|(shelf, bag)| Asked { knowledge_base: &shelf.id, bag }).collect();
        let vector = self.question.vector.filter(|vector| vector.weight > 0.0);
        let fitted = meanings::places(self.db, &asked).await?;
        let places = Places::new(self.shelves, vector, fitted);
        let weight = match self.question.rankings {
            Rankings::Vectors => 1.0,
            _ if places.has_embedded() => vector.map_or(0.0, |vector| vector.weight),
            _ if self.shelves.iter().any(|shelf| shelf.passages >= ENOUGH) => MEANINGS.1,
            _ => MEANINGS.0,
        };
        let found = semantic::ranking(self.db, &places, vector, self.scope, self.limit).await?;
        let weight = if found.is_empty() && places.is_empty() { 0.0 } else { weight };
        Ok((found, weight))
    }
}

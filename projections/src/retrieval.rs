//! Finds passages: by their words (BM25) and by their vectors, both rankings fused.
//!
//! The vectors are those of an embedding model, or, where none is configured, what the passages of a knowledge base tell
//! about its words ([`crate::meanings`]).

mod filter;
mod fusion;
mod lexical;
pub mod models;
mod semantic;

use crate::meanings::{self, Asked};
use domain::ids::{DocumentId, KnowledgeBaseId};
use filter::Compiled;
pub use filter::{Comparison, Filter};
use lexical::Weighed;
use pgvector::HalfVector;
use semantic::Places;
use sqlx::{AssertSqlSafe, FromRow, PgPool};

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
    let filter = question.filter.map(Compiled::new);
    let mut shelves = lexical::shelves(db, &question, filter.as_ref()).await?;
    shelves.retain(|shelf| shelf.eligible > 0);
    if shelves.is_empty() {
        return Ok(Vec::new());
    }
    let bags = lexical::bags(&shelves, question.text);
    let asked: Vec<Asked<'_>> = shelves
        .iter()
        .zip(&bags)
        .map(|(shelf, bag)| Asked { knowledge_base: &shelf.id, bag })
        .collect();
    let vector = question.vector.filter(|vector| vector.weight > 0.0);
    let (weighed, places) = match question.rankings {
        Rankings::Words => (Weighed::look_up(db, &shelves, &bags).await?, Places::default()),
        Rankings::Vectors => {
            let fitted = meanings::places(db, &asked).await?;
            (Weighed::default(), Places::new(&shelves, vector, fitted))
        }
        Rankings::Both => {
            let words = Weighed::look_up(db, &shelves, &bags);
            let (weighed, fitted) = tokio::try_join!(words, meanings::places(db, &asked))?;
            (weighed, Places::new(&shelves, vector, fitted))
        }
    };
    let embedded = !places.small.is_empty() || !places.large.is_empty();
    let weight = match question.rankings {
        _ if places.is_empty() => 0.0,
        Rankings::Words => 0.0,
        Rankings::Vectors => 1.0,
        Rankings::Both if embedded => vector.map_or(0.0, |vector| vector.weight),
        Rankings::Both if shelves.iter().any(|shelf| shelf.passages >= ENOUGH) => MEANINGS.1,
        Rankings::Both => MEANINGS.0,
    };
    let found = Search { question: &question, vector, filter: filter.unwrap_or_default() };
    let rows = found.rows(db, &weighed, &places).await?;
    Ok(fusion::fuse(rows, weight, top_k))
}

/// A passage that at least one ranking has.
#[derive(Debug, Clone, FromRow)]
struct Row {
    document: String,
    ordinal: i32,
    knowledge_base: String,
    title: String,
    text: String,
    heading: String,
    starts: i64,
    ends: i64,
    page: Option<i32>,
    lexical_rank: Option<i64>,
    lexical_score: Option<f64>,
    semantic_rank: Option<i64>,
    semantic_score: Option<f64>,
}

struct Search<'a> {
    question: &'a Question<'a>,
    vector: Option<QueryVector<'a>>,
    filter: Compiled,
}

impl Search<'_> {
    /// Both rankings in one statement.
    async fn rows(
        &self,
        db: &PgPool,
        weighed: &Weighed,
        places: &Places,
    ) -> sqlx::Result<Vec<Row>> {
        // Not a join: an index could not be walked in its order any more.
        let filter = match self.filter.sql.as_str() {
            "" => String::new(),
            condition => format!(
                "and coalesce(p.document in (select document from passage_sources s
                    where s.knowledge_base = any($14) and s.searchable and {condition}), false)"
            ),
        };
        let lexical = lexical::ranking(&filter);
        let semantic = if places.is_empty() { NONE.to_owned() } else { places.ranking(&filter) };
        // Put together from constants, numbers and the numbers of parameters.
        let statement = AssertSqlSafe(format!("with {lexical}{semantic}{BOTH}"));
        let top_k = i64::try_from(self.question.top_k.min(MAX_TOP_K)).unwrap_or(i64::MAX);
        let limit = top_k.max(DEPTH);
        let vector = self.vector.map_or(&[][..], |vector| vector.values);
        let ids: Vec<&str> = self.question.knowledge_bases.iter().map(|id| id.as_str()).collect();
        let query = sqlx::query_as(statement)
            .bind(&weighed.terms)
            .bind(&weighed.weights)
            .bind(&weighed.candidates)
            .bind(weighed.average_words.max(1.0))
            .bind(limit)
            .bind(&places.small)
            .bind(&places.large)
            .bind((!vector.is_empty()).then(|| HalfVector::from_f32_slice(vector)))
            .bind(&self.filter.keys)
            .bind(&self.filter.values)
            .bind(self.vector.map_or("", |vector| vector.model))
            .bind(&places.fitted)
            .bind(&places.fitted_vectors)
            .bind(ids);
        if !places.walks() {
            return query.fetch_all(db).await;
        }
        let mut transaction = db.begin_with(AssertSqlSafe(semantic::begin(limit))).await?;
        let rows = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

/// The ranking by vectors when there is none.
const NONE: &str = ",
semantic as (
    select document, attempt, ordinal, 0.0::float8 as score, 0::bigint as rank from passages where false
)";

/// All parameters have a type, also where a ranking does not use them.
const BOTH: &str = "
select document, ordinal, p.knowledge_base, s.title, p.text, p.heading, p.starts, p.ends, p.page,
    l.rank as lexical_rank, l.score as lexical_score, v.rank as semantic_rank, v.score as semantic_score
from lexical l full join semantic v using (document, attempt, ordinal)
join passages p using (document, attempt, ordinal)
join passage_sources s using (document)
where p.searchable and num_nulls($6::text[], $7::text[], $8::halfvec, $9::text[], $10::text[], $11::text, $12::text[],
    $13::halfvec[], $14::text[]) >= 0";

//! Finds passages: by their words (BM25) and by their vectors, both rankings fused.

mod fusion;

use crate::passages::term;
use domain::{
    document::words,
    ids::{DocumentId, KnowledgeBaseId},
};
use sqlx::{AssertSqlSafe, FromRow, PgPool};
use std::collections::HashMap;

/// Most results of one question.
pub const MAX_TOP_K: usize = 100;
/// The least weight at which a ranking by vectors is worth its index. Keeping one costs milliseconds for every passage;
/// below this, vectors are only compared where that needs no index, and words decide alone in large collections.
pub const WORTH_AN_INDEX: f32 = 0.3;
/// Distinct words of a question that count.
const MAX_WORDS: usize = 64;
/// Passages that the words of a question may bring up for scoring; the rarest words come first.
const CANDIDATES: i64 = 5_000;
/// Words are added whatever they bring up until there are so many.
const ENOUGH: i64 = MAX_TOP_K as i64;
/// Up to so many passages their vectors are compared one by one: exact, and as fast as an index with a filter.
const EXACT: i64 = 5_000;

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where to look.
    pub knowledge_bases: &'a [KnowledgeBaseId],
    /// The words.
    pub text: &'a str,
    /// The meaning; without it the words alone decide.
    pub vector: Option<QueryVector<'a>>,
    /// How many results at most; no more than [`MAX_TOP_K`].
    pub top_k: usize,
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

/// A place in one of the two rankings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg {
    /// From 1.
    pub rank: i64,
    /// BM25, or cosine similarity.
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
    /// Headings above it, joined by ` > `.
    pub heading: String,
    /// About 0 to 1: 1 when both rankings have it first.
    pub score: f64,
    /// Its best place by words.
    pub lexical: Option<Leg>,
    /// Its best place by vectors.
    pub semantic: Option<Leg>,
}

/// The best parts of these knowledge bases for a question, best first. Two statements, whatever is asked.
///
/// # Errors
/// When the database does not answer.
pub async fn retrieve(db: &PgPool, question: Question<'_>) -> sqlx::Result<Vec<Hit>> {
    let top_k = question.top_k.min(MAX_TOP_K);
    if top_k == 0 || question.knowledge_bases.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = question.knowledge_bases.iter().map(KnowledgeBaseId::as_str).collect();
    let wanted = Wanted::new(&ids, question.text);
    let statistics = statistics(db, &ids, &wanted.terms()).await?;
    if statistics.passages == 0 {
        return Ok(Vec::new());
    }
    let least = if statistics.passages <= EXACT { 0.0 } else { WORTH_AN_INDEX };
    let vector = question.vector.filter(|v| !v.values.is_empty() && v.weight > least);
    let question = Question { vector, ..question };
    let rows = rows(db, &ids, question, &wanted.weighed(&statistics), &statistics).await?;
    Ok(fusion::fuse(rows, question.vector.map_or(0.0, |vector| vector.weight), top_k))
}

/// The words of a question, each with its term in every knowledge base.
struct Wanted(Vec<Vec<i64>>);

impl Wanted {
    fn new(ids: &[&str], text: &str) -> Self {
        let (mut counted, _) = words::counted(text);
        counted.truncate(MAX_WORDS);
        Self(
            counted
                .iter()
                .map(|(word, _)| ids.iter().map(|id| term(id, *word)).collect())
                .collect(),
        )
    }

    fn terms(&self) -> Vec<i64> {
        self.0.concat()
    }

    /// Every term that occurs with its word's inverse document frequency, and those that bring up candidates.
    fn weighed(&self, statistics: &Statistics) -> Weighed {
        #[expect(clippy::cast_precision_loss, reason = "counts of passages")]
        let all = statistics.passages as f64;
        let mut words: Vec<(i64, &[i64])> = self
            .0
            .iter()
            .map(|terms| (terms.iter().filter_map(|t| statistics.terms.get(t)).sum(), &terms[..]))
            .filter(|(found, _)| *found > 0)
            .collect();
        words.sort_unstable();
        let mut weighed = Weighed::default();
        let mut expected = 0;
        for (found, terms) in words {
            #[expect(clippy::cast_precision_loss, reason = "counts of passages")]
            let df = found as f64;
            let idf = (1.0 + (all - df + 0.5) / (df + 0.5)).ln();
            weighed.terms.extend_from_slice(terms);
            weighed.idf.extend(terms.iter().map(|_| idf));
            if expected < ENOUGH || expected + found <= CANDIDATES {
                expected += found;
                weighed.candidates.extend_from_slice(terms);
            }
        }
        weighed
    }
}

#[derive(Default)]
struct Weighed {
    terms: Vec<i64>,
    idf: Vec<f64>,
    candidates: Vec<i64>,
}

struct Statistics {
    passages: i64,
    average_words: f64,
    terms: HashMap<i64, i64>,
}

async fn statistics(db: &PgPool, ids: &[&str], terms: &[i64]) -> sqlx::Result<Statistics> {
    let rows: Vec<(Option<i64>, i64, i64)> = sqlx::query_as(
        "select null, passages, words from passage_shelves where id = any($1)
         union all
         select term, passages, 0 from passage_terms where term = any($2) and knowledge_base = any($1)",
    )
    .bind(ids)
    .bind(terms)
    .fetch_all(db)
    .await?;
    let (mut passages, mut words, mut frequencies) = (0, 0, HashMap::new());
    for (term, in_passages, in_words) in rows {
        match term {
            Some(term) => *frequencies.entry(term).or_insert(0) += in_passages,
            None => {
                passages += in_passages;
                words += in_words;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    let average_words = (words as f64 / passages.max(1) as f64).max(1.0);
    Ok(Statistics { passages, average_words, terms: frequencies })
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
    lexical_rank: Option<i64>,
    lexical_score: Option<f64>,
    semantic_rank: Option<i64>,
    semantic_score: Option<f64>,
}

/// Both rankings in one statement.
async fn rows(
    db: &PgPool,
    ids: &[&str],
    question: Question<'_>,
    weighed: &Weighed,
    statistics: &Statistics,
) -> sqlx::Result<Vec<Row>> {
    let vector = question.vector;
    let exact = statistics.passages <= EXACT;
    let semantic = vector.map_or_else(|| NO_VECTOR.to_owned(), |v| nearest(v.values.len(), exact));
    let statement = format!("with {LEXICAL}, {semantic} {BOTH}");
    let limit = i64::try_from(question.top_k.min(MAX_TOP_K)).unwrap_or(i64::MAX);
    let mut transaction = db.begin().await?;
    if vector.is_some() && !exact {
        // Filters apply while the index is walked, and the walk goes on until enough is found.
        sqlx::query(
            "select set_config('hnsw.iterative_scan', 'strict_order', true),
                set_config('hnsw.ef_search', $1, true), set_config('hnsw.max_scan_tuples', '40000', true)",
        )
        .bind((limit * 2).clamp(64, 200).to_string())
        .execute(&mut *transaction)
        .await?;
    }
    // The statement is put together from constants and one number.
    let rows = sqlx::query_as(AssertSqlSafe(statement))
        .bind(&weighed.terms)
        .bind(&weighed.idf)
        .bind(&weighed.candidates)
        .bind(statistics.average_words)
        .bind(limit)
        .bind(ids)
        .bind(vector.map_or("", |v| v.model))
        .bind(vector.map_or(&[][..], |v| v.values))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(rows)
}

/// BM25 with k1 = 1.2 and b = 0.75. A passage's terms are sorted, so `width_bucket` finds
/// one by bisection.
/// $1 terms, $2 their idf, $3 the terms that bring up candidates, $4 average words of a passage, $5 limit.
const LEXICAL: &str = "
wanted as materialized (select * from unnest($1::bigint[], $2::float8[]) as w (term, idf)),
lexical as (
    select document, attempt, ordinal, score, row_number() over (order by score desc, document, ordinal) as rank
    from (
        select p.document, p.attempt, p.ordinal, s.score from passages p
        cross join lateral (
            select sum(w.idf * f.n * 2.2 / (f.n + 0.3 + 0.9 / $4::float8 * p.words)) as score
            from wanted w
            cross join lateral (select width_bucket(w.term, p.terms) as i) at
            cross join lateral (select p.counts[at.i]::float8 as n) f
            where p.terms[at.i] = w.term
        ) s
        where p.searchable and p.terms && $3::bigint[]
        order by s.score desc, p.document, p.ordinal limit $5
    ) best
)";

/// The ranking by vectors when there is none. $6 knowledge bases, $7 model, $8 vector.
const NO_VECTOR: &str = "
semantic as (
    select document, attempt, ordinal, 0.0::float8 as score, 0::bigint as rank from passages
    where false and knowledge_base = any($6::text[]) and model = $7::text and $8::real[] is null
)";

/// The ranking by vectors. The planner takes the index only for the very expression it was made of; adding zero keeps
/// it away from it.
fn nearest(dimensions: usize, exact: bool) -> String {
    let zero = if exact { " + 0" } else { "" };
    format!(
        "
semantic as (
    select document, attempt, ordinal, 1 - distance as score,
        row_number() over (order by distance, document, ordinal) as rank
    from (
        select document, attempt, ordinal,
            embedding::halfvec({dimensions}) <=> $8::real[]::halfvec({dimensions}) as distance
        from passages
        where searchable and dimensions = {dimensions} and model = $7 and knowledge_base = any($6)
        order by (embedding::halfvec({dimensions}) <=> $8::real[]::halfvec({dimensions})){zero} limit $5
    ) nearest
    where distance < 1
)"
    )
}

const BOTH: &str = "
select document, ordinal, p.knowledge_base, s.title, p.text, p.heading, p.starts, p.ends,
    l.rank as lexical_rank, l.score as lexical_score, v.rank as semantic_rank, v.score as semantic_score
from lexical l full join semantic v using (document, attempt, ordinal)
join passages p using (document, attempt, ordinal)
join passage_sources s using (document)
order by document, ordinal";

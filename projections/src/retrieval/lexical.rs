//! The ranking by words: BM25.

use super::{Found, Question, filter::Compiled, scope::Scope};
use crate::{
    passages::term,
    words::{self, Language},
};
use sqlx::{AssertSqlSafe, FromRow, PgPool};
use std::collections::HashMap;

/// Distinct words of a question that are looked up, and of those the rarest that count.
const MAX_WORDS: (usize, usize) = (512, 48);
/// Passages that the words of a question may bring up for scoring; the rarest words come first.
const CANDIDATES: i64 = 1_000;
/// Words are added whatever they bring up until there are so many.
const ENOUGH: i64 = 200;
/// Of a word that nearly every passage has, so many passages are scored: each costs about 9 µs.
const SCORED: i64 = 5_000;

/// A knowledge base as the search knows it.
#[derive(Debug, FromRow)]
pub(super) struct Shelf {
    pub id: String,
    language: String,
    pub passages: i64,
    words: i64,
    pub model: Option<String>,
    /// Passages of documents that fit the filter.
    pub eligible: i64,
    /// Whether it has passages that cannot be found, because their documents are being read.
    pub storing: bool,
}

/// The knowledge bases of a question.
pub(super) async fn shelves(
    db: &PgPool,
    question: &Question<'_>,
    filter: Option<&Compiled>,
) -> sqlx::Result<Vec<Shelf>> {
    let ids: Vec<&str> = question.knowledge_bases.iter().map(|id| id.as_str()).collect();
    let eligible = filter.map_or("k.passages".to_owned(), |filter| {
        format!(
            "(select coalesce(sum(s.passages), 0)::bigint from passage_sources s
              where s.knowledge_base = k.id and s.attempt is not null and {})",
            filter.sql(2, 3)
        )
    });
    let statement = format!(
        "select id, language, passages, words, model, {eligible} as eligible,
            exists (select from passage_sources s where s.knowledge_base = k.id and s.stored > 0) as storing
         from passage_shelves k where id = any($1) and $2::text[] is not null and $3::text[] is not null
         order by id"
    );
    sqlx::query_as(AssertSqlSafe(statement))
        .bind(ids)
        .bind(filter.map_or(&[][..], |filter| &filter.keys))
        .bind(filter.map_or(&[][..], |filter| &filter.values))
        .fetch_all(db)
        .await
}

/// The words of a question: one bag for each knowledge base, stemmed as that one's.
pub(super) fn bags(shelves: &[Shelf], text: &str) -> Vec<Vec<(i64, i16)>> {
    let bag = |shelf: &Shelf| {
        let (mut bag, _) = words::counted(text, Language::of(&shelf.language));
        bag.truncate(MAX_WORDS.0);
        bag
    };
    shelves.iter().map(bag).collect()
}

/// What is known of the words of a question in all its knowledge bases together.
#[derive(Debug, Default)]
pub(super) struct Weighed {
    /// Terms that count.
    pub terms: Vec<i64>,
    /// What each of them weighs: its inverse document frequency, as often as the question has it.
    pub weights: Vec<f64>,
    /// Terms that bring up candidates.
    pub candidates: Vec<i64>,
    /// Average words of a passage.
    pub average_words: f64,
}

impl Weighed {
    /// Looks the words up.
    pub async fn look_up(
        db: &PgPool,
        shelves: &[Shelf],
        bags: &[Vec<(i64, i16)>],
    ) -> sqlx::Result<Self> {
        let ids: Vec<&str> = shelves.iter().map(|shelf| shelf.id.as_str()).collect();
        // The same word has a term in every knowledge base; its passages in all of them decide how rare it is.
        let mut asked: HashMap<i64, (i16, Vec<i64>)> = HashMap::new();
        for (shelf, bag) in shelves.iter().zip(bags) {
            for (word, count) in bag {
                let (times, terms) = asked.entry(*word).or_default();
                *times = (*times).max(*count);
                terms.push(term(&shelf.id, *word));
            }
        }
        let all: Vec<i64> = asked.values().flat_map(|(_, terms)| terms.iter().copied()).collect();
        let found: Vec<(i64, i64)> = sqlx::query_as(
            "select term, passages from passage_terms where term = any($2) and knowledge_base = any($1)",
        )
        .bind(ids)
        .bind(all)
        .fetch_all(db)
        .await?;
        let found: HashMap<i64, i64> = found.into_iter().collect();
        let words = asked.into_iter().map(|(word, (times, terms))| {
            let passages: i64 = terms.iter().filter_map(|term| found.get(term)).sum();
            (passages, word, times, terms)
        });
        let mut words: Vec<_> = words.filter(|(passages, ..)| *passages > 0).collect();
        words.sort_unstable();
        words.truncate(MAX_WORDS.1);
        Ok(Self::weigh(shelves, &words))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of passages and words")]
    fn weigh(shelves: &[Shelf], words: &[(i64, i64, i16, Vec<i64>)]) -> Self {
        let passages: i64 = shelves.iter().map(|shelf| shelf.passages).sum();
        let all_words: i64 = shelves.iter().map(|shelf| shelf.words).sum();
        let all = passages.max(1) as f64;
        let mut weighed =
            Self { average_words: (all_words as f64 / all).max(1.0), ..Self::default() };
        let mut expected = 0;
        for (found, _, times, terms) in words {
            let df = *found as f64;
            let idf = (1.0 + (all - df + 0.5).max(0.0) / (df + 0.5)).ln();
            weighed.terms.extend_from_slice(terms);
            weighed.weights.extend(terms.iter().map(|_| idf * f64::from(*times)));
            if expected < ENOUGH || expected + found <= CANDIDATES {
                expected += found;
                weighed.candidates.extend_from_slice(terms);
            }
        }
        weighed
    }
}

/// BM25 with k1 = 1.2 and b = 0.75, the best `limit`. A passage's terms are sorted, so `width_bucket` finds one by bisection.
pub(super) async fn ranking(
    db: &PgPool,
    weighed: &Weighed,
    scope: &Scope,
    limit: i64,
) -> sqlx::Result<Vec<Found>> {
    if weighed.candidates.is_empty() {
        return Ok(Vec::new());
    }
    let counts = scope.sql([6, 7, 8]);
    // Put together from constants, numbers and the numbers of parameters, which all have a type, also where none is used.
    let statement = AssertSqlSafe(format!(
        "with wanted as materialized (select * from unnest($1::bigint[], $2::float8[]) as w (term, weight))
         select p.document, p.attempt, p.ordinal, s.score
         from (
             select document, attempt, ordinal, terms, counts, words from passages p
             where terms && $3::bigint[] {counts} limit {SCORED}
         ) p
         cross join lateral (
             select sum(w.weight * f.n * 2.2 / (f.n + 0.3 + 0.9 / $4::float8 * p.words)) as score
             from wanted w
             cross join lateral (select width_bucket(w.term, p.terms) as i) at
             cross join lateral (select p.counts[at.i]::float8 as n) f
             where p.terms[at.i] = w.term
         ) s
         where num_nulls($6::text[], $7::text[], $8::text[]) >= 0
         order by s.score desc, p.document, p.ordinal limit $5"
    ));
    sqlx::query_as(statement)
        .bind(&weighed.terms)
        .bind(&weighed.weights)
        .bind(&weighed.candidates)
        .bind(weighed.average_words.max(1.0))
        .bind(limit)
        .bind(&scope.shelves)
        .bind(scope.keys())
        .bind(scope.values())
        .fetch_all(db)
        .await
}

//! The texts of the passages that rank best.

use super::{Hit, Leg, Looked, fusion::Candidate};
use sqlx::{FromRow, PgPool};

#[derive(Debug, FromRow)]
struct Row {
    /// From 1, among those asked for.
    place: i64,
    knowledge_base: String,
    title: String,
    text: String,
    heading: String,
    starts: i64,
    ends: i64,
    page: Option<i32>,
}

/// The first `most` candidates that can be found at this moment, whatever the rankings saw: what is deleted is not quoted.
pub(super) async fn read(
    db: &PgPool,
    candidates: &[Candidate],
    most: usize,
) -> sqlx::Result<Looked> {
    let mut looked = Looked::default();
    for some in candidates.chunks(most.max(1)) {
        let mut rows = rows(db, some).await?.into_iter().peekable();
        for (place, candidate) in (1..).zip(some) {
            match rows.next_if(|row| row.place == place) {
                Some(row) => looked.hits.push(hit(candidate, row)),
                // The ranking by words is of the same read model; the other may lag, and looking again would not help.
                None => looked.changed |= candidate.lexical.is_some(),
            }
        }
        if looked.hits.len() >= most {
            looked.hits.truncate(most);
            break;
        }
    }
    Ok(looked)
}

async fn rows(db: &PgPool, candidates: &[Candidate]) -> sqlx::Result<Vec<Row>> {
    let documents: Vec<&str> = candidates.iter().map(|one| one.document.as_str()).collect();
    let attempts: Vec<i32> = candidates.iter().map(|one| one.attempt).collect();
    let ordinals: Vec<i32> = candidates.iter().map(|one| one.ordinal).collect();
    sqlx::query_as(
        "select w.place, s.knowledge_base, s.title, p.text, p.heading, p.starts, p.ends, p.page
         from unnest($1::text[], $2::integer[], $3::integer[]) with ordinality as w (document, attempt, ordinal, place)
         join passage_sources s on s.document = w.document and s.attempt = w.attempt
         join passages p on p.document = w.document and p.attempt = w.attempt and p.ordinal = w.ordinal
         order by w.place",
    )
    .bind(documents)
    .bind(attempts)
    .bind(ordinals)
    .fetch_all(db)
    .await
}

fn hit(candidate: &Candidate, row: Row) -> Hit {
    Hit {
        document: candidate.document.as_str().into(),
        knowledge_base: row.knowledge_base.into(),
        title: row.title,
        passages: vec![candidate.ordinal],
        text: row.text,
        start: row.starts,
        end: row.ends,
        page: row.page,
        heading: row.heading,
        score: candidate.score,
        fused: Leg { rank: 0, score: candidate.score },
        lexical: candidate.lexical,
        semantic: candidate.semantic,
    }
}

//! The passages of one knowledge base: coming, going, and being looked at as a whole.

use super::{
    FEWEST, SETTLED,
    fit::{self, Bag, SAMPLE, Terms},
};
use crate::ApplyError;
use pgvector::HalfVector;
use sqlx::{FromRow, PgConnection};

/// Passages placed by one statement.
const PAGE: i64 = 500;

/// Lets the passages of an attempt be found, and gives them a place, or all of the knowledge base a new one.
pub(super) async fn publish(
    db: &mut PgConnection,
    document: &str,
    attempt: u32,
) -> Result<(), ApplyError> {
    retire(db, document).await?;
    let found: Vec<(String, i64, i64)> = sqlx::query_as(
        "with seen as (
             update meaning_bags set searchable = true where document = $1 and attempt = $2
             returning knowledge_base
         ), counted as (select knowledge_base, count(*) as passages from seen group by knowledge_base)
         update meaning_shelves s set passages = s.passages + c.passages from counted c
         where s.id = c.knowledge_base returning s.id, s.passages, s.fitted",
    )
    .bind(document)
    .bind(i64::from(attempt))
    .fetch_all(&mut *db)
    .await?;
    let Some((shelf, passages, fitted)) = found.into_iter().next() else { return Ok(()) };
    let grown = passages >= FEWEST && 2 * passages >= 3 * fitted && fitted < SETTLED;
    if !grown && fitted == 0 {
        return Ok(());
    }
    let (only, terms) = if grown {
        let old = "delete from meanings where knowledge_base = $1";
        sqlx::query(old).bind(&shelf).execute(&mut *db).await?;
        (None, Some(learn(db, &shelf, passages).await?))
    } else {
        (Some(document), None)
    };
    let settled = !grown && fitted >= SETTLED;
    let mut after = Place::default();
    loop {
        let page = Page { shelf: &shelf, only, after: &after };
        match place(db, page, terms.as_ref(), settled).await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Takes a document's searchable passages out.
pub(super) async fn retire(db: &mut PgConnection, document: &str) -> Result<(), ApplyError> {
    let placed = "delete from meanings where document = $1";
    sqlx::query(placed).bind(document).execute(&mut *db).await?;
    sqlx::query(
        "with gone as (
             delete from meaning_bags where document = $1 and searchable returning knowledge_base
         ), counted as (select knowledge_base, count(*) as passages from gone group by knowledge_base)
         update meaning_shelves s set passages = s.passages - c.passages from counted c
         where s.id = c.knowledge_base",
    )
    .bind(document)
    .execute(db)
    .await?;
    Ok(())
}

/// Looks at an even selection of the passages and keeps what they tell of the terms.
async fn learn(db: &mut PgConnection, shelf: &str, passages: i64) -> Result<Terms, ApplyError> {
    let sample = i64::try_from(SAMPLE).unwrap_or(i64::MAX);
    let bags: Vec<(Vec<i64>, Vec<i16>)> = sqlx::query_as(
        "select terms, counts from (
             select terms, counts, row_number() over (order by document, ordinal) - 1 as nth
             from meaning_bags where knowledge_base = $1 and searchable
         ) all_of_them where nth * $2 % greatest($3, $2) < $2 order by nth",
    )
    .bind(shelf)
    .bind(sample)
    .bind(passages)
    .fetch_all(&mut *db)
    .await?;
    let bags: Vec<Bag> =
        bags.into_iter().map(|(terms, counts)| terms.into_iter().zip(counts).collect()).collect();
    let terms = match tokio::task::spawn_blocking(move || fit::fit(&bags)).await {
        Ok(terms) => terms,
        Err(error) => match error.try_into_panic() {
            Ok(cause) => std::panic::resume_unwind(cause),
            Err(_) => return Err(sqlx::Error::WorkerCrashed.into()),
        },
    };
    let old = "delete from meaning_terms where knowledge_base = $1";
    sqlx::query(old).bind(shelf).execute(&mut *db).await?;
    let all: Vec<(&i64, &Vec<f32>)> = terms.iter().collect();
    for some in all.chunks(1_000) {
        let numbers: Vec<i64> = some.iter().map(|(term, _)| **term).collect();
        let vectors: Vec<HalfVector> =
            some.iter().map(|(_, vector)| HalfVector::from_f32_slice(vector)).collect();
        sqlx::query(
            "insert into meaning_terms (knowledge_base, term, vector)
             select $1, term, vector from unnest($2::bigint[], $3::halfvec[]) as new (term, vector)",
        )
        .bind(shelf)
        .bind(numbers)
        .bind(vectors)
        .execute(&mut *db)
        .await?;
    }
    let done = "update meaning_shelves set fitted = passages where id = $1";
    sqlx::query(done).bind(shelf).execute(db).await?;
    Ok(terms)
}

/// A passage that was placed; the next page begins behind it.
#[derive(Default)]
struct Place {
    document: String,
    ordinal: i32,
}

/// Up to [`PAGE`] searchable passages of a knowledge base, or of one document of it.
struct Page<'a> {
    shelf: &'a str,
    only: Option<&'a str>,
    after: &'a Place,
}

#[derive(FromRow)]
struct Row {
    document: String,
    attempt: i32,
    ordinal: i32,
    terms: Vec<i64>,
    counts: Vec<i16>,
}

/// Places of passages, by column.
#[derive(Default)]
struct New {
    documents: Vec<String>,
    attempts: Vec<i32>,
    ordinals: Vec<i32>,
    vectors: Vec<HalfVector>,
}

/// Places a page of passages; `None` when there was none left. Without `terms`, what is known of theirs is read.
async fn place(
    db: &mut PgConnection,
    page: Page<'_>,
    terms: Option<&Terms>,
    settled: bool,
) -> Result<Option<Place>, ApplyError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select document, attempt, ordinal, terms, counts from meaning_bags
         where knowledge_base = $1 and searchable and ($2::text is null or document = $2)
           and (document, ordinal) > ($3, $4) order by document, ordinal limit $5",
    )
    .bind(page.shelf)
    .bind(page.only)
    .bind(&page.after.document)
    .bind(if page.after.document.is_empty() { -1 } else { page.after.ordinal })
    .bind(PAGE)
    .fetch_all(&mut *db)
    .await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let last = Place { document: last.document.clone(), ordinal: last.ordinal };
    let stored;
    let terms = match terms {
        Some(terms) => terms,
        None => {
            let mut numbers: Vec<i64> =
                rows.iter().flat_map(|row| row.terms.iter().copied()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            stored = terms_of(db, page.shelf, &numbers).await?;
            &stored
        }
    };
    let mut new = New::default();
    for row in rows {
        let bag: Bag = row.terms.into_iter().zip(row.counts).collect();
        if let Some(vector) = fit::place(&bag, terms) {
            new.documents.push(row.document);
            new.attempts.push(row.attempt);
            new.ordinals.push(row.ordinal);
            new.vectors.push(HalfVector::from_f32_slice(&vector));
        }
    }
    sqlx::query(
        "insert into meanings (document, attempt, ordinal, knowledge_base, settled, embedding)
         select document, attempt, ordinal, $1, $2, embedding
         from unnest($3::text[], $4::integer[], $5::integer[], $6::halfvec[])
            as new (document, attempt, ordinal, embedding)",
    )
    .bind(page.shelf)
    .bind(settled)
    .bind(new.documents)
    .bind(new.attempts)
    .bind(new.ordinals)
    .bind(new.vectors)
    .execute(db)
    .await?;
    Ok(Some(last))
}

/// What is known of these terms.
async fn terms_of(db: &mut PgConnection, shelf: &str, numbers: &[i64]) -> sqlx::Result<Terms> {
    let known: Vec<(i64, HalfVector)> = sqlx::query_as(
        "select term, vector from meaning_terms where knowledge_base = $1 and term = any($2)",
    )
    .bind(shelf)
    .bind(numbers)
    .fetch_all(db)
    .await?;
    Ok(known.into_iter().map(|(term, vector)| (term, floats(&vector))).collect())
}

/// The numbers of a stored vector.
pub(super) fn floats(vector: &HalfVector) -> Vec<f32> {
    vector.as_slice().iter().map(|x| x.to_f32()).collect()
}

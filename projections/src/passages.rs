//! The search: passages with their words and vectors, and what BM25 needs to know of each knowledge base.
//!
//! A document's passages become searchable together, when its ingestion has ended, and vanish together. Until then they
//! wait unseen, and those of an attempt that came to nothing are dropped when the next begins.

mod reading;

pub use reading::{Placed, reading};

use crate::{
    ApplyError, Projection, column, meanings,
    words::{self, Language},
};
use domain::{
    Decider, Recorded, codec,
    document::{Document, Event, Label, Labels, Origin, Passage},
    knowledge_base::{self, KnowledgeBase},
};
use futures::future::{BoxFuture, FutureExt};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, types::Json};

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passages;

impl Projection for Passages {
    fn name(&self) -> &'static str {
        "passages"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["passage_shelves", "passage_sources", "passages", "passage_vectors", "passage_terms"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[KnowledgeBase::CATEGORY, Document::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            if recorded.stream.category() == KnowledgeBase::CATEGORY {
                shelf(db, recorded).await
            } else {
                document(db, recorded).await
            }
        }
        .boxed()
    }
}

/// The number of a word within a knowledge base. Two knowledge bases share no term, so an index on terms finds the
/// passages of the right ones without looking at others.
pub(crate) fn term(knowledge_base: &str, word: i64) -> i64 {
    let mixed = word.cast_unsigned() ^ words::number(knowledge_base).rotate_left(17);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed()
}

async fn shelf(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    use knowledge_base::Event as E;
    let statements: &[&str] = match codec::decode(&recorded.kind, &recorded.data)? {
        E::KnowledgeBaseCreated { language, .. } => {
            sqlx::query(
                "insert into passage_shelves (id, language, passages, words) values ($1, $2, 0, 0)",
            )
            .bind(recorded.stream.key())
            .bind(language)
            .execute(db)
            .await?;
            return Ok(());
        }
        E::KnowledgeBaseDeleted {} => &[
            "delete from passage_vectors where document in
                (select document from passage_sources where knowledge_base = $1)",
            "delete from passages where document in
                (select document from passage_sources where knowledge_base = $1)",
            "delete from passage_sources where knowledge_base = $1",
            "delete from passage_terms where knowledge_base = $1",
            "delete from passage_shelves where id = $1",
        ],
        E::KnowledgeBaseCleared {} => &[
            "delete from passage_vectors where document in
                (select document from passage_sources where knowledge_base = $1)",
            "delete from passages where document in
                (select document from passage_sources where knowledge_base = $1)",
            "delete from passage_sources where knowledge_base = $1",
            "delete from passage_terms where knowledge_base = $1",
            "update passage_shelves set passages = 0, words = 0 where id = $1",
        ],
        E::KnowledgeBaseRenamed { .. }
        | E::KnowledgeBaseDescribed { .. }
        | E::KnowledgeBaseConfigured { .. } => &[],
    };
    for statement in statements {
        sqlx::query(*statement).bind(recorded.stream.key()).execute(&mut *db).await?;
    }
    Ok(())
}

async fn document(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let id = recorded.stream.key();
    match codec::decode(&recorded.kind, &recorded.data)? {
        Event::DocumentUploaded { knowledge_base, name, metadata, origin, .. } => {
            sqlx::query(
                "insert into passage_sources (document, knowledge_base, title, metadata, searchable, passages, revision)
                 select $1, id, $3, $5, false, 0, $4 from passage_shelves where id = $2",
            )
            .bind(id)
            .bind(knowledge_base.as_str())
            .bind(&name)
            .bind(column(recorded.revision.0))
            .bind(Json(described(&name, metadata, &origin)))
            .execute(db)
            .await?;
        }
        Event::IngestionStarted { .. } => {
            for unseen in [
                "delete from passages where document = $1 and not searchable",
                "delete from passage_vectors where document = $1 and not searchable",
            ] {
                sqlx::query(unseen).bind(id).execute(&mut *db).await?;
            }
        }
        Event::PassagesStored { attempt, first, model, passages } => {
            store(db, id, (attempt, first), &model, &passages).await?;
        }
        Event::DocumentIngested { attempt, .. } => {
            retire(db, id).await?;
            publish(db, recorded, attempt).await?;
        }
        Event::IngestionFailed { .. } | Event::RereadRequested {} => {}
        Event::DocumentDeleted {} => {
            retire(db, id).await?;
            let statements = [
                "delete from passage_vectors where document = $1",
                "delete from passages where document = $1",
                "delete from passage_sources where document = $1",
            ];
            for statement in statements {
                sqlx::query(statement).bind(id).execute(&mut *db).await?;
            }
        }
    }
    Ok(())
}

/// What filters may ask about a document: what its owner says, and where it is from.
fn described(name: &str, mut metadata: Labels, origin: &Origin) -> Labels {
    let source = origin.url().unwrap_or(name);
    metadata.0.insert("source".to_owned(), Label::Text(source.to_owned()));
    metadata
}

#[derive(Serialize)]
struct New<'a> {
    ordinal: u32,
    text: &'a str,
    heading: &'a str,
    starts: u64,
    ends: u64,
    terms: Vec<i64>,
    counts: Vec<i16>,
    words: i32,
    page: Option<u32>,
    row: Option<u32>,
}

/// Keeps passages, unseen as yet, with the vectors the memo has for them.
async fn store(
    db: &mut PgConnection,
    id: &str,
    (attempt, first): (u32, u32),
    model: &str,
    passages: &[Passage],
) -> Result<(), ApplyError> {
    let source = "select s.id, s.language from passage_sources join passage_shelves s on s.id = knowledge_base
         where document = $1";
    let source: Option<(String, String)> =
        sqlx::query_as(source).bind(id).fetch_optional(&mut *db).await?;
    let Some((knowledge_base, language)) = source else { return Ok(()) };
    let language = Language::of(&language);
    let indexed: Vec<String> = passages.iter().map(Passage::indexed).collect();
    let new: Vec<New<'_>> = (first..)
        .zip(passages.iter().zip(&indexed))
        .map(|(ordinal, (passage, indexed))| {
            let (counted, words) = words::counted(indexed, language);
            let mut terms: Vec<(i64, i16)> =
                counted.into_iter().map(|(w, n)| (term(&knowledge_base, w), n)).collect();
            terms.sort_unstable();
            let (terms, counts) = terms.into_iter().unzip();
            let Passage { text, start, end, heading, page, row } = passage;
            New {
                ordinal,
                text,
                heading,
                starts: *start,
                ends: *end,
                terms,
                counts,
                words,
                page: *page,
                row: *row,
            }
        })
        .collect();
    sqlx::query(
        "insert into passages (document, attempt, ordinal, knowledge_base, searchable, text, heading, starts, ends,
            page, source_row, terms, counts, words, model)
         select $1, $2, new.ordinal, $3, false, new.text, new.heading, new.starts, new.ends,
            new.page, new.row, new.terms, new.counts, new.words, $4
         from json_to_recordset($5::json) as new (ordinal integer, text text, heading text, starts bigint,
            ends bigint, page integer, row integer, terms bigint[], counts smallint[], words integer)",
    )
    .bind(id)
    .bind(i64::from(attempt))
    .bind(&knowledge_base)
    .bind(model)
    .bind(serde_json::to_string(&new)?)
    .execute(&mut *db)
    .await?;
    remember(db, id, (attempt, first), &knowledge_base, model, indexed).await
}

/// Keeps the vectors the memo has for passages.
async fn remember(
    db: &mut PgConnection,
    id: &str,
    (attempt, first): (u32, u32),
    knowledge_base: &str,
    model: &str,
    indexed: Vec<String>,
) -> Result<(), ApplyError> {
    if model.starts_with(meanings::BUILTIN) {
        let none = "update passage_shelves set model = null, dimensions = null where id = $1 and model is not null";
        sqlx::query(none).bind(knowledge_base).execute(db).await?;
        return Ok(());
    }
    sqlx::query(
        "with known as (
             insert into passage_vectors
                 (document, attempt, ordinal, knowledge_base, searchable, model, dimensions, embedding)
             select $1, $2, $3 + nth - 1, $4, false, $5, cardinality(memo.embedding), memo.embedding::halfvec
             from unnest($6::text[]) with ordinality as new (indexed, nth)
             join vector_memo memo on memo.model = $5 and memo.hash = sha256(convert_to(new.indexed, 'UTF8'))
             returning dimensions
         )
         update passage_shelves set model = $5, dimensions = (select max(dimensions) from known) where id = $4",
    )
    .bind(id)
    .bind(i64::from(attempt))
    .bind(i64::from(first))
    .bind(knowledge_base)
    .bind(model)
    .bind(indexed)
    .execute(db)
    .await?;
    Ok(())
}

/// Lets the passages of an attempt be found.
async fn publish(
    db: &mut PgConnection,
    recorded: &Recorded,
    attempt: u32,
) -> Result<(), ApplyError> {
    let (id, attempt) = (recorded.stream.key(), i64::from(attempt));
    for statement in [
        "delete from passages where document = $1 and attempt <> $2",
        "delete from passage_vectors where document = $1 and attempt <> $2",
        "update passages set searchable = true where document = $1 and attempt = $2",
        "update passage_vectors set searchable = true where document = $1 and attempt = $2",
    ] {
        sqlx::query(statement).bind(id).bind(attempt).execute(&mut *db).await?;
    }
    sqlx::query(
        "update passage_sources set searchable = true, revision = $2,
            passages = (select count(*) from passages where document = $1 and searchable)
         where document = $1",
    )
    .bind(id)
    .bind(column(recorded.revision.0))
    .execute(&mut *db)
    .await?;
    count(db, id, 1).await
}

/// Takes a document's searchable passages out of the counts; the rows are the caller's.
async fn retire(db: &mut PgConnection, id: &str) -> Result<(), ApplyError> {
    let seen = "select exists (select from passages where document = $1 and searchable)";
    if !sqlx::query_scalar::<_, bool>(seen).bind(id).fetch_one(&mut *db).await? {
        return Ok(());
    }
    count(db, id, -1).await?;
    // By key: a join on `any(terms)` looks at every term there is.
    sqlx::query(
        "with own as materialized (
             select distinct knowledge_base, term from passages, unnest(terms) as term
             where document = $1 and searchable
         )
         delete from passage_terms gone using own
         where gone.term = own.term and gone.knowledge_base = own.knowledge_base and gone.passages <= 0",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(())
}

/// Adds the document's searchable passages to the counts, or takes them away.
async fn count(db: &mut PgConnection, id: &str, sign: i64) -> Result<(), ApplyError> {
    sqlx::query(
        "update passage_shelves s set passages = s.passages + $2 * n.passages, words = s.words + $2 * n.words
         from (select knowledge_base, count(*) as passages, sum(words) as words from passages
               where document = $1 and searchable group by knowledge_base) n
         where s.id = n.knowledge_base",
    )
    .bind(id)
    .bind(sign)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "insert into passage_terms as old (knowledge_base, term, passages)
         select knowledge_base, term, $2 * count(*) from passages, unnest(terms) as term
         where document = $1 and searchable group by knowledge_base, term order by term
         on conflict (term, knowledge_base) do update set passages = old.passages + excluded.passages",
    )
    .bind(id)
    .bind(sign)
    .execute(db)
    .await?;
    Ok(())
}

/// Makes sure that vectors of this length are found through an index; for start-up, as soon as the length is known.
///
/// # Errors
/// When the database refuses; a length beyond 4,000 has no index and needs none to be found.
pub async fn index_vectors(db: &PgPool, dimensions: usize) -> sqlx::Result<()> {
    if !(1..=4_000).contains(&dimensions) {
        return Ok(());
    }
    // Numbers only: nothing here comes from outside.
    let statement = format!(
        "create index if not exists passage_vectors_{dimensions} on passage_vectors
         using hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops) with (m = 16, ef_construction = 128)
         where searchable and dimensions = {dimensions}"
    );
    // What does not fit in memory is built many times slower.
    let mut transaction = db.begin().await?;
    sqlx::query("set local maintenance_work_mem = '512MB'").execute(&mut *transaction).await?;
    sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
    transaction.commit().await
}

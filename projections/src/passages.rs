//! The search: passages with their words and vectors, and what BM25 needs to know of each knowledge base.
//!
//! A document's passages become searchable together, when its ingestion has ended, and vanish together: its row says which
//! attempt's can be found, so that it takes no longer for many. They enter the indexes when they are stored, part by part;
//! those of an attempt that came to nothing are dropped.

mod counts;
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
                "insert into passage_sources (document, knowledge_base, title, metadata, passages, revision)
                 select $1, id, $3, $5, 0, $4 from passage_shelves where id = $2",
            )
            .bind(id)
            .bind(knowledge_base.as_str())
            .bind(&name)
            .bind(column(recorded.revision.0))
            .bind(Json(described(&name, metadata, &origin)))
            .execute(db)
            .await?;
        }
        Event::IngestionStarted { .. } | Event::IngestionFailed { .. } => {
            counts::drop_unseen(db, id).await?;
        }
        Event::PassagesStored { attempt, first, model, passages } => {
            store(db, id, (attempt, first), &model, &passages).await?;
        }
        Event::DocumentIngested { attempt, .. } => publish(db, recorded, attempt).await?,
        Event::RereadRequested {} => {}
        Event::DocumentDeleted {} => counts::drop_all(db, id).await?,
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

/// Keeps and counts passages, unseen as yet, with the vectors the memo has for them.
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
    counts::add(db, id, &knowledge_base, new.iter().map(|passage| passage.terms.as_slice()))
        .await?;
    sqlx::query(
        "insert into passages (document, attempt, ordinal, knowledge_base, text, heading, starts, ends,
            page, source_row, terms, counts, words, model)
         select $1, $2, new.ordinal, $3, new.text, new.heading, new.starts, new.ends,
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
                 (document, attempt, ordinal, knowledge_base, model, dimensions, embedding)
             select $1, $2, $3 + nth - 1, $4, $5, cardinality(memo.embedding), memo.embedding::halfvec
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

/// Lets the passages of an attempt be found, instead of those that were.
async fn publish(
    db: &mut PgConnection,
    recorded: &Recorded,
    attempt: u32,
) -> Result<(), ApplyError> {
    let id = recorded.stream.key();
    counts::drop_others(db, id, attempt).await?;
    sqlx::query(
        "with now as (
             update passage_sources s set attempt = $2, revision = $3, stored = 0,
                passages = n.passages, words = n.words, model = n.model
             from (select count(*) as passages, coalesce(sum(words), 0) as words, min(model) as model from passages
                   where document = $1 and attempt = $2) n
             where s.document = $1 returning s.knowledge_base, s.passages, s.words
         )
         update passage_shelves k set passages = k.passages + now.passages, words = k.words + now.words
         from now where k.id = now.knowledge_base",
    )
    .bind(id)
    .bind(i64::from(attempt))
    .bind(column(recorded.revision.0))
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
         where dimensions = {dimensions}"
    );
    // What does not fit in memory is built many times slower.
    let mut transaction = db.begin().await?;
    sqlx::query("set local maintenance_work_mem = '512MB'").execute(&mut *transaction).await?;
    sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
    transaction.commit().await
}

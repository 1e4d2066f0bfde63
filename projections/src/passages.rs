//! The search: passages with their words and vectors, and what BM25 needs to know of each knowledge base.
//!
//! A document's passages become searchable together, when its ingestion has ended, and vanish together. Until then they
//! wait unseen, and those of an attempt that came to nothing are dropped when the next begins.

use crate::{ApplyError, Projection, column};
use domain::{
    Decider, Recorded, codec,
    document::{Document, Event, Passage, words},
    knowledge_base::{self, KnowledgeBase},
};
use futures::future::{BoxFuture, FutureExt};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passages;

impl Projection for Passages {
    fn name(&self) -> &'static str {
        "passages"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["passage_shelves", "passage_sources", "passages", "passage_terms"]
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
        E::KnowledgeBaseCreated { .. } => {
            &["insert into passage_shelves (id, passages, words) values ($1, 0, 0)"]
        }
        E::KnowledgeBaseDeleted {} => &[
            "delete from passages where document in
                (select document from passage_sources where knowledge_base = $1)",
            "delete from passage_sources where knowledge_base = $1",
            "delete from passage_terms where knowledge_base = $1",
            "delete from passage_shelves where id = $1",
        ],
        E::KnowledgeBaseCleared {} => &[
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
        Event::DocumentUploaded { knowledge_base, name, .. } => {
            sqlx::query(
                "insert into passage_sources (document, knowledge_base, title, searchable, revision)
                 select $1, id, $3, false, $4 from passage_shelves where id = $2",
            )
            .bind(id)
            .bind(knowledge_base.as_str())
            .bind(name)
            .bind(column(recorded.revision.0))
            .execute(db)
            .await?;
        }
        Event::IngestionStarted { .. } => {
            let unseen = "delete from passages where document = $1 and not searchable";
            sqlx::query(unseen).bind(id).execute(db).await?;
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

#[derive(Serialize)]
struct New<'a> {
    ordinal: u32,
    text: &'a str,
    heading: &'a str,
    indexed: &'a str,
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
    let source = "select knowledge_base from passage_sources where document = $1";
    let source: Option<String> =
        sqlx::query_scalar(source).bind(id).fetch_optional(&mut *db).await?;
    let Some(knowledge_base) = source else { return Ok(()) };
    let indexed: Vec<String> = passages.iter().map(Passage::indexed).collect();
    let new: Vec<New<'_>> = (first..)
        .zip(passages.iter().zip(&indexed))
        .map(|(ordinal, (passage, indexed))| {
            let (counted, words) = words::counted(indexed);
            let mut terms: Vec<(i64, i16)> =
                counted.into_iter().map(|(w, n)| (term(&knowledge_base, w), n)).collect();
            terms.sort_unstable();
            let (terms, counts) = terms.into_iter().unzip();
            let Passage { text, start, end, heading, page, row } = passage;
            New {
                ordinal,
                text,
                heading,
                indexed,
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
            page, source_row, terms, counts, words, model, dimensions, embedding)
         select $1, $2, new.ordinal, $3, false, new.text, new.heading, new.starts, new.ends,
            new.page, new.row, new.terms, new.counts, new.words, $4, cardinality(memo.embedding), memo.embedding::halfvec
         from json_to_recordset($5::json) as new (ordinal integer, text text, heading text, indexed text, starts bigint,
            ends bigint, page integer, row integer, terms bigint[], counts smallint[], words integer)
         left join vector_memo memo on memo.model = $4 and memo.hash = sha256(convert_to(new.indexed, 'UTF8'))",
    )
    .bind(id)
    .bind(i64::from(attempt))
    .bind(knowledge_base)
    .bind(model)
    .bind(serde_json::to_string(&new)?)
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
    sqlx::query("delete from passages where document = $1 and attempt <> $2")
        .bind(id)
        .bind(attempt)
        .execute(&mut *db)
        .await?;
    sqlx::query("update passages set searchable = true where document = $1 and attempt = $2")
        .bind(id)
        .bind(attempt)
        .execute(&mut *db)
        .await?;
    sqlx::query("update passage_sources set searchable = true, revision = $2 where document = $1")
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
        "create index if not exists passages_embedding_{dimensions} on passages
         using hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)
         where searchable and dimensions = {dimensions}"
    );
    sqlx::query(AssertSqlSafe(statement)).execute(db).await?;
    Ok(())
}

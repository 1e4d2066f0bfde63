//! Where passages stand to each other in meaning, told by the passages of their knowledge base alone: the vectors of
//! knowledge bases that no embedding model reads.
//!
//! As a knowledge base grows, its words are looked at anew ([`fit`]) each time it has half as many passages again, and all
//! its passages get new vectors. From [`SETTLED`] on, what is known of its words stays, and new passages are placed
//! among the others. All of it follows from the events and their order, so a rebuild comes to the same vectors.

pub(crate) mod fit;
mod shelf;

pub(crate) use fit::DIMENSIONS;

use crate::{ApplyError, Projection, words};
use domain::{
    Decider, Recorded, codec,
    document::{Document, Event, Passage},
    knowledge_base::{self, KnowledgeBase},
};
use futures::future::{BoxFuture, FutureExt};
use pgvector::HalfVector;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;

/// Models whose name begins so leave the vectors to this read model.
pub const BUILTIN: &str = "builtin-";
/// Passages it takes to say anything about words.
pub const FEWEST: i64 = 24;
/// So many passages tell what there is to know of a knowledge base's words.
pub const SETTLED: i64 = 8_192;

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meanings;

impl Projection for Meanings {
    fn name(&self) -> &'static str {
        "meanings"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["meaning_shelves", "meaning_sources", "meaning_terms", "meaning_bags", "meanings"]
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
                knowledge_base(db, recorded).await
            } else {
                document(db, recorded).await
            }
        }
        .boxed()
    }
}

async fn knowledge_base(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    use knowledge_base::Event as E;
    let id = recorded.stream.key();
    match codec::decode(&recorded.kind, &recorded.data)? {
        E::KnowledgeBaseCreated { language, .. } => {
            sqlx::query("insert into meaning_shelves (id, language, passages, fitted) values ($1, $2, 0, 0)")
                .bind(id)
                .bind(language)
                .execute(db)
                .await?;
        }
        E::KnowledgeBaseCleared {} => {
            clear(db, id).await?;
            let empty = "update meaning_shelves set passages = 0, fitted = 0 where id = $1";
            sqlx::query(empty).bind(id).execute(db).await?;
        }
        E::KnowledgeBaseDeleted {} => {
            clear(db, id).await?;
            let shelf = "delete from meaning_shelves where id = $1";
            sqlx::query(shelf).bind(id).execute(db).await?;
        }
        E::KnowledgeBaseRenamed { .. }
        | E::KnowledgeBaseDescribed { .. }
        | E::KnowledgeBaseConfigured { .. } => {}
    }
    Ok(())
}

/// Forgets all documents of a knowledge base, and what they told.
async fn clear(db: &mut PgConnection, id: &str) -> sqlx::Result<()> {
    for statement in [
        "delete from meanings where document in
            (select document from meaning_sources where knowledge_base = $1)",
        "delete from meaning_bags where document in
            (select document from meaning_sources where knowledge_base = $1)",
        "delete from meaning_sources where knowledge_base = $1",
        "delete from meaning_terms where knowledge_base = $1",
    ] {
        sqlx::query(statement).bind(id).execute(&mut *db).await?;
    }
    Ok(())
}

async fn document(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let id = recorded.stream.key();
    match codec::decode(&recorded.kind, &recorded.data)? {
        Event::DocumentUploaded { knowledge_base, .. } => {
            sqlx::query(
                "insert into meaning_sources (document, knowledge_base)
                 select $1, id from meaning_shelves where id = $2",
            )
            .bind(id)
            .bind(knowledge_base.as_str())
            .execute(db)
            .await?;
        }
        Event::IngestionStarted { .. } => {
            let unseen = "delete from meaning_bags where document = $1 and not searchable";
            sqlx::query(unseen).bind(id).execute(db).await?;
        }
        Event::PassagesStored { attempt, first, model, passages } if model.starts_with(BUILTIN) => {
            store(db, id, (attempt, first), &passages).await?;
        }
        Event::DocumentIngested { attempt, .. } => shelf::publish(db, id, attempt).await?,
        Event::DocumentDeleted {} => {
            shelf::retire(db, id).await?;
            let source = "delete from meaning_sources where document = $1";
            sqlx::query(source).bind(id).execute(db).await?;
        }
        Event::PassagesStored { .. }
        | Event::IngestionFailed { .. }
        | Event::RereadRequested {} => {}
    }
    Ok(())
}

#[derive(Serialize)]
struct New {
    ordinal: u32,
    terms: Vec<i64>,
    counts: Vec<i16>,
}

/// Keeps the words of passages, unseen as yet.
async fn store(
    db: &mut PgConnection,
    id: &str,
    (attempt, first): (u32, u32),
    passages: &[Passage],
) -> Result<(), ApplyError> {
    let source = "select s.id, s.language from meaning_sources join meaning_shelves s on s.id = knowledge_base
         where document = $1";
    let source: Option<(String, String)> =
        sqlx::query_as(source).bind(id).fetch_optional(&mut *db).await?;
    let Some((knowledge_base, language)) = source else { return Ok(()) };
    let language = words::Language::of(&language);
    let bags = passages.iter().map(|passage| words::counted(&passage.indexed(), language).0);
    let new: Vec<New> = (first..)
        .zip(bags)
        .map(|(ordinal, bag)| {
            let (terms, counts) = bag.into_iter().unzip();
            New { ordinal, terms, counts }
        })
        .collect();
    sqlx::query(
        "insert into meaning_bags (document, attempt, ordinal, knowledge_base, searchable, terms, counts)
         select $1, $2, new.ordinal, $3, false, new.terms, new.counts
         from json_to_recordset($4::json) as new (ordinal integer, terms bigint[], counts smallint[])",
    )
    .bind(id)
    .bind(i64::from(attempt))
    .bind(knowledge_base)
    .bind(serde_json::to_string(&new)?)
    .execute(db)
    .await?;
    Ok(())
}

/// The words of a question, stemmed as those of one knowledge base: numbers and counts.
pub(crate) struct Asked<'a> {
    /// The knowledge base.
    pub knowledge_base: &'a str,
    /// The question's words.
    pub bag: &'a [(i64, i16)],
}

/// Where a question stands in each of these knowledge bases; those that know none of its words are left out.
pub(crate) async fn places(
    db: &PgPool,
    asked: &[Asked<'_>],
) -> sqlx::Result<Vec<(String, HalfVector)>> {
    let pairs =
        || asked.iter().flat_map(|a| a.bag.iter().map(|(term, _)| (a.knowledge_base, *term)));
    let (shelves, terms): (Vec<&str>, Vec<i64>) = pairs().unzip();
    let known: Vec<(String, i64, HalfVector)> = sqlx::query_as(
        "select t.knowledge_base, t.term, t.vector
         from unnest($1::text[], $2::bigint[]) as wanted (knowledge_base, term)
         join meaning_terms t using (knowledge_base, term)",
    )
    .bind(shelves)
    .bind(terms)
    .fetch_all(db)
    .await?;
    let mut by_shelf: BTreeMap<String, fit::Terms> = BTreeMap::new();
    for (shelf, term, vector) in known {
        by_shelf.entry(shelf).or_default().insert(term, shelf::floats(&vector));
    }
    let placed = asked.iter().filter_map(|asked| {
        let place = fit::place(asked.bag, by_shelf.get(asked.knowledge_base)?)?;
        Some((asked.knowledge_base.to_owned(), HalfVector::from_f32_slice(&place)))
    });
    Ok(placed.collect())
}

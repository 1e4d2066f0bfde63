//! Which embedding models the passages of knowledge bases are of.
//!
//! Vectors of different models are never compared, so after a change of the model a knowledge base is searched by its
//! words until its documents are read again. Here it can be seen which ones that concerns.

use crate::meanings;
use sqlx::{FromRow, PgPool};
use std::collections::HashMap;

/// What the passages of a knowledge base were embedded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    /// The model; where some documents are of another one than the one in use, that other one.
    pub model: String,
    /// Length of its vectors, as far as there are any.
    pub dimensions: Option<i32>,
    /// Whether all passages are of the model in use.
    pub current: bool,
}

#[derive(FromRow)]
struct Row {
    id: String,
    model: String,
    dimensions: Option<i32>,
    current: bool,
}

/// The embeddings of these knowledge bases beside the model in use; those without passages that can be found have none.
///
/// # Errors
/// When the database does not answer.
pub async fn embeddings(
    db: &PgPool,
    knowledge_bases: &[&str],
    in_use: &str,
) -> sqlx::Result<HashMap<String, Embedding>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, model, dimensions, least = $2 and greatest = $2 as current
         from unnest($1::text[]) as k (id)
         cross join lateral (select
            (select min(model) from passage_sources where knowledge_base = k.id) as least,
            (select max(model) from passage_sources where knowledge_base = k.id) as greatest) ends
         cross join lateral (select case when least = $2 then greatest else least end as model) shown
         left join lateral (select dimensions from passage_vectors v
            where v.knowledge_base = k.id and v.model = shown.model limit 1) vectors on true
         where least is not null",
    )
    .bind(knowledge_bases)
    .bind(in_use)
    .fetch_all(db)
    .await?;
    let embedding = |row: Row| {
        let builtin = row.model.starts_with(meanings::BUILTIN);
        let own = if builtin { i32::try_from(meanings::DIMENSIONS).ok() } else { None };
        let Row { id, model, dimensions, current } = row;
        (id, Embedding { model, dimensions: dimensions.or(own), current })
    };
    Ok(rows.into_iter().map(embedding).collect())
}

/// How many knowledge bases have passages of another model than the one in use.
///
/// # Errors
/// When the database does not answer.
pub async fn outdated(db: &PgPool, in_use: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from passage_shelves k
         where (select min(model) from passage_sources where knowledge_base = k.id) <> $1
            or (select max(model) from passage_sources where knowledge_base = k.id) <> $1",
    )
    .bind(in_use)
    .fetch_one(db)
    .await
}

//! Knowledge bases as people list them.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec, datasource,
    ids::{KnowledgeBaseId, UserId},
    knowledge_base::{Event, KnowledgeBase},
};
use futures::future::{BoxFuture, FutureExt};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnowledgeBases;

impl Projection for KnowledgeBases {
    fn name(&self) -> &'static str {
        "knowledge_bases"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["knowledge_bases"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[KnowledgeBase::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        apply(db, recorded).boxed()
    }
}

async fn apply(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let event: Event = codec::decode(&recorded.kind, &recorded.data)?;
    let query = match &event {
        Event::KnowledgeBaseCreated { owner, name, kind, intro, language, datasource } => sqlx::query(
            "insert into knowledge_bases
                (id, revision, updated_at, owner, name, kind, intro, language, created, created_at, datasource)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $3, $10)",
        )
        .bind(recorded.stream.key())
        .bind(column(recorded.revision.0))
        .bind(recorded.recorded_at)
        .bind(owner.as_str())
        .bind(name)
        .bind(kind)
        .bind(intro)
        .bind(language)
        .bind(column(recorded.position.0))
        .bind(datasource.map(datasource::Type::slug)),
        Event::KnowledgeBaseRenamed { name } => sqlx::query(
            "update knowledge_bases set revision = $2, updated_at = $3, name = $4 where id = $1",
        )
        .bind(recorded.stream.key())
        .bind(column(recorded.revision.0))
        .bind(recorded.recorded_at)
        .bind(name),
        Event::KnowledgeBaseDescribed { intro } => sqlx::query(
            "update knowledge_bases set revision = $2, updated_at = $3, intro = $4 where id = $1",
        )
        .bind(recorded.stream.key())
        .bind(column(recorded.revision.0))
        .bind(recorded.recorded_at)
        .bind(intro),
        Event::KnowledgeBaseConfigured { setting } => sqlx::query(
            "update knowledge_bases set revision = $2, updated_at = $3, setting = $4 where id = $1",
        )
        .bind(recorded.stream.key())
        .bind(column(recorded.revision.0))
        .bind(recorded.recorded_at)
        .bind(setting),
        Event::KnowledgeBaseCleared {} => {
            sqlx::query("update knowledge_bases set revision = $2, updated_at = $3 where id = $1")
                .bind(recorded.stream.key())
                .bind(column(recorded.revision.0))
                .bind(recorded.recorded_at)
        }
        Event::KnowledgeBaseDeleted {} => {
            sqlx::query("delete from knowledge_bases where id = $1").bind(recorded.stream.key())
        }
    };
    query.execute(db).await?;
    Ok(())
}

/// A knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    /// 32 hex digits.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// What people call it.
    pub name: String,
    /// How its files are read.
    pub kind: String,
    /// What it is about.
    pub intro: String,
    /// Language of its documents, as the owner put it; may be empty.
    pub language: String,
    /// What its clients keep with it, when they do: a JSON object.
    pub setting: Option<Value>,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// How many documents it holds, in whatever state.
    pub documents: i64,
}

/// Which knowledge bases to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only this person's; `None` for everybody's.
    pub owner: Option<&'a UserId>,
    /// Only those whose name contains this, whatever the case; empty for all.
    pub name: &'a str,
    /// Only this kind; empty for all.
    pub kind: &'a str,
}

/// One page, newest first, and how many there are on all pages. Datasources are not among them.
pub async fn listed(
    db: &PgPool,
    filter: Filter<'_>,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<Row>, i64)> {
    let owner = filter.owner.map(UserId::as_str);
    let rows = sqlx::query_as(
        "select *, (select count(*) from documents d where d.knowledge_base = k.id and not d.gone) as documents
         from knowledge_bases k
         where ($1::text is null or owner = $1) and position(lower($2) in lower(name)) > 0
           and ($3 = '' or kind = $3) and datasource is null
         order by created desc limit $4 offset $5",
    )
    .bind(owner)
    .bind(filter.name)
    .bind(filter.kind)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from knowledge_bases
         where ($1::text is null or owner = $1) and position(lower($2) in lower(name)) > 0
           and ($3 = '' or kind = $3) and datasource is null",
    )
    .bind(owner)
    .bind(filter.name)
    .bind(filter.kind)
    .fetch_one(db)
    .await?;
    Ok((rows, total))
}

/// The one with this id.
pub async fn get(db: &PgPool, id: &KnowledgeBaseId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select *, (select count(*) from documents d where d.knowledge_base = k.id and not d.gone) as documents
         from knowledge_bases k where id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(db)
    .await
}

/// Those of these that exist, belong to this person and are no datasources.
pub async fn owned_among(
    db: &PgPool,
    ids: &[KnowledgeBaseId],
    owner: &UserId,
) -> sqlx::Result<Vec<KnowledgeBaseId>> {
    let ids: Vec<&str> = ids.iter().map(KnowledgeBaseId::as_str).collect();
    let own: Vec<String> = sqlx::query_scalar(
        "select id from knowledge_bases where id = any($1) and owner = $2 and datasource is null",
    )
    .bind(ids)
    .bind(owner.as_str())
    .fetch_all(db)
    .await?;
    Ok(own.into_iter().map(KnowledgeBaseId::from).collect())
}

/// As [`owned_among`], each with its name.
pub async fn named_among(
    db: &PgPool,
    ids: &[KnowledgeBaseId],
    owner: &UserId,
) -> sqlx::Result<Vec<(KnowledgeBaseId, String)>> {
    let ids: Vec<&str> = ids.iter().map(KnowledgeBaseId::as_str).collect();
    let own: Vec<(String, String)> =
        sqlx::query_as("select id, name from knowledge_bases where id = any($1) and owner = $2 and datasource is null")
            .bind(ids)
            .bind(owner.as_str())
            .fetch_all(db)
            .await?;
    Ok(own.into_iter().map(|(id, name)| (id.into(), name)).collect())
}

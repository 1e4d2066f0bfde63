//! Documents as people list them, and the progress of their ingestion.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Decider, Recorded, codec,
    document::{Document, Event},
    ids::{DocumentId, KnowledgeBaseId},
    knowledge_base::{self, KnowledgeBase},
};
use futures::future::{BoxFuture, FutureExt};
use sqlx::{FromRow, PgConnection, PgPool};

/// Waits for a node, or for its next attempt.
pub const PENDING: i16 = 0;
/// A node works on it.
pub const PROCESSING: i16 = 1;
/// It can be searched.
pub const SUCCESS: i16 = 2;
/// It was given up.
pub const FAILED: i16 = 3;

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Documents;

impl Projection for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["document_shelves", "documents"]
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
                apply(db, recorded).await
            }
        }
        .boxed()
    }
}

async fn shelf(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    use knowledge_base::Event as E;
    let statement = match codec::decode(&recorded.kind, &recorded.data)? {
        E::KnowledgeBaseCreated { .. } => "insert into document_shelves (id) values ($1)",
        E::KnowledgeBaseDeleted {} => {
            "with gone as (delete from document_shelves where id = $1)
             delete from documents where knowledge_base = $1"
        }
        E::KnowledgeBaseRenamed { .. } | E::KnowledgeBaseDescribed { .. } => return Ok(()),
    };
    sqlx::query(statement).bind(recorded.stream.key()).execute(db).await?;
    Ok(())
}

async fn apply(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let event: Event = codec::decode(&recorded.kind, &recorded.data)?;
    let (id, at) = (recorded.stream.key(), recorded.recorded_at);
    let revision = column(recorded.revision.0);
    // In all statements: $1 the document, $2 its revision, $3 the time.
    let query = |sql| sqlx::query::<sqlx::Postgres>(sql).bind(id).bind(revision).bind(at);
    let query = match &event {
        Event::DocumentUploaded { knowledge_base, owner, task, name, blob, size, media_type } => {
            query(
                "insert into documents
                    (id, revision, updated_at, created_at, knowledge_base, owner, task, name, blob, size, media_type,
                     status, attempts, passages, text_bytes, created)
                 select $1, $2, $3, $3, id, $5, $6, $7, $8, $9, $10, 0, 0, 0, 0, $11
                 from document_shelves where id = $4",
            )
            .bind(knowledge_base.as_str())
            .bind(owner.as_str())
            .bind(task)
            .bind(name)
            .bind(&blob.0)
            .bind(column(*size))
            .bind(media_type)
            .bind(column(recorded.position.0))
        }
        Event::IngestionStarted { attempt, .. } => query(
            "update documents set revision = $2, updated_at = $3, status = 1, attempts = $4, passages = 0,
                due_at = null where id = $1",
        )
        .bind(i64::from(*attempt)),
        Event::PassagesStored { passages, .. } => query(
            "update documents set revision = $2, updated_at = $3, passages = passages + $4 where id = $1",
        )
        .bind(column(passages.len() as u64)),
        Event::DocumentIngested { text_bytes, media_type, text, .. } => query(
            "update documents set revision = $2, updated_at = $3, status = 2, reason = null,
                text_bytes = $4, media_type = $5, text_blob = $6 where id = $1",
        )
        .bind(column(*text_bytes))
        .bind(media_type)
        .bind(text.as_ref().map(|text| &text.0)),
        Event::IngestionFailed { reason, retry_in_ms, .. } => query(
            "update documents set revision = $2, updated_at = $3, status = $4, reason = $5,
                due_at = $6 where id = $1",
        )
        .bind(if retry_in_ms.is_some() { PENDING } else { FAILED })
        .bind(reason)
        .bind(retry_in_ms.map(|wait| at + TimeDelta::milliseconds(column(wait.min(1 << 40))))),
        Event::DocumentDeleted {} => {
            sqlx::query("delete from documents where id = $1").bind(id)
        }
    };
    query.execute(db).await?;
    Ok(())
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    /// 32 hex digits.
    pub id: String,
    /// Where it belongs.
    pub knowledge_base: String,
    /// Whose it is.
    pub owner: String,
    /// The upload it came with.
    pub task: String,
    /// The file's name.
    pub name: String,
    /// SHA-256 of the file.
    pub blob: String,
    /// Bytes of the file.
    pub size: i64,
    /// What the client called it, then what it was recognised as.
    pub media_type: String,
    /// [`PENDING`], [`PROCESSING`], [`SUCCESS`] or [`FAILED`]; success means that the search has it.
    #[sqlx(rename = "shown")]
    pub status: i16,
    /// Attempts so far.
    pub attempts: i32,
    /// Why the last one failed.
    pub reason: Option<String>,
    /// Passages of the current attempt.
    pub passages: i32,
    /// Bytes of the extracted text.
    pub text_bytes: i64,
    /// SHA-256 of the extracted text, which lies in the blob store under this name.
    pub text_blob: Option<String>,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
}

/// Which documents to list.
#[derive(Debug, Clone, Copy)]
pub struct Filter<'a> {
    /// Of this knowledge base.
    pub knowledge_base: &'a KnowledgeBaseId,
    /// Only those whose name contains this, whatever the case; empty for all.
    pub name: &'a str,
    /// Only in one of these states; empty for all.
    pub status: &'a [i16],
    /// Only those of this upload; empty for all.
    pub task: &'a str,
}

/// One page, newest first, and how many there are on all pages.
pub async fn listed(
    db: &PgPool,
    filter: Filter<'_>,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<Row>, i64)> {
    let rows = sqlx::query_as(
        "select *, shown_status(id, status) as shown from documents
         where knowledge_base = $1 and position(lower($2) in lower(name)) > 0
           and (cardinality($3::smallint[]) = 0 or shown_status(id, status) = any($3)) and ($4 = '' or task = $4)
         order by created desc limit $5 offset $6",
    )
    .bind(filter.knowledge_base.as_str())
    .bind(filter.name)
    .bind(filter.status)
    .bind(filter.task)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from documents
         where knowledge_base = $1 and position(lower($2) in lower(name)) > 0
           and (cardinality($3::smallint[]) = 0 or shown_status(id, status) = any($3)) and ($4 = '' or task = $4)",
    )
    .bind(filter.knowledge_base.as_str())
    .bind(filter.name)
    .bind(filter.status)
    .bind(filter.task)
    .fetch_one(db)
    .await?;
    Ok((rows, total))
}

/// The one with this id.
pub async fn get(db: &PgPool, id: &DocumentId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select *, shown_status(id, status) as shown from documents where id = $1")
        .bind(id.as_str())
        .fetch_optional(db)
        .await
}

/// How many documents of an upload are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Progress {
    /// Not begun, or not again.
    pub waiting: i64,
    /// In work.
    pub in_progress: i64,
    /// Searchable.
    pub success: i64,
    /// Given up.
    pub failed: i64,
}

/// Progress of an upload; all zero when there is none of this name.
pub async fn progress(
    db: &PgPool,
    knowledge_base: &KnowledgeBaseId,
    task: &str,
) -> sqlx::Result<Progress> {
    sqlx::query_as(
        "select count(*) filter (where shown = 0) as waiting, count(*) filter (where shown = 1) as in_progress,
            count(*) filter (where shown = 2) as success, count(*) filter (where shown = 3) as failed
         from (select shown_status(id, status) as shown from documents
               where knowledge_base = $1 and task = $2) states",
    )
    .bind(knowledge_base.as_str())
    .bind(task)
    .fetch_one(db)
    .await
}

/// Documents that wait, are due again, or are claimed by somebody; oldest first.
pub async fn unfinished(db: &PgPool, limit: i64) -> sqlx::Result<Vec<DocumentId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select id from documents where status < 2 and (due_at is null or due_at <= now())
         order by created limit $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(DocumentId::from).collect())
}

//! Documents as people list them, and the progress of their ingestion.

mod intakes;

pub use intakes::{Unsettled, present, unsettled};

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Decider, Recorded, codec,
    document::{Document, Event},
    ids::{DocumentId, KnowledgeBaseId},
    intake::{self, Intake},
    knowledge_base::{self, KnowledgeBase},
};
use futures::future::{BoxFuture, FutureExt};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};

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
        &[KnowledgeBase::CATEGORY, Intake::CATEGORY, Document::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            match recorded.stream.category() {
                KnowledgeBase::CATEGORY => shelf(db, recorded).await,
                Intake::CATEGORY => accepted(db, recorded).await,
                _ => apply(db, recorded).await,
            }
        }
        .boxed()
    }
}

async fn shelf(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    use knowledge_base::Event as E;
    let id = recorded.stream.key();
    let query = match &codec::decode(&recorded.kind, &recorded.data)? {
        E::KnowledgeBaseCreated { kind, datasource, .. } => {
            sqlx::query("insert into document_shelves (id, kind, datasource) values ($1, $2, $3)")
                .bind(id)
                .bind(kind)
                .bind(datasource.is_some())
        }
        E::KnowledgeBaseCleared {} => {
            sqlx::query("update documents set gone = true where knowledge_base = $1").bind(id)
        }
        E::KnowledgeBaseDeleted {} => sqlx::query(
            "with gone as (delete from document_shelves where id = $1)
             delete from documents where knowledge_base = $1",
        )
        .bind(id),
        E::KnowledgeBaseRenamed { .. }
        | E::KnowledgeBaseDescribed { .. }
        | E::KnowledgeBaseConfigured { .. } => return Ok(()),
    };
    query.execute(db).await?;
    Ok(())
}

/// An upload is there as soon as it is accepted, and what it replaces is gone, before the documents' own streams say so.
async fn accepted(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let intake::Event::FilesAccepted { owner, task, files, replaced } =
        codec::decode(&recorded.kind, &recorded.data)?;
    let replaced: Vec<&str> = replaced.iter().map(DocumentId::as_str).collect();
    sqlx::query("update documents set gone = true where id = any($1)")
        .bind(replaced)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "insert into documents
            (id, revision, updated_at, created_at, knowledge_base, owner, task, name, blob, size, media_type,
             metadata, origin, status, attempts, passages, text_bytes, created, place)
         select new.document, -1, $3, $3, s.id, $4, $5, new.name, new.blob, new.size, new.media_type,
            coalesce(new.metadata, '{}'), coalesce(new.origin, '\"File\"'), 0, 0, 0, 0, $6, new.place
         from document_shelves s, rows from (json_to_recordset($1::json) as
            (document text, name text, blob text, size bigint, media_type text, metadata jsonb, origin jsonb))
            with ordinality as new (document, name, blob, size, media_type, metadata, origin, place)
         where s.id = $2",
    )
    .bind(serde_json::to_string(&files)?)
    .bind(recorded.stream.key())
    .bind(recorded.recorded_at)
    .bind(owner.as_str())
    .bind(task)
    .bind(column(recorded.position.0))
    .execute(db)
    .await?;
    Ok(())
}

async fn apply(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let event: Event = codec::decode(&recorded.kind, &recorded.data)?;
    let (id, at) = (recorded.stream.key(), recorded.recorded_at);
    let revision = column(recorded.revision.0);
    // In all statements: $1 the document, $2 its revision, $3 the time.
    let query = |sql| sqlx::query::<sqlx::Postgres>(sql).bind(id).bind(revision).bind(at);
    let query = match &event {
        Event::DocumentUploaded {
            knowledge_base,
            owner,
            task,
            name,
            blob,
            size,
            media_type,
            metadata,
            origin,
        } => query(
                "insert into documents
                    (id, revision, updated_at, created_at, knowledge_base, owner, task, name, blob, size, media_type,
                     status, attempts, passages, text_bytes, created, metadata, origin)
                 select $1, $2, $3, $3, id, $5, $6, $7, $8, $9, $10, 0, 0, 0, 0, $11, $12, $13
                 from document_shelves where id = $4
                 on conflict (id) do update set revision = excluded.revision",
            )
            .bind(knowledge_base.as_str())
            .bind(owner.as_str())
            .bind(task)
            .bind(name)
            .bind(&blob.0)
            .bind(column(*size))
            .bind(media_type)
            .bind(column(recorded.position.0))
            .bind(Json(metadata))
            .bind(Json(origin)),
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
        Event::RereadRequested {} => query(
            "update documents set revision = $2, updated_at = $3, status = 0, reason = null, due_at = null
             where id = $1",
        ),
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
    /// The kind of its knowledge base.
    pub kind: String,
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
        "select *, shown_status(id, status) as shown,
            (select s.kind from document_shelves s where s.id = knowledge_base) as kind
         from documents
         where knowledge_base = $1 and not gone and position(lower($2) in lower(name)) > 0
           and (cardinality($3::smallint[]) = 0 or shown_status(id, status) = any($3)) and ($4 = '' or task = $4)
         order by created desc, place desc, id limit $5 offset $6",
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
         where knowledge_base = $1 and not gone and position(lower($2) in lower(name)) > 0
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

/// The one with this id, unless it is an entry of a datasource.
pub async fn get(db: &PgPool, id: &DocumentId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select *, shown_status(id, status) as shown,
            (select s.kind from document_shelves s where s.id = knowledge_base) as kind
         from documents where id = $1 and not gone
           and not (select s.datasource from document_shelves s where s.id = knowledge_base)",
    )
    .bind(id.as_str())
    .fetch_optional(db)
    .await
}

/// The documents of a knowledge base, or of one of its uploads, oldest first.
pub async fn of(
    db: &PgPool,
    knowledge_base: &KnowledgeBaseId,
    task: Option<&str>,
) -> sqlx::Result<Vec<DocumentId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select id from documents where knowledge_base = $1 and not gone and ($2::text is null or task = $2)
         order by created, place, id",
    )
    .bind(knowledge_base.as_str())
    .bind(task)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(DocumentId::from).collect())
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
               where knowledge_base = $1 and task = $2 and not gone) states",
    )
    .bind(knowledge_base.as_str())
    .bind(task)
    .fetch_one(db)
    .await
}

/// Documents that wait, are due again, or are claimed by somebody; oldest first.
pub async fn unfinished(db: &PgPool, limit: i64) -> sqlx::Result<Vec<DocumentId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select id from documents where status < 2 and not gone and revision >= 0 and (due_at is null or due_at <= now())
         order by created, place, id limit $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(DocumentId::from).collect())
}

/// Documents that are not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Depth {
    /// Not begun, or not again.
    pub waiting: i64,
    /// In work.
    pub working: i64,
}

/// How many documents wait or are in work, of 10,000 at most: beyond that the number says no more.
///
/// # Errors
/// When the database does not answer.
pub async fn depth(db: &PgPool) -> sqlx::Result<Depth> {
    sqlx::query_as(
        "select count(*) filter (where status = 0) as waiting, count(*) filter (where status = 1) as working
         from (select status from documents where status < 2 and not gone limit 10000) unfinished",
    )
    .fetch_one(db)
    .await
}

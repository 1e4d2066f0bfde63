//! What uploads have to know of documents, and what is left to do of them.

use domain::{
    document::{BlobHash, Labels, Origin},
    ids::{DocumentId, KnowledgeBaseId, UserId},
    intake::{File, Present},
};
use sqlx::{FromRow, PgPool, types::Json};

/// Documents with these names or these bytes.
pub async fn present(
    db: &PgPool,
    knowledge_base: &KnowledgeBaseId,
    files: &[File],
) -> sqlx::Result<Vec<Present>> {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let blobs: Vec<&str> = files.iter().map(|file| file.blob.0.as_str()).collect();
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(
        "select id, name, blob, status = 3 from documents
         where knowledge_base = $1 and not gone and (name = any($2) or blob = any($3)) order by created, place, id",
    )
    .bind(knowledge_base.as_str())
    .bind(names)
    .bind(blobs)
    .fetch_all(db)
    .await?;
    let present = |(id, name, blob, failed)| Present {
        document: DocumentId(id),
        name,
        blob: BlobHash(blob),
        failed,
    };
    Ok(rows.into_iter().map(present).collect())
}

/// A document whose own stream does not say yet what was decided elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// Where it belongs.
    pub knowledge_base: KnowledgeBaseId,
    /// Whose it is.
    pub owner: UserId,
    /// The upload it came with.
    pub task: String,
    /// The file.
    pub file: File,
    /// Whether it is to go; else it is to come.
    pub gone: bool,
}

#[derive(FromRow)]
struct Row {
    id: String,
    knowledge_base: String,
    owner: String,
    task: String,
    name: String,
    blob: String,
    size: i64,
    media_type: String,
    metadata: Json<Labels>,
    origin: Json<Origin>,
    gone: bool,
}

/// Documents of uploads that were accepted, and those that gave way, some moments ago and still wait; oldest first.
pub async fn unsettled(db: &PgPool, limit: i64) -> sqlx::Result<Vec<Unsettled>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, knowledge_base, owner, task, name, blob, size, media_type, metadata, origin, gone
         from documents
         where gone or (revision < 0 and created_at < now() - interval '2 seconds')
         order by created, place, id limit $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Unsettled::from).collect())
}

impl From<Row> for Unsettled {
    fn from(row: Row) -> Self {
        Self {
            knowledge_base: KnowledgeBaseId(row.knowledge_base),
            owner: UserId(row.owner),
            task: row.task,
            file: File {
                document: DocumentId(row.id),
                name: row.name,
                blob: BlobHash(row.blob),
                size: u64::try_from(row.size).unwrap_or_default(),
                media_type: row.media_type,
                metadata: row.metadata.0,
                origin: row.origin.0,
            },
            gone: row.gone,
        }
    }
}

//! Read model: files that were uploaded to be linked to.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::UploadId,
    upload::{Event, Upload},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Uploads;

impl Projection for Uploads {
    fn name(&self) -> &'static str {
        "uploads"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["uploads"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Upload::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            // Nothing else ever names such a stream.
            let Ok(id) = recorded.stream.key().parse::<Uuid>() else { return Ok(()) };
            let (owner, key, blob, size, media_type) =
                match codec::decode(&recorded.kind, &recorded.data)? {
                    Event::FileUploaded { owner, key, blob, size, media_type } => {
                        (owner, key, blob, size, media_type)
                    }
                    Event::FileRemoved {} => {
                        let removed = sqlx::query("delete from uploads where id = $1").bind(id);
                        removed.execute(db).await?;
                        return Ok(());
                    }
                };
            sqlx::query(
                "insert into uploads
                     (id, owner, path, blob, size, media_type, uploaded_at, revision)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(id)
            .bind(owner.0)
            .bind(key)
            .bind(blob.0)
            .bind(column(size))
            .bind(media_type)
            .bind(recorded.recorded_at)
            .bind(column(recorded.revision.0))
            .execute(db)
            .await?;
            Ok(())
        })
    }
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    /// Whose it is.
    pub owner: String,
    /// What the owner calls it, as a path.
    pub path: String,
    /// Where its bytes are in the blob store.
    pub blob: String,
    /// How many.
    pub size: i64,
    /// What it is, e.g. `image/png`.
    pub media_type: String,
    /// When it was uploaded.
    pub uploaded_at: DateTime<Utc>,
}

/// The file of this id.
///
/// # Errors
/// When the database does not answer.
pub async fn get(db: &PgPool, id: UploadId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select owner, path, blob, size, media_type, uploaded_at from uploads where id = $1",
    )
    .bind(id.0)
    .fetch_optional(db)
    .await
}

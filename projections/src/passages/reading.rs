//! The passages of a document, in its order.

use domain::ids::DocumentId;
use sqlx::{FromRow, PgExecutor};

/// A passage as it stands in its document.
#[derive(Debug, Clone, FromRow)]
pub struct Placed {
    /// Its number within the document, from 0.
    pub ordinal: i32,
    /// The text.
    pub text: String,
    /// Headings above it, joined by ` > `.
    pub heading: String,
    /// First byte of the document's text; neighbours may overlap.
    pub starts: i64,
    /// One past the last byte.
    pub ends: i64,
    /// The page it begins on, from 1, in formats that have pages.
    pub page: Option<i32>,
}

/// At most `limit` searchable passages of a document, from number `from` on.
///
/// # Errors
/// When the database does not answer.
pub async fn reading(
    db: impl PgExecutor<'_>,
    document: &DocumentId,
    from: i32,
    limit: i64,
) -> sqlx::Result<Vec<Placed>> {
    sqlx::query_as(
        "select ordinal, text, heading, starts, ends, page from passages join passage_sources using (document, attempt)
         where document = $1 and ordinal >= $2 order by ordinal limit $3",
    )
    .bind(document.as_str())
    .bind(from)
    .bind(limit)
    .fetch_all(db)
    .await
}

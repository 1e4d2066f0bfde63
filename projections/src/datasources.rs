//! Datasources and their entries as their owners list them: questions to the read models of knowledge bases, documents and
//! passages. Nobody's but the owner's are ever among the answers.

use chrono::{DateTime, Utc};
use domain::{
    datasource::Type,
    document::{Labels, Origin},
    ids::{DocumentId, KnowledgeBaseId, UserId},
};
use sqlx::{FromRow, PgPool, types::Json};

/// Most rows of one list.
pub const LONGEST: i64 = 10_000;

/// A datasource.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    /// 32 hex digits.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The slug of its type.
    pub datasource: String,
    /// Passages that can be found.
    pub passages: i64,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// When it, or one of its entries, last changed.
    pub updated_at: DateTime<Utc>,
}

impl Row {
    /// What it holds.
    pub fn kind(&self) -> Type {
        let named = |kind: &Type| kind.slug() == self.datasource;
        Type::ALL.into_iter().find(named).unwrap_or(Type::Text)
    }
}

/// This person's datasources, those that changed last first; only the one with this id, if there is one.
///
/// # Errors
/// When the database does not answer.
pub async fn owned_by(
    db: &PgPool,
    owner: &UserId,
    only: Option<&KnowledgeBaseId>,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select k.id, k.name, k.datasource, k.created_at, coalesce(e.passages, 0) as passages,
            greatest(k.updated_at, e.updated_at) as updated_at
         from knowledge_bases k left join lateral (
            select max(updated_at) as updated_at, sum(passages) filter (where status = 2) as passages
            from documents where knowledge_base = k.id and not gone
         ) e on true
         where k.owner = $1 and k.datasource is not null and ($2::text is null or k.id = $2)
         order by updated_at desc, k.created desc limit $3",
    )
    .bind(owner.as_str())
    .bind(only.map(KnowledgeBaseId::as_str))
    .bind(LONGEST)
    .fetch_all(db)
    .await
}

/// Those of these that are datasources of this person and lie here.
///
/// # Errors
/// When the database does not answer.
pub async fn searchable(
    db: &PgPool,
    owner: &UserId,
    among: &[KnowledgeBaseId],
) -> sqlx::Result<Vec<KnowledgeBaseId>> {
    let among: Vec<&str> = among.iter().map(KnowledgeBaseId::as_str).collect();
    let own: Vec<String> = sqlx::query_scalar(
        "select id from knowledge_bases where id = any($1) and owner = $2 and datasource <> $3",
    )
    .bind(among)
    .bind(owner.as_str())
    .bind(Type::Weaviate.slug())
    .fetch_all(db)
    .await?;
    Ok(own.into_iter().map(KnowledgeBaseId::from).collect())
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Entry {
    /// 32 hex digits.
    pub id: String,
    /// Its datasource.
    pub knowledge_base: String,
    /// What it is called.
    pub name: String,
    /// What filters may ask about it, besides its source.
    pub metadata: Json<Labels>,
    /// What its bytes are.
    pub origin: Json<Origin>,
    /// How many.
    pub size: i64,
    /// What it is, as far as is known.
    pub media_type: String,
    /// As [`crate::documents::Row::status`].
    #[sqlx(rename = "shown")]
    pub status: i16,
    /// Why it could not be read.
    pub reason: Option<String>,
    /// Passages so far.
    pub passages: i32,
    /// When it was put there.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Which entries to list, of those in this person's datasources.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose.
    pub owner: &'a UserId,
    /// Only of this datasource.
    pub datasource: Option<&'a KnowledgeBaseId>,
    /// Only this one.
    pub entry: Option<&'a DocumentId>,
    /// Only those that came together.
    pub task: Option<&'a str>,
}

/// These entries, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn entries(db: &PgPool, wanted: Wanted<'_>) -> sqlx::Result<Vec<Entry>> {
    sqlx::query_as(
        "select d.id, d.knowledge_base, d.name, d.metadata, d.origin, d.size, d.media_type, d.reason, d.passages,
            d.created_at, d.updated_at, shown_status(d.id, d.status) as shown
         from documents d join knowledge_bases k on k.id = d.knowledge_base
         where d.owner = $1 and k.owner = $1 and k.datasource is not null and not d.gone
           and ($2::text is null or d.knowledge_base = $2) and ($3::text is null or d.id = $3)
           and ($4::text is null or d.task = $4)
         order by d.created, d.place, d.id limit $5",
    )
    .bind(wanted.owner.as_str())
    .bind(wanted.datasource.map(KnowledgeBaseId::as_str))
    .bind(wanted.entry.map(DocumentId::as_str))
    .bind(wanted.task)
    .bind(LONGEST)
    .fetch_all(db)
    .await
}

/// What filters may ask about these documents, where they are from included.
///
/// # Errors
/// When the database does not answer.
pub async fn metadata(
    db: &PgPool,
    documents: &[DocumentId],
) -> sqlx::Result<Vec<(DocumentId, Labels)>> {
    let documents: Vec<&str> = documents.iter().map(DocumentId::as_str).collect();
    let said: Vec<(String, Json<Labels>)> =
        sqlx::query_as("select document, metadata from passage_sources where document = any($1)")
            .bind(documents)
            .fetch_all(db)
            .await?;
    Ok(said.into_iter().map(|(document, said)| (document.into(), said.0)).collect())
}

/// A passage of an entry.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Chunk {
    /// Its text.
    pub text: String,
    /// First byte within the entry's text.
    pub starts: i64,
    /// One past the last.
    pub ends: i64,
}

/// The first passages of an entry that can be found, in order.
///
/// # Errors
/// When the database does not answer.
pub async fn chunks(db: &PgPool, entry: &DocumentId, most: i64) -> sqlx::Result<Vec<Chunk>> {
    sqlx::query_as(
        "select text, starts, ends from passages join passage_sources using (document, attempt)
         where document = $1 order by ordinal limit $2",
    )
    .bind(entry.as_str())
    .bind(most)
    .fetch_all(db)
    .await
}

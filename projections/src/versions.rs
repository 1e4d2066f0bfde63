//! Read model: versions of the desktop client that are on offer.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    version::{Artifact, Event, Offer, Version},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};

/// Versions listed at most.
const VERSIONS: i64 = 1_000;

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Versions;

impl Projection for Versions {
    fn name(&self) -> &'static str {
        "versions"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["versions"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Offer::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let name = recorded.stream.key();
            let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::VersionPublished { release } | Event::VersionReplaced { release } => {
                    let rank = Version::parse(name).map(|version| version.rank());
                    sqlx::query(
                        "insert into versions
                             (version, rank, notes, published_at, artifacts, position, revision)
                         values ($1, $2, $3, $4, $5, $6, $7)
                         on conflict (version) do update set
                             notes = excluded.notes, published_at = excluded.published_at,
                             artifacts = excluded.artifacts, position = excluded.position,
                             revision = excluded.revision",
                    )
                    .bind(name)
                    .bind(rank.unwrap_or_default())
                    .bind(release.notes)
                    .bind(release.published_at)
                    .bind(Json(release.artifacts))
                    .bind(column(recorded.position.0))
                    .bind(column(recorded.revision.0))
                }
                Event::VersionWithdrawn {} => {
                    sqlx::query("delete from versions where version = $1").bind(name)
                }
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// A version on offer.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    /// What it is called.
    pub version: String,
    /// What is new.
    pub notes: String,
    /// When it came out.
    pub published_at: DateTime<Utc>,
    /// What there is to download.
    pub artifacts: Json<Vec<Artifact>>,
}

/// The newest first: by the time they came out, and of the same time the higher version first.
///
/// # Errors
/// When the database does not answer.
pub async fn newest_first(db: &PgPool) -> sqlx::Result<Vec<Row>> {
    first(db, VERSIONS).await
}

/// The newest, see [`newest_first`].
///
/// # Errors
/// When the database does not answer.
pub async fn newest(db: &PgPool) -> sqlx::Result<Option<Row>> {
    Ok(first(db, 1).await?.pop())
}

async fn first(db: &PgPool, limit: i64) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select version, notes, published_at, artifacts from versions
         order by published_at desc, rank desc, position desc limit $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await
}

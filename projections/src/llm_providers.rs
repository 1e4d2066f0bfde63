//! Model providers that people saved, and which of them each uses by default.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::{ProviderId, SecretId, UserId},
    llm_default::{self, DefaultProvider},
    llm_provider::{Config, Event, LlmProvider},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Providers listed at most.
const LISTED: i64 = 1_000;

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct LlmProviders;

impl Projection for LlmProviders {
    fn name(&self) -> &'static str {
        "llm_providers"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["llm_providers"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[LlmProvider::CATEGORY, DefaultProvider::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            if recorded.stream.category() == DefaultProvider::CATEGORY {
                prefer(db, recorded).await
            } else {
                change(db, recorded).await
            }
        })
    }
}

async fn change(db: &mut PgConnection, at: &Recorded) -> Result<(), ApplyError> {
    let statement = match codec::decode::<Event>(&at.kind, &at.data)? {
        Event::ProviderAdded { owner, config, key } => sqlx::query(
            "insert into llm_providers
                (id, revision, updated_at, owner, config, secret, is_default, created_at, position)
             values ($1, $2, $3, $4, $5, $6, false, $3, $7)",
        )
        .bind(at.stream.key())
        .bind(column(at.revision.0))
        .bind(at.recorded_at)
        .bind(owner.0)
        .bind(Json(config))
        .bind(key.0)
        .bind(column(at.position.0)),
        Event::ProviderReconfigured { config } => sqlx::query(
            "update llm_providers set revision = $2, updated_at = $3, config = $4 where id = $1",
        )
        .bind(at.stream.key())
        .bind(column(at.revision.0))
        .bind(at.recorded_at)
        .bind(Json(config)),
        Event::ProviderKeyReplaced { key } => sqlx::query(
            "update llm_providers set revision = $2, updated_at = $3, secret = $4 where id = $1",
        )
        .bind(at.stream.key())
        .bind(column(at.revision.0))
        .bind(at.recorded_at)
        .bind(key.0),
        Event::ProviderDeleted {} => {
            sqlx::query("delete from llm_providers where id = $1").bind(at.stream.key())
        }
    };
    statement.execute(db).await?;
    Ok(())
}

async fn prefer(db: &mut PgConnection, at: &Recorded) -> Result<(), ApplyError> {
    let chosen = match codec::decode::<llm_default::Event>(&at.kind, &at.data)? {
        llm_default::Event::DefaultProviderChosen { provider } => provider.0,
        llm_default::Event::DefaultProviderDropped {} => String::new(),
    };
    sqlx::query("update llm_providers set is_default = (id = $2) where owner = $1")
        .bind(at.stream.key())
        .bind(chosen)
        .execute(db)
        .await?;
    Ok(())
}

/// A provider.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// A hyphenated UUID.
    pub id: String,
    /// Whose.
    pub owner: String,
    /// How it is called.
    pub config: Json<Config>,
    secret: Uuid,
    /// Whether its owner uses it when nothing else is named.
    pub is_default: bool,
    /// When it was saved.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Row {
    /// Its id.
    pub fn id(&self) -> ProviderId {
        ProviderId(self.id.clone())
    }

    /// Where its key is in the secret store.
    pub fn key(&self) -> SecretId {
        SecretId(self.secret)
    }
}

/// Somebody's providers, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn owned_by(db: &PgPool, owner: &UserId) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from llm_providers where owner = $1 order by position desc limit $2")
        .bind(owner.as_str())
        .bind(LISTED)
        .fetch_all(db)
        .await
}

/// The provider of this id, if it is this person's.
///
/// # Errors
/// When the database does not answer.
pub async fn owned(db: &PgPool, id: &ProviderId, owner: &UserId) -> sqlx::Result<Option<Row>> {
    if id.as_str().contains('\0') {
        return Ok(None);
    }
    sqlx::query_as("select * from llm_providers where id = $1 and owner = $2")
        .bind(id.as_str())
        .bind(owner.as_str())
        .fetch_optional(db)
        .await
}

/// The provider that somebody uses when nothing else is named; `None` when no choice was made.
///
/// # Errors
/// When the database does not answer.
pub async fn default_of(db: &PgPool, owner: &UserId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from llm_providers where owner = $1 and is_default")
        .bind(owner.as_str())
        .fetch_optional(db)
        .await
}

/// The default of [`default_of`], else the provider that somebody saved first.
///
/// # Errors
/// When the database does not answer.
pub async fn default_or_first_of(db: &PgPool, owner: &UserId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select * from llm_providers where owner = $1 order by is_default desc, position limit 1",
    )
    .bind(owner.as_str())
    .fetch_optional(db)
    .await
}

/// How many providers somebody has.
///
/// # Errors
/// When the database does not answer.
pub async fn count(db: &PgPool, owner: &UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from llm_providers where owner = $1")
        .bind(owner.as_str())
        .fetch_one(db)
        .await
}

//! Read model: things in people's collections. They go with the account.

use crate::{ApplyError, Projection, column, runner::storable};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::{ItemId, UserId},
    item::{Event, Item},
    user::{self, User},
};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// The projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Items;

impl Projection for Items {
    fn name(&self) -> &'static str {
        "items"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["items"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Item::CATEGORY, User::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            if recorded.stream.category() == User::CATEGORY {
                let event = codec::decode::<user::Event>(&recorded.kind, &recorded.data)?;
                if event == (user::Event::UserDeleted {}) {
                    let gone = sqlx::query("delete from items where owner = $1");
                    gone.bind(recorded.stream.key()).execute(db).await?;
                }
                return Ok(());
            }
            // Keys of this category are made from ids.
            let Ok(id) = recorded.stream.key().parse::<ItemId>() else { return Ok(()) };
            let clean = storable(recorded);
            let change = |statement: &'static str| {
                sqlx::query(statement)
                    .bind(id.0)
                    .bind(column(recorded.revision.0))
                    .bind(recorded.recorded_at)
            };
            let statement = match codec::decode::<Event>(&clean.kind, &clean.data)? {
                Event::ItemWritten { owner, collection, fields } => change(
                    "insert into items (item_id, revision, created_at, updated_at, owner,
                        collection, fields)
                     values ($1, $2, $3, $3, $4, $5, $6)",
                )
                .bind(owner.0)
                .bind(collection)
                .bind(Json(fields)),
                Event::ItemChanged { fields } => change(
                    "update items set revision = $2, updated_at = $3, fields = $4
                     where item_id = $1",
                )
                .bind(Json(fields)),
                Event::ItemDeleted {} => {
                    sqlx::query("delete from items where item_id = $1").bind(id.0)
                }
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// A thing.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Its id.
    pub item_id: Uuid,
    /// What it says.
    pub fields: Json<Map<String, Value>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The newest things in a person's collection.
///
/// # Errors
/// When the database does not answer.
pub async fn newest(
    db: &PgPool,
    owner: &UserId,
    collection: &str,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select item_id, fields, created_at, updated_at from items
         where owner = $1 and collection = $2
         order by created_at desc, item_id desc limit $3 offset $4",
    )
    .bind(owner.as_str())
    .bind(collection)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await
}

/// How many things there are in a person's collection.
///
/// # Errors
/// When the database does not answer.
pub async fn count(db: &PgPool, owner: &UserId, collection: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from items where owner = $1 and collection = $2")
        .bind(owner.as_str())
        .bind(collection)
        .fetch_one(db)
        .await
}

/// One thing in a person's collection.
///
/// # Errors
/// When the database does not answer.
pub async fn find(
    db: &PgPool,
    owner: &UserId,
    collection: &str,
    id: ItemId,
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select item_id, fields, created_at, updated_at from items
         where item_id = $3 and owner = $1 and collection = $2",
    )
    .bind(owner.as_str())
    .bind(collection)
    .bind(id.0)
    .fetch_optional(db)
    .await
}

//! Read model: fans of creators. They go with the creator's account.

mod queries;

pub use queries::{Filter, Memory, Order, Page, Row, memories, one, page};

use crate::{ApplyError, Projection, column};
use domain::{
    Decider, Recorded, codec,
    fan::{Event, Fan},
    ids::FanId,
    user::{self, User},
};
use futures::future::BoxFuture;
use sqlx::{PgConnection, types::Json};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Fans;

impl Projection for Fans {
    fn name(&self) -> &'static str {
        "fans"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["fans", "fan_accounts", "fan_memories"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Fan::CATEGORY, User::CATEGORY]
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
                    forget(db, recorded.stream.key()).await?;
                }
                return Ok(());
            }
            // Nothing else ever names such a stream.
            let Ok(id) = recorded.stream.key().parse::<FanId>() else { return Ok(()) };
            let event = codec::decode::<Event>(&recorded.kind, &recorded.data)?;
            fold(db, id, recorded, event).await?;
            Ok(())
        })
    }
}

async fn fold(db: &mut PgConnection, id: FanId, at: &Recorded, event: Event) -> sqlx::Result<()> {
    let revision = column(at.revision.0);
    let statement = match event {
        Event::FanUpserted { owner, details } => sqlx::query(
            "insert into fans (fan_id, revision, owner, display_name, stage, total_spend,
               last_contact_at, details, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
             on conflict (fan_id) do update
             set revision = excluded.revision, display_name = excluded.display_name,
               stage = excluded.stage, total_spend = excluded.total_spend,
               last_contact_at = excluded.last_contact_at, details = excluded.details,
               updated_at = excluded.updated_at",
        )
        .bind(id.0)
        .bind(revision)
        .bind(owner.0)
        .bind(details.display_name.clone())
        .bind(details.lifecycle_stage.as_str())
        .bind(column(details.total_spend.0))
        .bind(details.last_contact_at)
        .bind(Json(details))
        .bind(at.recorded_at),
        Event::FanAccountLinked { account } => sqlx::query(
            "insert into fan_accounts (fan_id, platform, platform_fan_id, account)
             values ($1, $2, $3, $4)
             on conflict (fan_id, platform, platform_fan_id) do update
             set account = excluded.account",
        )
        .bind(id.0)
        .bind(account.platform.clone())
        .bind(account.platform_fan_id.clone())
        .bind(Json(account)),
        Event::FanMemoryAdded { text, noted_at } => sqlx::query(
            "insert into fan_memories (fan_id, revision, text, noted_at) values ($1, $2, $3, $4)",
        )
        .bind(id.0)
        .bind(revision)
        .bind(text)
        .bind(noted_at),
    };
    statement.execute(db).await.map(|_| ())
}

/// Removes all fans of somebody.
async fn forget(db: &mut PgConnection, owner: &str) -> sqlx::Result<()> {
    for statement in [
        "delete from fan_memories using fans
         where fans.fan_id = fan_memories.fan_id and fans.owner = $1",
        "delete from fan_accounts using fans
         where fans.fan_id = fan_accounts.fan_id and fans.owner = $1",
        "delete from fans where owner = $1",
    ] {
        sqlx::query(statement).bind(owner).execute(&mut *db).await?;
    }
    Ok(())
}

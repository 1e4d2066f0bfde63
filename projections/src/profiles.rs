//! Read model: what people say of themselves. It goes with the account.

use crate::{ApplyError, Projection, column};
use domain::{
    Decider, Recorded, codec,
    ids::{UploadId, UserId},
    profile::{Details, Event, Profile},
    user::{self, User},
};
use futures::future::BoxFuture;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Profiles;

impl Projection for Profiles {
    fn name(&self) -> &'static str {
        "profiles"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["profiles"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Profile::CATEGORY, User::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let user = recorded.stream.key();
            if recorded.stream.category() == User::CATEGORY {
                let event = codec::decode::<user::Event>(&recorded.kind, &recorded.data)?;
                if event == (user::Event::UserDeleted {}) {
                    let gone = sqlx::query("delete from profiles where user_id = $1").bind(user);
                    gone.execute(db).await?;
                }
                return Ok(());
            }
            let revision = column(recorded.revision.0);
            let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::ProfileChanged(details) => sqlx::query(
                    "insert into profiles (user_id, revision, details) values ($1, $2, $3)
                     on conflict (user_id) do update
                     set revision = excluded.revision, details = excluded.details",
                )
                .bind(user)
                .bind(revision)
                .bind(Json(details)),
                Event::AvatarSet { file, .. } => sqlx::query(
                    "insert into profiles (user_id, revision, details, avatar)
                     values ($1, $2, '{}', $3)
                     on conflict (user_id) do update
                     set revision = excluded.revision, avatar = excluded.avatar",
                )
                .bind(user)
                .bind(revision)
                .bind(file.0),
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// What this person says of themselves; empty when they have said nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn of(db: impl PgExecutor<'_>, user: &UserId) -> sqlx::Result<Profile> {
    let found: Option<(Json<Details>, Option<Uuid>)> =
        sqlx::query_as("select details, avatar from profiles where user_id = $1")
            .bind(user.as_str())
            .fetch_optional(db)
            .await?;
    Ok(found.map_or_else(Profile::default, |(Json(details), avatar)| Profile {
        details,
        avatar: avatar.map(UploadId),
    }))
}

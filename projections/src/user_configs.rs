//! Read model: what people's clients keep for them.

use crate::{ApplyError, Projection, column};
use domain::{Decider, Recorded, codec, ids::UserId, user_config};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgExecutor, types::Json};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct UserConfigs;

impl Projection for UserConfigs {
    fn name(&self) -> &'static str {
        "user_configs"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["user_configs"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[user_config::UserConfig::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        event: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let user_config::Event::UserConfigured { changes } =
                codec::decode(&event.kind, &event.data)?;
            sqlx::query(
                "insert into user_configs (user_id, config, revision) values ($1, $2, $3)
                 on conflict (user_id) do update set config = user_configs.config || excluded.config,
                   revision = excluded.revision",
            )
            .bind(event.stream.key())
            .bind(Json(changes))
            .bind(column(event.revision.0))
            .execute(db)
            .await?;
            Ok(())
        })
    }
}

/// What this person's clients keep; empty when they keep nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn of(db: impl PgExecutor<'_>, user: &UserId) -> sqlx::Result<Map<String, Value>> {
    let found: Option<Json<Map<String, Value>>> =
        sqlx::query_scalar("select config from user_configs where user_id = $1")
            .bind(user.as_str())
            .fetch_optional(db)
            .await?;
    Ok(found.map(|Json(config)| config).unwrap_or_default())
}

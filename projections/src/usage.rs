//! Billable work by person, kind and billing cycle, for display. Quotas are enforced on the log, not here.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::UserId,
    quota::{Action, Event, Quota},
};
use futures::future::BoxFuture;
use sqlx::{PgConnection, PgExecutor};
use std::collections::BTreeMap;

/// The read model.
#[derive(Debug, Clone, Copy)]
pub struct Usage;

impl Projection for Usage {
    fn name(&self) -> &'static str {
        "usage"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["usage"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Quota::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        event: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let Event::UsageCharged { action, amount, billing_cycle_start, .. } =
                codec::decode(&event.kind, &event.data)?;
            sqlx::query(
                "insert into usage (user_id, action, billing_cycle_start, amount, revision)
                 values ($1, $2, $3, $4, $5)
                 on conflict (user_id, action, billing_cycle_start) do update
                 set amount = usage.amount + excluded.amount, revision = excluded.revision",
            )
            .bind(event.stream.key())
            .bind(action.as_str())
            .bind(billing_cycle_start)
            .bind(column(amount))
            .bind(column(event.revision.0))
            .execute(db)
            .await?;
            Ok(())
        })
    }
}

/// What a person has used in cycles that began at `cycle_start` or later. Kinds without any work are left out.
///
/// # Errors
/// When the database does not answer.
pub async fn since(
    db: impl PgExecutor<'_>,
    user: &UserId,
    cycle_start: DateTime<Utc>,
) -> sqlx::Result<BTreeMap<Action, u64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select action, sum(amount)::bigint from usage
         where user_id = $1 and billing_cycle_start >= $2 group by action",
    )
    .bind(user.as_str())
    .bind(cycle_start)
    .fetch_all(db)
    .await?;
    let known = |(action, amount): (String, i64)| {
        Some((Action::named(&action)?, u64::try_from(amount).unwrap_or(0)))
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

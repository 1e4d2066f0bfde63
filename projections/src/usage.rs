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
        &["usage", "usage_reservations"]
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
            let (user, revision) = (event.stream.key(), column(event.revision.0));
            let statement = match codec::decode(&event.kind, &event.data)? {
                Event::UsageCharged { action, amount, billing_cycle_start, .. } => sqlx::query(
                    "insert into usage (user_id, action, billing_cycle_start, amount, revision)
                 values ($1, $2, $3, $4, $5)
                 on conflict (user_id, action, billing_cycle_start) do update
                 set amount = usage.amount + excluded.amount, revision = excluded.revision",
                )
                .bind(user)
                .bind(action.as_str())
                .bind(billing_cycle_start)
                .bind(column(amount))
                .bind(revision),
                Event::UsageReserved {
                    reservation,
                    action,
                    amount,
                    billing_cycle_start,
                    expires_at,
                } => sqlx::query(
                    "insert into usage_reservations (user_id, reservation, action,
                        billing_cycle_start, amount, expires_at, revision)
                     values ($1, $2, $3, $4, $5, $6, $7)
                     on conflict (user_id, reservation) do update
                     set action = excluded.action, amount = excluded.amount,
                         billing_cycle_start = excluded.billing_cycle_start,
                         expires_at = excluded.expires_at, revision = excluded.revision",
                )
                .bind(user)
                .bind(reservation)
                .bind(action.as_str())
                .bind(billing_cycle_start)
                .bind(column(amount))
                .bind(expires_at)
                .bind(revision),
                Event::UsageConfirmed { reservation } => sqlx::query(
                    "update usage_reservations set expires_at = null, revision = $3
                     where user_id = $1 and reservation = $2",
                )
                .bind(user)
                .bind(reservation)
                .bind(revision),
                Event::UsageReleased { reservation } => sqlx::query(
                    "delete from usage_reservations where user_id = $1 and reservation = $2",
                )
                .bind(user)
                .bind(reservation),
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// What a person has used at `now` in cycles that began at `cycle_start` or later. Kinds without any work are left out.
///
/// # Errors
/// When the database does not answer.
pub async fn since(
    db: impl PgExecutor<'_>,
    user: &UserId,
    cycle_start: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<BTreeMap<Action, u64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select action, sum(amount)::bigint from (
             select action, amount from usage where user_id = $1 and billing_cycle_start >= $2
             union all
             select action, amount from usage_reservations
             where user_id = $1 and billing_cycle_start >= $2
               and (expires_at is null or expires_at > $3)
         ) counted group by action",
    )
    .bind(user.as_str())
    .bind(cycle_start)
    .bind(now)
    .fetch_all(db)
    .await?;
    let known = |(action, amount): (String, i64)| {
        Some((Action::named(&action)?, u64::try_from(amount).unwrap_or(0)))
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

//! What runs cost, by person and day: the source of charts. It keeps counting what a deleted conversation did cost.
//!
//! Days are those of UTC, in which an event was recorded. A run that works for another one costs tokens, and is neither a
//! run nor messages of its own: nobody asked for it.

use crate::{ApplyError, Projection, column, runner::storable};
use chrono::NaiveDate;
use domain::{
    Recorded, codec,
    ids::UserId,
    message::Message,
    run::{Event, Request, TurnUsage},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

/// The read model.
#[derive(Debug, Clone, Copy)]
pub struct UsageDays;

impl Projection for UsageDays {
    fn name(&self) -> &'static str {
        "usage_days"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["usage_days", "usage_runs"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &["run"]
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["RunRequested", "TurnCompleted", "MessagePosted", "AppStepFinished", "RunEnded"]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let Ok(run) = recorded.stream.key().parse::<Uuid>() else { return Ok(()) };
            let clean = storable(recorded);
            let (messages, usage) = match codec::decode::<Event>(&clean.kind, &clean.data)? {
                Event::RunRequested(request) => {
                    return requested(db, recorded, run, &request).await;
                }
                Event::TurnCompleted { message, usage, .. } => {
                    (i64::from(message.is_some()), vec![usage])
                }
                Event::MessagePosted(_) => (1, vec![]),
                Event::AppStepFinished { usage, .. } => (0, usage),
                Event::RunEnded { .. } => {
                    let over = sqlx::query("delete from usage_runs where run_id = $1").bind(run);
                    over.execute(db).await?;
                    return Ok(());
                }
                _ => return Ok(()),
            };
            sqlx::query(
                "insert into usage_days as known
                     (owner, day, runs, messages, prompt_tokens, completion_tokens, position)
                 select owner, $2, 0, case when child then 0 else $3 end, $4, $5, $6
                 from usage_runs where run_id = $1
                 on conflict (owner, day) do update
                 set messages = known.messages + excluded.messages,
                     prompt_tokens = known.prompt_tokens + excluded.prompt_tokens,
                     completion_tokens = known.completion_tokens + excluded.completion_tokens,
                     position = excluded.position",
            )
            .bind(run)
            .bind(recorded.recorded_at.date_naive())
            .bind(messages)
            .bind(tokens(&usage, "prompt_tokens"))
            .bind(tokens(&usage, "completion_tokens"))
            .bind(column(recorded.position.0))
            .execute(db)
            .await?;
            Ok(())
        })
    }
}

async fn requested(
    db: &mut PgConnection,
    recorded: &Recorded,
    run: Uuid,
    request: &Request,
) -> Result<(), ApplyError> {
    let child = request.parent.is_some();
    sqlx::query("insert into usage_runs (run_id, owner, child) values ($1, $2, $3)")
        .bind(run)
        .bind(&request.owner.0)
        .bind(child)
        .execute(&mut *db)
        .await?;
    if child {
        return Ok(());
    }
    sqlx::query(
        "insert into usage_days as known
             (owner, day, runs, messages, prompt_tokens, completion_tokens, position)
         values ($1, $2, 1, $3, 0, 0, $4)
         on conflict (owner, day) do update
         set runs = known.runs + 1, messages = known.messages + excluded.messages,
             position = excluded.position",
    )
    .bind(&request.owner.0)
    .bind(recorded.recorded_at.date_naive())
    .bind(said(&request.messages))
    .bind(column(recorded.position.0))
    .execute(db)
    .await?;
    Ok(())
}

/// What a person says with a request: clients may send what was said before along, and it stands in front.
fn said(messages: &[Message]) -> i64 {
    let new = messages.iter().rev().take_while(|message| message.role == "user").count();
    i64::try_from(new).unwrap_or(i64::MAX)
}

/// A provider's numbers are its own: what is none, or absurd, counts nothing.
fn tokens(usage: &[TurnUsage], name: &str) -> i64 {
    let numbers = usage.iter().filter_map(|turn| turn.usage.as_ref()?.get(name)?.as_u64());
    numbers.filter_map(|number| u32::try_from(number).ok()).map(i64::from).sum()
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Sum {
    /// Runs that people asked for.
    pub runs: i64,
    /// Messages of people and of agents that answered them.
    pub messages: i64,
    /// Tokens that models read.
    pub prompt_tokens: i64,
    /// Tokens that models wrote.
    pub completion_tokens: i64,
}

/// What was used on a day.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Day {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// What was used.
    #[sqlx(flatten)]
    pub sum: Sum,
}

/// What a person used.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Person {
    /// Who.
    pub owner: String,
    /// Their name, as far as they are known here.
    pub username: Option<String>,
    /// What they used.
    #[sqlx(flatten)]
    pub sum: Sum,
}

/// Whose usage, and when.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// Only this person's; `None` for everybody's.
    pub owner: Option<&'a UserId>,
    /// First day.
    pub from: NaiveDate,
    /// Last day.
    pub to: NaiveDate,
}

/// Days on which something was used, in order; as many as the span has at most.
///
/// # Errors
/// When the database does not answer.
pub async fn by_day(db: impl PgExecutor<'_>, span: Span<'_>) -> sqlx::Result<Vec<Day>> {
    sqlx::query_as(
        "select day, sum(runs)::bigint as runs, sum(messages)::bigint as messages,
             sum(prompt_tokens)::bigint as prompt_tokens,
             sum(completion_tokens)::bigint as completion_tokens
         from usage_days where day between $1 and $2 and ($3::text is null or owner = $3)
         group by day order by day",
    )
    .bind(span.from)
    .bind(span.to)
    .bind(span.owner.map(UserId::as_str))
    .fetch_all(db)
    .await
}

/// At most `limit` people who used something, most tokens first.
///
/// # Errors
/// When the database does not answer.
pub async fn by_person(
    db: impl PgExecutor<'_>,
    span: Span<'_>,
    limit: i64,
) -> sqlx::Result<Vec<Person>> {
    sqlx::query_as(
        "select used.*, users.username from (
             select owner, sum(runs)::bigint as runs, sum(messages)::bigint as messages,
                 sum(prompt_tokens)::bigint as prompt_tokens,
                 sum(completion_tokens)::bigint as completion_tokens
             from usage_days where day between $1 and $2 and ($3::text is null or owner = $3)
             group by owner
             order by sum(prompt_tokens + completion_tokens) desc, sum(runs) desc, owner limit $4
         ) used left join users on users.id = used.owner
         order by prompt_tokens + completion_tokens desc, runs desc, owner",
    )
    .bind(span.from)
    .bind(span.to)
    .bind(span.owner.map(UserId::as_str))
    .bind(limit)
    .fetch_all(db)
    .await
}

/// All of it.
///
/// # Errors
/// When the database does not answer.
pub async fn total(db: impl PgExecutor<'_>, span: Span<'_>) -> sqlx::Result<Sum> {
    sqlx::query_as(
        "select coalesce(sum(runs), 0)::bigint as runs, coalesce(sum(messages), 0)::bigint as messages,
             coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
             coalesce(sum(completion_tokens), 0)::bigint as completion_tokens
         from usage_days where day between $1 and $2 and ($3::text is null or owner = $3)",
    )
    .bind(span.from)
    .bind(span.to)
    .bind(span.owner.map(UserId::as_str))
    .fetch_one(db)
    .await
}

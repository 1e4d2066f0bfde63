//! Jobs, and how many of them stand how in which queue.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::{JobId, UserId},
    job::{Event, Job, Queue},
    system::{self, System},
};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Jobs looked at in one go.
const SOME: i64 = 1_000;

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Jobs;

impl Projection for Jobs {
    fn name(&self) -> &'static str {
        "jobs"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["jobs", "job_counts", "queue_holds"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Job::CATEGORY, System::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            if recorded.stream.category() == System::CATEGORY {
                return hold(db, recorded).await;
            }
            // The runner hands over streams of these categories only, and their keys are made from ids.
            let Ok(id) = recorded.stream.key().parse::<JobId>() else { return Ok(()) };
            let event = codec::decode::<Event>(&recorded.kind, &recorded.data)?;
            let moved = !matches!(event, Event::JobRefunded {} | Event::JobProgressed { .. });
            if moved && !matches!(event, Event::JobEnqueued(_)) {
                count(db, id, -1).await?;
            }
            fold(db, id, recorded, &event).await?;
            if moved {
                count(db, id, 1).await?;
            }
            Ok(())
        })
    }
}

/// Whether jobs are begun at all.
async fn hold(db: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let statement = match codec::decode::<system::Event>(&recorded.kind, &recorded.data)? {
        system::Event::QueueDrained {} => sqlx::query(
            "insert into queue_holds (hold, since, revision) values ('drained', $1, $2)
             on conflict (hold) do update set since = $1, revision = $2",
        )
        .bind(recorded.recorded_at)
        .bind(column(recorded.revision.0)),
        system::Event::QueueResumed {} => sqlx::query("delete from queue_holds"),
        system::Event::RegistrationAllowed {} | system::Event::RegistrationForbidden {} => {
            return Ok(());
        }
    };
    statement.execute(db).await?;
    Ok(())
}

/// Counts the job where it stands.
async fn count(db: &mut PgConnection, id: JobId, by: i64) -> sqlx::Result<()> {
    sqlx::query(
        "insert into job_counts (queue, status, jobs)
         select queue, status, $2 from jobs where job_id = $1
         on conflict (queue, status) do update set jobs = job_counts.jobs + excluded.jobs",
    )
    .bind(id.0)
    .bind(by)
    .execute(db)
    .await?;
    Ok(())
}

async fn fold(
    db: &mut PgConnection,
    id: JobId,
    recorded: &Recorded,
    event: &Event,
) -> sqlx::Result<()> {
    let change = |set: &'static str| {
        sqlx::query(set).bind(id.0).bind(column(recorded.revision.0)).bind(recorded.recorded_at)
    };
    let statement = match event {
        Event::JobEnqueued(request) => change(
            "insert into jobs (job_id, revision, updated_at, created_at, queued_at, owner, queue,
                operation, input_file, input_url, params, profile, priority, status)
             values ($1, $2, $3, $3, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued')",
        )
        .bind(request.owner.as_str())
        .bind(request.operation.queue().as_str())
        .bind(
            serde_json::to_value(request.operation)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned)),
        )
        .bind(request.input_file.clone())
        .bind(request.input_url.clone())
        .bind(Json(request.params.clone()))
        .bind(request.profile.clone())
        .bind(request.priority),
        Event::JobStarted { attempt, .. } => change(
            "update jobs set revision = $2, updated_at = $3, status = 'processing',
               started_at = $3, available_at = null, attempt = $4, progress = 0,
               retry_count = retry_count + (case when $4 > 1 then 1 else 0 end)
             where job_id = $1",
        )
        .bind(i32::try_from(*attempt).unwrap_or(i32::MAX)),
        Event::JobProgressed { percent } => change(
            "update jobs set revision = $2, updated_at = $3, progress = $4 where job_id = $1",
        )
        .bind(i16::from(*percent)),
        Event::JobAttemptFailed { error, retry_at } => change(
            "update jobs set revision = $2, updated_at = $3, status = 'queued',
               error_message = $4, available_at = $5 where job_id = $1",
        )
        .bind(error.clone())
        .bind(*retry_at),
        Event::JobCompleted { result } => change(
            "update jobs set revision = $2, updated_at = $3, status = 'completed',
               completed_at = $3, error_message = null, result = $4 where job_id = $1",
        )
        .bind(Json(result.clone())),
        Event::JobFailed { error } => change(
            "update jobs set revision = $2, updated_at = $3, status = 'failed',
               completed_at = $3, error_message = $4, refunded = false where job_id = $1",
        )
        .bind(error.clone()),
        Event::JobRefunded {} => change(
            "update jobs set revision = $2, updated_at = $3, refunded = true where job_id = $1",
        ),
        Event::JobRetried { priority } => change(
            "update jobs set revision = $2, updated_at = $3, status = 'queued', queued_at = $3,
               priority = $4, attempt = 0, retry_count = retry_count + 1, retries = retries + 1,
               refunded = false, completed_at = null, error_message = null where job_id = $1",
        )
        .bind(*priority),
    };
    statement.execute(db).await.map(|_| ())
}

/// A job.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Its id.
    pub job_id: Uuid,
    /// Whose.
    pub owner: String,
    /// Where it waits.
    pub queue: String,
    /// What it does.
    pub operation: String,
    /// An uploaded file to work on.
    pub input_file: Option<String>,
    /// A URL to work on.
    pub input_url: Option<String>,
    /// How.
    pub params: Json<Map<String, Value>>,
    /// For which connection.
    pub profile: Option<String>,
    /// `queued`, `processing`, `completed` or `failed`.
    pub status: String,
    /// Place in the queue.
    pub priority: i32,
    /// How far it is, of a hundred.
    pub progress: i16,
    /// How often it was begun again.
    pub retry_count: i32,
    /// How often it was asked for again.
    pub retries: i32,
    /// What came of it.
    pub result: Option<Json<Map<String, Value>>>,
    /// Why nothing came of it.
    pub error_message: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was last begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
}

/// One job.
///
/// # Errors
/// When the database does not answer.
pub async fn job(db: &PgPool, id: JobId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from jobs where job_id = $1").bind(id.0).fetch_optional(db).await
}

/// The job that is next in this queue at `now`; none while the queues are drained.
///
/// # Errors
/// When the database does not answer.
pub async fn next(db: &PgPool, queue: Queue, now: DateTime<Utc>) -> sqlx::Result<Option<JobId>> {
    let id: Option<Uuid> = sqlx::query_scalar(
        "select job_id from jobs
         where queue = $1 and status = 'queued' and (available_at is null or available_at <= $2)
           and not exists (select from queue_holds)
         order by priority, queued_at, job_id limit 1",
    )
    .bind(queue.as_str())
    .bind(now)
    .fetch_optional(db)
    .await?;
    Ok(id.map(JobId))
}

/// Jobs of this queue that somebody has begun.
///
/// # Errors
/// When the database does not answer.
pub async fn processing(db: &PgPool, queue: Queue) -> sqlx::Result<Vec<JobId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select job_id from jobs where queue = $1 and status = 'processing' limit $2",
    )
    .bind(queue.as_str())
    .bind(SOME)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// Failed jobs of this queue whose cost was not given back.
///
/// # Errors
/// When the database does not answer.
pub async fn unrefunded(db: &PgPool, queue: Queue) -> sqlx::Result<Vec<JobId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select job_id from jobs
         where queue = $1 and status = 'failed' and not refunded limit $2",
    )
    .bind(queue.as_str())
    .bind(SOME)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// How many of somebody's jobs are not over.
///
/// # Errors
/// When the database does not answer.
pub async fn open_of(db: &PgPool, owner: &UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from jobs where owner = $1 and status in ('queued', 'processing')",
    )
    .bind(owner.as_str())
    .fetch_one(db)
    .await
}

/// How many jobs stand how, by queue and status; those that wait for a time to come are `delayed`.
///
/// # Errors
/// When the database does not answer.
pub async fn counts(
    db: &PgPool,
    now: DateTime<Utc>,
) -> sqlx::Result<BTreeMap<(String, String), i64>> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "select queue, status, jobs from job_counts
         union all
         select queue, 'delayed', count(*) from jobs
         where status = 'queued' and available_at > $1 group by queue",
    )
    .bind(now)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(queue, status, jobs)| ((queue, status), jobs)).collect())
}

/// How many jobs stand how, by queue and status, as it is counted along: no job is looked at.
///
/// # Errors
/// When the database does not answer.
pub async fn standing(db: &PgPool) -> sqlx::Result<BTreeMap<(String, String), i64>> {
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("select queue, status, jobs from job_counts").fetch_all(db).await?;
    Ok(rows.into_iter().map(|(queue, status, jobs)| ((queue, status), jobs)).collect())
}

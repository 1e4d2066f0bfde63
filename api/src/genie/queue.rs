//! `/api/queue`: jobs that are asked for, how they stand, and how many wait.

mod shapes;

use super::{
    Failed, Fault, Result,
    answers::{Done, done},
    ids,
    roles::Writer,
    usage::{iso, told as denied},
};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use chrono::Utc;
use commands::jobs;
use domain::{
    Kind, Refusal as _,
    ids::JobId,
    job::{Operation, Queue, Refusal, Request},
};
use projections::jobs::{self as read_model, Row};
use serde_json::{Map, json};
use shapes::{Body, Cache, Cleared, Counters, Enqueued, Retried, Shown, Single, Stats};
use std::collections::BTreeMap;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Jobs of one person that are not over.
const MOST: i64 = 1_000;
/// Bytes of a job's parameters.
const LARGEST: usize = 64 << 10;
/// Place in the queue, if nobody says.
const PRIORITY: i32 = 10;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(stats))
        .routes(routes!(enqueue))
        .routes(routes!(retry))
        .routes(routes!(show))
        .routes(routes!(invalidate))
        .tagged("Jobs")
}

/// Tells how many jobs there are in all queues.
#[utoipa::path(
    get,
    path = "/api/queue/stats",
    responses((status = 200, description = "How many.", body = Done<Stats>)),
)]
async fn stats(State(app): State<App>, _: Caller) -> Result<Done<Stats>> {
    let taxonomy_cache = Cache::of(app.taxonomy.counters());
    Ok(done(Stats { stats: counters(&app).await?, taxonomy_cache }))
}

/// All queues with all counters.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn counters(
    app: &App,
) -> std::result::Result<BTreeMap<&'static str, Counters>, Error> {
    let counts = read_model::counts(&app.db, Utc::now()).await?;
    let count = |queue: Queue, status: &str| {
        counts.get(&(queue.as_str().to_owned(), status.to_owned())).copied().unwrap_or(0)
    };
    let stats = Queue::ALL.map(|queue| {
        let delayed = count(queue, "delayed");
        let counters = Counters {
            waiting: (count(queue, "queued") - delayed).max(0),
            active: count(queue, "processing"),
            completed: count(queue, "completed"),
            failed: count(queue, "failed"),
            delayed,
        };
        (queue.as_str(), counters)
    });
    Ok(stats.into())
}

/// Asks for a job. Under one `jobId` there is one.
#[utoipa::path(
    post,
    path = "/api/queue/media",
    request_body = Body,
    responses(
        (status = 200, description = "It waits.", body = Done<Enqueued>),
        (status = 403, description = "The subscription does not allow it, or no longer (`tier_limit_reached`).", body = Failed),
    ),
)]
async fn enqueue(
    State(app): State<App>,
    Writer(caller): Writer,
    Json(body): Json<Body>,
) -> Result<Done<Enqueued>> {
    let Some(id) = body.job.filter(|id| !id.is_empty()) else {
        return Err(Fault::invalid("jobId is required"));
    };
    let id: JobId = id.parse().map_err(|_| Fault::invalid("jobId has to be a UUID"))?;
    let Some(name) = body.operation.filter(|name| !name.is_empty()) else {
        return Err(Fault::invalid("operation is required"));
    };
    let Some(operation) = Operation::named(&name) else {
        return Err(Fault::invalid(format!("{name:.60} is no operation")));
    };
    let params = body.params.unwrap_or_default();
    let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > 2_048);
    let size = serde_json::to_string(&params).map_or(usize::MAX, |text| text.len());
    if size > LARGEST || long(&body.input_file_id) || long(&body.input_url) {
        return Err(Fault::invalid("the job's parameters are too large"));
    }
    if long(&body.creator_profile_id) {
        return Err(Fault::invalid("creatorProfileId is too long"));
    }
    if read_model::open_of(&app.db, &caller.user).await? >= MOST {
        return Err(Fault::invalid(format!("No more than {MOST} jobs at a time")));
    }
    let request = Request {
        owner: caller.user.clone(),
        operation,
        input_file: body.input_file_id,
        input_url: body.input_url,
        params,
        profile: body.creator_profile_id,
        priority: body.priority.unwrap_or(PRIORITY),
    };
    let queued = app.jobs.enqueue(id, request, Utc::now(), &caller.metadata()).await;
    let queued = queued.map_err(told)?;
    app.caught_up("jobs", queued.position).await;
    Ok(done(Enqueued {
        job_id: id.0,
        bull_job_id: queued.job.reservation(id),
        queue: operation.queue().as_str(),
        status: queued.job.stage.as_str(),
    }))
}

/// Asks for a job again that has failed.
#[utoipa::path(
    post,
    path = "/api/queue/retry/{id}",
    params(("id" = uuid::Uuid, Path, description = "The job.")),
    responses(
        (status = 200, description = "It waits again.", body = Done<Retried>),
        (status = 403, description = "The subscription allows no more (`tier_limit_reached`).", body = Failed),
    ),
)]
async fn retry(
    State(app): State<App>,
    Writer(caller): Writer,
    Path(id): Path<JobId>,
) -> Result<Done<Retried>> {
    let job = app.jobs.find(id).await?.filter(|job| caller.may_access(&job.request.owner));
    job.ok_or(Error::NotFound)?;
    let queued = app.jobs.retry(id, Utc::now(), &caller.metadata()).await.map_err(told)?;
    app.caught_up("jobs", queued.position).await;
    let row = read_model::job(&app.db, id).await?;
    Ok(done(Retried {
        job_id: id.0,
        bull_job_id: queued.job.reservation(id),
        status: queued.job.stage.as_str(),
        retry_count: row.map_or(0, |row| row.retry_count),
    }))
}

/// Gets a job.
#[utoipa::path(
    get,
    path = "/api/queue/jobs/{id}",
    params(("id" = uuid::Uuid, Path, description = "The job.")),
    responses((status = 200, description = "The job.", body = Done<Single>)),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<JobId>,
) -> Result<Done<Single>> {
    let row = read_model::job(&app.db, id).await?;
    let row = row.filter(|row| caller.sees(&row.owner)).ok_or(Error::NotFound)?;
    Ok(done(Single { job: job(row) }))
}

fn job(row: Row) -> Shown {
    let id = JobId(row.job_id);
    Shown {
        id: row.job_id,
        job_type: row.operation.clone(),
        operation: row.operation,
        queue: row.queue,
        user_id: ids::shown(&row.owner.into()),
        creator_profile_id: row.profile,
        media_id: row.input_file,
        scheduled_post_id: row.params.get("scheduled_post_id").cloned(),
        input_url: row.input_url,
        bull_job_id: domain::job::reservation(id, u32::try_from(row.retries).unwrap_or(0)),
        params: row.params.0,
        priority: row.priority,
        progress: if row.status == "completed" { 100 } else { row.progress },
        status: row.status,
        result: row.result.map(|result| result.0),
        error_message: row.error_message,
        retry_count: row.retry_count,
        started_at: row.started_at.map(iso),
        completed_at: row.completed_at.map(iso),
        created_at: iso(row.created_at),
    }
}

/// Forgets which texts mean which tags, so that they are looked at anew.
#[utoipa::path(
    post,
    path = "/api/queue/taxonomy/invalidate",
    responses((status = 200, description = "They are forgotten.", body = Done<Cleared>)),
)]
async fn invalidate(State(app): State<App>, _: Writer) -> Result<Done<Cleared>> {
    let taxonomy_cache = Cache::of(app.taxonomy.invalidate());
    Ok(done(Cleared { invalidated: true, taxonomy_cache }))
}

fn told(error: jobs::Error) -> Fault {
    match error {
        jobs::Error::Denied(action, error) => denied(action, error),
        jobs::Error::Failed(failure) => failure.into(),
        jobs::Error::Refused(refusal) => {
            let bad = |code| Fault::new(StatusCode::BAD_REQUEST, code, refusal.to_string());
            match refusal {
                Refusal::NotFailed(status) => {
                    let extra = Map::from_iter([("status".to_owned(), json!(status))]);
                    let (error, message) = ("job_not_failed", refusal.to_string().into());
                    Fault::Own { status: StatusCode::BAD_REQUEST, error, message, extra }
                }
                _ if refusal.kind() == Kind::Unknown => Error::NotFound.into(),
                _ => bad("job_conflict"),
            }
        }
    }
}

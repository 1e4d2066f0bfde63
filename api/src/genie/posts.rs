//! `/api/posts`: posts that wait for their time, and what became of them.

mod shapes;

use super::{
    Failed, Fault, Result,
    answers::{Counts, Done, Page, done},
    ids::shown,
    roles::Writer,
    usage::{self, iso},
};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path, Query},
    openapi::Documented,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use commands::{captions::Platform, posts, usage::Plan};
use domain::{
    ids::{JobId, PostId},
    post::{self, Draft, Refusal, Stage},
    post_queue,
};
use projections::posts::{self as read_model, Row, Wanted};
use serde_json::{Map, Value, json};
use shapes::{Body, Cancelled, ListQuery, Quota, Scheduled, Shown, Single};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Characters of a post.
const LONGEST: usize = 5_000;
/// Characters of an id, or of a key that names a request.
const LONGEST_ID: usize = 200;
/// Bytes of what a platform wants to know besides.
const LARGEST_META: usize = 16 << 10;
/// Characters of a title.
const LONGEST_TITLE: usize = 300;
/// Posts of one person that wait for something.
const MOST: i64 = 10_000;
/// How long ago the time of a post may lie: clocks differ.
const TOLERANCE: TimeDelta = TimeDelta::seconds(60);
/// How far ahead it may lie.
const AHEAD: TimeDelta = TimeDelta::days(366);
/// What the limit is called.
const ACTION: &str = "scheduled_queue_size";

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(schedule))
        .routes(routes!(list))
        .routes(routes!(show, cancel))
        .tagged("Posts")
}

/// Schedules a post, or keeps a draft.
///
/// Under one `Idempotency-Key` there is one post, however often it is sent.
#[utoipa::path(
    post,
    path = "/api/posts/schedule",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's name for the request, 1 to 200 characters.")),
    request_body = Body,
    responses(
        (status = 201, description = "It waits for its time.", body = Done<Scheduled>),
        (status = 200, description = "The same, where `ANNALS_GENIE_POST_STATUS` says so.", body = Done<Scheduled>),
        (status = 403, description = "As many posts wait as the subscription allows (`tier_limit_reached`).", body = Failed),
    ),
)]
async fn schedule(
    State(app): State<App>,
    Writer(caller): Writer,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> std::result::Result<(StatusCode, axum::Json<Done<Scheduled>>), Fault> {
    let (now, key) = (Utc::now(), key(&headers)?);
    let at = body.scheduled_time.as_deref().map(time).transpose()?;
    let draft = draft(&caller, body)?;
    let id = match &key {
        Some(key) => post::named(&caller.user, key),
        None => PostId(Uuid::now_v7()),
    };
    // What was accepted once is not judged again by another time.
    if key.is_none() || app.posts.find(id).await?.is_none() {
        if at.is_some_and(|at| at < now - TOLERANCE || at > now + AHEAD) {
            let message = "scheduled_time has to lie between now and a year from now";
            return Err(Fault::invalid(message));
        }
        if read_model::open_of(&app.db, &caller.user).await? >= MOST {
            return Err(Fault::invalid(format!("No more than {MOST} posts at a time")));
        }
    }
    let kept = app.posts.schedule(id, draft, at, now, &caller.metadata()).await.map_err(told)?;
    match kept.position {
        Some(_) => app.caught_up("posts", kept.position).await,
        // Somebody wrote it a moment ago, perhaps.
        None => app.settled("posts").await?,
    }
    let row = read_model::post(&app.db, id).await?.ok_or(Error::NotFound)?;
    let remaining = kept.limit.remaining(kept.usage);
    let quota = Quota { limit: kept.limit, usage: kept.usage, remaining };
    Ok((app.config.genie_post_status, done(Scheduled { post: record(row), quota })))
}

/// The client's name for the request: the same one is the same post.
fn key(headers: &HeaderMap) -> std::result::Result<Option<String>, Fault> {
    let Some(sent) = headers.get("idempotency-key") else { return Ok(None) };
    let key = sent.to_str().ok().map(str::trim).filter(|key| (1..=LONGEST_ID).contains(&key.len()));
    let bad = || Fault::invalid(format!("Idempotency-Key has 1 to {LONGEST_ID} plain characters"));
    key.map(|key| Some(key.to_owned())).ok_or_else(bad)
}

/// A time that says where it holds.
fn time(text: &str) -> std::result::Result<DateTime<Utc>, Fault> {
    let bad =
        || Fault::invalid("scheduled_time is a time with an offset, e.g. 2027-01-31T18:00:00Z");
    let at = DateTime::parse_from_rfc3339(text.trim()).map_err(|_| bad())?;
    at.to_utc().duration_trunc(TimeDelta::milliseconds(1)).map_err(|_| bad())
}

fn draft(caller: &Caller, body: Body) -> std::result::Result<Draft, Fault> {
    let wanted = |name: &str, sent: Option<String>| {
        let sent = sent.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        sent.ok_or_else(|| Fault::invalid(format!("{name} is required")))
    };
    let name = wanted("platform", body.platform)?;
    let Some(platform) = Platform::named(&name) else {
        let known = commands::captions::PLATFORMS.map(|platform| platform.name).join(", ");
        return Err(Fault::invalid(format!("platform has to be one of {known}")));
    };
    let text = wanted("content_text", body.content_text)?;
    // Of the platforms' limits this one is enforced where the post is written; the others cut.
    let most = if platform.name == "x" { 280 } else { LONGEST };
    if text.chars().count() > most {
        return Err(Fault::invalid(format!(
            "content_text has at most {most} characters on {}",
            platform.name
        )));
    }
    let platform_meta = body.platform_meta.unwrap_or_default();
    if serde_json::to_string(&platform_meta).map_or(usize::MAX, |text| text.len()) > LARGEST_META {
        return Err(Fault::invalid(format!("platform_meta has at most {LARGEST_META} bytes")));
    }
    if platform.name == "reddit" {
        for name in ["subreddit", "title"] {
            let value = platform_meta.get(name).and_then(Value::as_str).map(str::trim);
            if !value.is_some_and(|v| (1..=LONGEST_TITLE).contains(&v.chars().count())) {
                let message = format!("platform_meta.{name} is required on reddit");
                return Err(Fault::invalid(message));
            }
        }
    }
    let id = |name: &str, sent: Option<String>| match sent.filter(|id| !id.trim().is_empty()) {
        Some(id) if id.len() > LONGEST_ID => Err(Fault::invalid(format!("{name} is too long"))),
        id => Ok(id),
    };
    Ok(Draft {
        owner: caller.user.clone(),
        platform: platform.name.to_owned(),
        text,
        media: id("media_id", body.media_id)?,
        clip_job: id("clip_job_id", body.clip_job_id)?,
        platform_meta,
    })
}

/// Lists the caller's posts.
#[utoipa::path(
    get,
    path = "/api/posts",
    params(ListQuery),
    responses((status = 200, description = "The page, the newest first.", body = Done<Page<Shown>>)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Done<Page<Shown>>> {
    // As others call these states.
    let status = query.status.as_deref().map(|status| match status {
        "queued" => "scheduled",
        "published" => "posted",
        status => status,
    });
    let job = JobId(Uuid::nil());
    let known = [
        Stage::Draft,
        Stage::Scheduled,
        Stage::Publishing(job),
        Stage::Posted,
        Stage::Failed(None),
    ]
    .map(Stage::as_str);
    if status.is_some_and(|status| !known.contains(&status)) {
        return Err(Fault::invalid(format!("status has to be one of {}", known.join(", "))));
    }
    let wanted = Wanted {
        status,
        platform: query.platform.as_deref(),
        offset: query.offset.unwrap_or(0).into(),
        limit: query.limit.unwrap_or(50).min(200).into(),
    };
    let (rows, all, matching) = read_model::page(&app.db, &caller.user, wanted).await?;
    let data = rows.into_iter().map(record).collect();
    Ok(done(Page { data, meta: Counts { total_count: all, filter_count: matching } }))
}

/// Gets a post.
#[utoipa::path(
    get,
    path = "/api/posts/{id}",
    params(("id" = Uuid, Path, description = "The post.")),
    responses((status = 200, description = "The post.", body = Done<Single>)),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<Done<Single>> {
    let row = read_model::post(&app.db, id).await?;
    let row = row.filter(|row| row.status != "cancelled" && row.owner == caller.user.as_str());
    let row = row.ok_or(Error::NotFound)?;
    Ok(done(Single { post: record(row) }))
}

/// Cancels a post that has not been handed over.
#[utoipa::path(
    delete,
    path = "/api/posts/{id}",
    params(("id" = Uuid, Path, description = "The post.")),
    responses((status = 200, description = "It will not appear.", body = Done<Cancelled>)),
)]
async fn cancel(
    State(app): State<App>,
    Writer(caller): Writer,
    Path(id): Path<PostId>,
) -> Result<Done<Cancelled>> {
    let known = app.posts.find(id).await?.filter(|post| post.draft.owner == caller.user);
    known.ok_or(Error::NotFound)?;
    let cancelled = app.posts.cancel(id, &caller.metadata()).await.map_err(told)?;
    app.caught_up("posts", cancelled).await;
    Ok(done(Cancelled { id: id.0, cancelled: true }))
}

fn record(row: Row) -> Shown {
    Shown {
        id: row.post_id,
        creator_id: shown(&row.owner.into()),
        platform: row.platform,
        content_text: row.content_text,
        scheduled_time: row.scheduled_time.map(iso),
        status: row.status,
        media_id: row.media_id,
        clip_job_id: row.clip_job_id,
        platform_meta: row.platform_meta.0,
        publish_job_id: row.job_id,
        posted_at: row.posted_at.map(iso),
        result: row.result.map(|result| result.0),
        error_message: row.error_message,
        date_created: iso(row.created_at),
        date_updated: iso(row.updated_at),
    }
}

fn told(error: posts::Error) -> Fault {
    match error {
        posts::Error::Failed(failure) => failure.into(),
        posts::Error::Plan(error) => usage::told_of(ACTION, error),
        posts::Error::Full { refusal, plan } => full(refusal, &plan),
        posts::Error::Refused(Refusal::Unknown) => Error::NotFound.into(),
        posts::Error::Refused(refusal) => {
            let error = match refusal {
                Refusal::TooLate(_) => "post_not_cancellable",
                _ => "post_conflict",
            };
            let mut extra = Map::new();
            if let Refusal::TooLate(status) | Refusal::NotDue(status) = refusal {
                extra.insert("status".to_owned(), json!(status));
            }
            let (status, message) = (StatusCode::BAD_REQUEST, refusal.to_string().into());
            Fault::Own { status, error, message, extra }
        }
    }
}

fn full(refusal: post_queue::Refusal, plan: &Plan) -> Fault {
    let (reason, limit, used) = match refusal {
        post_queue::Refusal::LimitReached { limit, usage } => ("limit_reached", limit, usage),
        post_queue::Refusal::NotInTier => ("not_in_tier", 0, 0),
    };
    let extra = Map::from_iter([
        ("reason".to_owned(), json!(reason)),
        ("action".to_owned(), json!(ACTION)),
        ("tier".to_owned(), json!(plan.tier)),
        ("limit".to_owned(), json!(limit)),
        ("usage".to_owned(), json!(used)),
        // A place is free when a post has appeared, not at the end of a cycle.
        ("resets_at".to_owned(), Value::Null),
    ]);
    let message = format!("{ACTION}: {refusal}").into();
    let (status, error) = (StatusCode::FORBIDDEN, "tier_limit_reached");
    Fault::Own { status, error, message, extra }
}

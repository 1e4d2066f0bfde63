//! Posts, and what became of them. They go with the account.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::{PostId, UserId},
    post::{Event, Post},
    user::{self, User},
};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Posts looked at in one go.
const SOME: i64 = 1_000;

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Posts;

impl Projection for Posts {
    fn name(&self) -> &'static str {
        "posts"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["posts"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Post::CATEGORY, User::CATEGORY]
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
                    let gone = sqlx::query("delete from posts where owner = $1");
                    gone.bind(recorded.stream.key()).execute(db).await?;
                }
                return Ok(());
            }
            // The runner hands over streams of these categories only, and keys of posts are made from ids.
            let Ok(id) = recorded.stream.key().parse::<PostId>() else { return Ok(()) };
            let event = codec::decode::<Event>(&recorded.kind, &recorded.data)?;
            fold(db, id, recorded, event).await?;
            Ok(())
        })
    }
}

async fn fold(
    db: &mut PgConnection,
    id: PostId,
    recorded: &Recorded,
    event: Event,
) -> sqlx::Result<()> {
    let change = |set: &'static str| {
        sqlx::query(set).bind(id.0).bind(column(recorded.revision.0)).bind(recorded.recorded_at)
    };
    let statement = match event {
        Event::PostDrafted(draft) => change(
            "insert into posts (post_id, revision, updated_at, created_at, owner, platform,
                content_text, media_id, clip_job_id, platform_meta, status)
             values ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, 'draft')",
        )
        .bind(draft.owner.0)
        .bind(draft.platform)
        .bind(draft.text)
        .bind(draft.media)
        .bind(draft.clip_job)
        .bind(Json(draft.platform_meta)),
        Event::PostScheduled { at } => change(
            "update posts set revision = $2, updated_at = $3, status = 'scheduled',
               scheduled_time = $4 where post_id = $1",
        )
        .bind(at),
        Event::PostPublishing { job } => change(
            "update posts set revision = $2, updated_at = $3, status = 'publishing', job_id = $4,
               error_message = null where post_id = $1",
        )
        .bind(job.0),
        Event::PostPublished { result } => change(
            "update posts set revision = $2, updated_at = $3, status = 'posted', posted_at = $3,
               result = $4 where post_id = $1",
        )
        .bind(Json(result)),
        Event::PostFailed { error } => change(
            "update posts set revision = $2, updated_at = $3, status = 'failed',
               error_message = $4 where post_id = $1",
        )
        .bind(error),
        Event::PostCancelled {} => change(
            "update posts set revision = $2, updated_at = $3, status = 'cancelled'
             where post_id = $1",
        ),
    };
    statement.execute(db).await.map(|_| ())
}

/// A post.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Its id.
    pub post_id: Uuid,
    /// Whose.
    pub owner: String,
    /// Where.
    pub platform: String,
    /// The text.
    pub content_text: String,
    /// A file that goes with it.
    pub media_id: Option<String>,
    /// The job that made the clip that goes with it.
    pub clip_job_id: Option<String>,
    /// What this platform wants to know besides.
    pub platform_meta: Json<Map<String, Value>>,
    /// When it is to appear.
    pub scheduled_time: Option<DateTime<Utc>>,
    /// `draft`, `scheduled`, `publishing`, `posted`, `failed` or `cancelled`.
    pub status: String,
    /// The job that hands it over.
    pub job_id: Option<Uuid>,
    /// When the platform took it.
    pub posted_at: Option<DateTime<Utc>>,
    /// What the platform said.
    pub result: Option<Json<Map<String, Value>>>,
    /// Why it did not appear.
    pub error_message: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Which of somebody's posts. Cancelled ones are gone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Only those that stand so.
    pub status: Option<&'a str>,
    /// Only those for this platform.
    pub platform: Option<&'a str>,
    /// How many to leave out.
    pub offset: i64,
    /// How many at most.
    pub limit: i64,
}

/// One page of somebody's posts, newest first; how many they have in all, and how many of them are wanted.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    db: &PgPool,
    owner: &UserId,
    wanted: Wanted<'_>,
) -> sqlx::Result<(Vec<Row>, i64, i64)> {
    let rows = sqlx::query_as(
        "select * from posts
         where owner = $1 and status <> 'cancelled' and ($2::text is null or status = $2)
           and ($3::text is null or platform = $3)
         order by created_at desc, post_id limit $4 offset $5",
    )
    .bind(owner.as_str())
    .bind(wanted.status)
    .bind(wanted.platform)
    .bind(wanted.limit)
    .bind(wanted.offset)
    .fetch_all(db)
    .await?;
    let (all, matching): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (
             where ($2::text is null or status = $2) and ($3::text is null or platform = $3))
         from posts where owner = $1 and status <> 'cancelled'",
    )
    .bind(owner.as_str())
    .bind(wanted.status)
    .bind(wanted.platform)
    .fetch_one(db)
    .await?;
    Ok((rows, all, matching))
}

/// One post.
///
/// # Errors
/// When the database does not answer.
pub async fn post(db: &PgPool, id: PostId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from posts where post_id = $1").bind(id.0).fetch_optional(db).await
}

/// How many of somebody's posts wait for something, drafts included.
///
/// # Errors
/// When the database does not answer.
pub async fn open_of(db: &PgPool, owner: &UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from posts
         where owner = $1 and status in ('draft', 'scheduled', 'publishing')",
    )
    .bind(owner.as_str())
    .fetch_one(db)
    .await
}

/// Scheduled posts whose time has come, the earliest first.
///
/// # Errors
/// When the database does not answer.
pub async fn due(db: &PgPool, now: DateTime<Utc>) -> sqlx::Result<Vec<PostId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select post_id from posts where status = 'scheduled' and scheduled_time <= $1
         order by scheduled_time, post_id limit $2",
    )
    .bind(now)
    .bind(SOME)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(PostId).collect())
}

/// Posts that are being handed over.
///
/// # Errors
/// When the database does not answer.
pub async fn publishing(db: &PgPool) -> sqlx::Result<Vec<PostId>> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select post_id from posts where status = 'publishing' limit $1")
            .bind(SOME)
            .fetch_all(db)
            .await?;
    Ok(ids.into_iter().map(PostId).collect())
}

//! What is asked of posts, and how they are told.

use domain::quota::Limit;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// A post, as somebody wants it.
#[derive(Deserialize, ToSchema)]
#[schema(as = PostWish)]
pub(super) struct Body {
    /// Where it is to appear.
    #[serde(default)]
    #[schema(required)]
    pub platform: Option<String>,
    /// The text; also as `caption` or `content`.
    #[serde(default, alias = "contentText", alias = "caption", alias = "content")]
    #[schema(required, max_length = 5_000)]
    pub content_text: Option<String>,
    /// When, with an offset, within a year; without it, it is a draft. Also as `scheduled_at`.
    #[serde(default, alias = "scheduledTime", alias = "scheduled_at", alias = "scheduledAt")]
    #[schema(format = DateTime)]
    pub scheduled_time: Option<String>,
    /// A file that goes with it.
    #[serde(default, alias = "mediaId")]
    #[schema(max_length = 200)]
    pub media_id: Option<String>,
    /// The job that makes the clip that goes with it.
    #[serde(default, alias = "clipJobId")]
    #[schema(max_length = 200)]
    pub clip_job_id: Option<String>,
    /// What this platform wants to know besides; `subreddit` and `title` for reddit.
    #[serde(default, alias = "platformMeta")]
    #[schema(value_type = Option<Object>)]
    pub platform_meta: Option<Map<String, Value>>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// `draft`, `scheduled`, `publishing`, `posted` or `failed`.
    #[serde(default)]
    pub status: Option<String>,
    /// Only for this platform.
    #[serde(default)]
    pub platform: Option<String>,
    /// Most posts of the page, 200 at most; 50 unless it is named.
    #[serde(default)]
    pub limit: Option<u32>,
    /// How many to pass over.
    #[serde(default)]
    pub offset: Option<u32>,
}

/// A post.
#[derive(Serialize, ToSchema)]
#[schema(as = Post)]
pub(super) struct Shown {
    pub id: Uuid,
    /// Whose.
    pub creator_id: String,
    pub platform: String,
    pub content_text: String,
    pub scheduled_time: Option<String>,
    /// `draft`, `scheduled`, `publishing`, `posted` or `failed`.
    pub status: String,
    pub media_id: Option<String>,
    pub clip_job_id: Option<String>,
    #[schema(value_type = Object)]
    pub platform_meta: Map<String, Value>,
    /// The job that hands it over.
    pub publish_job_id: Option<Uuid>,
    pub posted_at: Option<String>,
    /// What the platform said.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Map<String, Value>>,
    /// Why it did not appear.
    pub error_message: Option<String>,
    pub date_created: String,
    pub date_updated: String,
}

/// A post that waits.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduledPost)]
pub(super) struct Scheduled {
    pub post: Shown,
    pub quota: Quota,
}

/// How many posts may wait.
#[derive(Serialize, ToSchema)]
#[schema(as = PostQuota)]
pub(super) struct Quota {
    /// -1 for as many as one likes.
    #[schema(value_type = i64)]
    pub limit: Limit,
    pub usage: u64,
    /// -1 for as many as one likes.
    pub remaining: i64,
}

/// A post.
#[derive(Serialize, ToSchema)]
#[schema(as = SinglePost)]
pub(super) struct Single {
    pub post: Shown,
}

/// A post that was cancelled.
#[derive(Serialize, ToSchema)]
#[schema(as = CancelledPost)]
pub(super) struct Cancelled {
    pub id: Uuid,
    /// Always `true`.
    pub cancelled: bool,
}

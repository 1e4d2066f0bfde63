//! What is asked of jobs, and how they are told.

use commands::taxonomy;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// A job, as somebody wants it.
#[derive(Deserialize, ToSchema)]
#[schema(as = JobWish)]
pub(super) struct Body {
    /// The client's id for it; also as `job_id`.
    #[serde(default, alias = "job_id", rename = "jobId")]
    #[schema(required, value_type = Uuid)]
    pub job: Option<String>,
    /// What it does.
    #[serde(default)]
    #[schema(required)]
    pub operation: Option<String>,
    /// An uploaded file to work on; also as `file_id`.
    #[serde(default, alias = "inputFileId", alias = "fileId", alias = "file_id")]
    #[schema(max_length = 2_048)]
    pub input_file_id: Option<String>,
    /// A page to work on; also as `url`.
    #[serde(default, alias = "inputUrl", alias = "url")]
    #[schema(max_length = 2_048)]
    pub input_url: Option<String>,
    /// How; also as `parameters` or `options`.
    #[serde(default, alias = "parameters", alias = "options")]
    #[schema(value_type = Option<Object>)]
    pub params: Option<Map<String, Value>>,
    /// For which connection.
    #[serde(default, alias = "creatorProfileId")]
    #[schema(max_length = 2_048)]
    pub creator_profile_id: Option<String>,
    /// Place in the queue, the smallest first; 10 unless it is named.
    #[serde(default)]
    pub priority: Option<i32>,
}

/// How many jobs there are, by queue.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueStats)]
pub(super) struct Stats {
    pub stats: BTreeMap<&'static str, Counters>,
    pub taxonomy_cache: Cache,
}

/// How many jobs there are in a queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueCounters)]
pub struct Counters {
    pub(super) waiting: i64,
    pub(super) active: i64,
    pub(super) completed: i64,
    pub(super) failed: i64,
    /// That wait for a second try.
    pub(super) delayed: i64,
}

/// How the memory of tags does.
#[derive(Serialize, ToSchema)]
#[schema(as = TaxonomyCache)]
pub(super) struct Cache {
    /// Texts that were known.
    hits: u64,
    /// Texts that were not.
    misses: u64,
    /// Texts that are remembered.
    size: usize,
}

impl Cache {
    pub fn of(counters: taxonomy::Counters) -> Self {
        Self { hits: counters.hits, misses: counters.misses, size: counters.size }
    }
}

/// A memory that is empty.
#[derive(Serialize, ToSchema)]
#[schema(as = ClearedCache)]
pub(super) struct Cleared {
    /// Always `true`.
    pub invalidated: bool,
    pub taxonomy_cache: Cache,
}

/// A job that waits.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EnqueuedJob)]
pub(super) struct Enqueued {
    pub job_id: Uuid,
    /// Of this try.
    pub bull_job_id: String,
    pub queue: &'static str,
    /// `queued`, `processing`, `completed` or `failed`.
    pub status: &'static str,
}

/// A job that waits again.
#[derive(Serialize, ToSchema)]
#[schema(as = RetriedJob)]
pub(super) struct Retried {
    #[serde(rename = "jobId")]
    pub job_id: Uuid,
    /// Of this try.
    #[serde(rename = "bullJobId")]
    pub bull_job_id: String,
    /// `queued`, `processing`, `completed` or `failed`.
    pub status: &'static str,
    /// How often it was begun again.
    pub retry_count: i32,
}

/// A job.
#[derive(Serialize, ToSchema)]
#[schema(as = SingleJob)]
pub(super) struct Single {
    pub job: Shown,
}

/// A job.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct Shown {
    pub id: Uuid,
    /// As `operation`.
    pub job_type: String,
    pub operation: String,
    pub queue: String,
    /// `queued`, `processing`, `completed` or `failed`.
    pub status: String,
    /// Whose.
    pub user_id: String,
    pub creator_profile_id: Option<String>,
    pub media_id: Option<String>,
    /// The post that it hands over.
    #[schema(value_type = Option<String>)]
    pub scheduled_post_id: Option<Value>,
    pub input_url: Option<String>,
    /// Of this try.
    pub bull_job_id: String,
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    pub priority: i32,
    /// Of a hundred.
    pub progress: i16,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Map<String, Value>>,
    pub error_message: Option<String>,
    pub retry_count: i32,
    pub started_at: Option<String>,
    pub completed_at: Option<String>,
    pub created_at: String,
}

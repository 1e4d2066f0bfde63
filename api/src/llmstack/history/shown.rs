//! Runs as their callers see them.

use crate::llmstack::{Holder, apps::iso};
use projections::app_runs::{Row, SessionRow};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// How many there are in all.
    pub count: i64,
    /// Where the next page is, if there is one.
    pub next: Option<String>,
    /// Where the page before is, if there is one.
    pub previous: Option<String>,
    /// 20 at most.
    pub results: Vec<T>,
}

/// A run as a list has it.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryItem)]
pub struct Brief {
    request_uuid: Uuid,
    app_uuid: Uuid,
    app_detail: Named,
    /// Always `null`.
    #[schema(value_type = Option<Uuid>)]
    app_store_uuid: (),
    /// Always `null`.
    #[schema(value_type = Option<Uuid>)]
    endpoint_uuid: (),
    /// The session, as the client chose it.
    session_key: String,
    #[schema(format = DateTime)]
    created_at: String,
    request_user_email: Option<String>,
    request_ip: Option<String>,
    /// Always empty.
    request_location: &'static str,
    request_user_agent: Option<String>,
    /// 200; `null` while it goes on.
    response_status: Option<u16>,
    /// Seconds; `null` while it goes on.
    response_time: Option<f64>,
    /// Always empty.
    #[schema(value_type = Object)]
    platform_data: Map<String, Value>,
    /// By step: what each call of a model took, such as `["gpt-4o-mini", "input tokens", ["usage", 12]]`.
    #[schema(value_type = Object)]
    usage_metrics: Value,
}

/// The app of a run.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryApp)]
pub struct Named {
    name: String,
    path: String,
}

/// A run with what was asked and answered.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryDetail)]
pub struct Whole {
    #[serde(flatten)]
    brief: Brief,
    request_content_type: Option<String>,
    /// `input` and `stream`.
    #[schema(value_type = Object)]
    request_body: Value,
    /// `output` or `errors`; `null` while it goes on.
    #[schema(value_type = Option<Object>)]
    response_body: Option<Value>,
    response_content_type: &'static str,
    /// Always empty.
    #[schema(value_type = Object)]
    response_headers: Map<String, Value>,
    /// `step`, `output` and `usage` of every finished step.
    #[schema(value_type = Vec<Object>)]
    processor_runs: Value,
    /// What its caller said of it.
    feedback: Option<Feedback>,
    /// `completed`, `interrupted`, `replaced` or `failed`; `null` while it goes on.
    outcome: Option<String>,
}

/// What the caller of a run said of it.
#[derive(Serialize, ToSchema)]
pub struct Feedback {
    response_quality: Option<String>,
    response_feedback: Option<String>,
}

/// A run in a list, with or without what was asked and answered.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Item {
    /// Without.
    Brief(Box<Brief>),
    /// With.
    Whole(Box<Whole>),
}

/// A session of the caller with an app.
#[derive(Serialize, ToSchema)]
#[schema(as = HistorySession)]
pub struct Session {
    /// As the client chose it.
    session_key: String,
    app_uuid: Uuid,
    request_user_email: Option<String>,
    /// When its last run was wanted.
    #[schema(format = DateTime)]
    latest_created_at: String,
}

impl Item {
    /// A run of the holder's.
    pub fn of(row: Row, holder: &Holder, detailed: bool) -> Self {
        match detailed {
            true => Self::Whole(Box::new(Whole::of(row, holder))),
            false => Self::Brief(Box::new(Brief::of(&row, holder))),
        }
    }
}

impl Whole {
    /// A run of the holder's.
    pub fn of(row: Row, holder: &Holder) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            brief: Brief::of(&row, holder),
            request_content_type: row.content_type,
            request_body: row.request.0,
            response_body: row.response.map(|response| response.0),
            response_content_type: "application/json",
            response_headers: Map::new(),
            processor_runs: row.steps.0,
            feedback: row.rating.map(|rating| Feedback {
                response_quality: text(&rating.0["quality"]),
                response_feedback: text(&rating.0["remark"]),
            }),
            outcome: row.outcome,
        }
    }
}

impl Brief {
    fn of(row: &Row, holder: &Holder) -> Self {
        let took = row.ended_at.map(|ended| (ended - row.requested_at).as_seconds_f64());
        let (name, path) = (row.app_name.clone(), format!("/apps/{}", row.app_id));
        Self {
            request_uuid: row.run_id,
            app_uuid: row.app_id,
            app_detail: Named { name, path },
            app_store_uuid: (),
            endpoint_uuid: (),
            session_key: row.session_key.clone(),
            created_at: iso(row.requested_at),
            request_user_email: holder.email().map(str::to_owned),
            request_ip: row.ip.clone(),
            request_location: "",
            request_user_agent: row.user_agent.clone(),
            response_status: row.ended_at.map(|_| 200),
            response_time: took,
            platform_data: Map::new(),
            usage_metrics: metrics(&row.steps.0),
        }
    }
}

impl Session {
    /// A session of the holder's.
    pub fn of(row: SessionRow, holder: &Holder) -> Self {
        Self {
            session_key: row.session_key,
            app_uuid: row.app_id,
            request_user_email: holder.email().map(str::to_owned),
            latest_created_at: iso(row.latest),
        }
    }
}

/// `{step: [[model, metric, [source, amount]], …]}`.
fn metrics(steps: &Value) -> Value {
    let mut metrics = Map::new();
    for step in steps.as_array().into_iter().flatten() {
        let Some(name) = step["step"].as_str() else { continue };
        let list = metrics.entry(name.to_owned()).or_insert_with(|| json!([]));
        let Some(list) = list.as_array_mut() else { continue };
        for turn in step["usage"].as_array().into_iter().flatten() {
            for (metric, key) in
                [("input tokens", "prompt_tokens"), ("output tokens", "completion_tokens")]
            {
                if let Some(amount) = turn["usage"][key].as_u64() {
                    list.push(json!([turn["model"], metric, ["usage", amount]]));
                }
            }
        }
    }
    metrics.into()
}

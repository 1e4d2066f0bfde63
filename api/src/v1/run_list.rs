//! `GET /v1/runs`: one's own runs of whatever dialect, the last one first; everybody's for administrators.

use super::bad;
use crate::{
    app::App,
    core::{Caller, Error, Query},
    openapi::Documented,
};
use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use projections::conversations::{self, ListedRun, RunListing};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Runs of a page, unless the client asks for another number.
const PAGE: i64 = 50;
/// Most runs of a page.
const LONGEST_PAGE: i64 = 200;
/// Characters of a question that a list shows.
const QUESTION: usize = 200;
const STATES: &[&str] = &["running", "completed", "interrupted", "replaced", "failed"];
const SURFACES: &[&str] = &["sage_chat", "sage_stream", "sage_web_stream", "llmstack", "genie"];

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list)).tagged("Runs")
}

/// A slip in a name is refused: a filter that is passed over shows too much.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `running`, `completed`, `interrupted`, `replaced` or `failed`.
    state: Option<String>,
    /// `sage_chat`, `sage_stream`, `sage_web_stream`, `llmstack` or `genie`.
    surface: Option<String>,
    /// The `next` of the page before.
    before: Option<i64>,
    /// Most runs of the page; 50 unless it is named.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunPage)]
struct Page {
    /// The last requested first.
    runs: Vec<Listed>,
    /// What to send as `before` to go on; `null` at the end of the list.
    next: Option<i64>,
}

/// A run as the list shows it; `GET /v1/runs/{id}` has the rest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedRun)]
struct Listed {
    id: Uuid,
    /// `running`, `completed`, `interrupted`, `replaced` or `failed`.
    state: String,
    owner: String,
    session_id: String,
    surface: String,
    agent_id: Option<String>,
    /// The run it works for; `null` when a person asked.
    parent: Option<Uuid>,
    /// How what was asked begins.
    question: String,
    /// Performers so far.
    attempts: i32,
    /// Of a run that is over: its lines, the end line included.
    lines: Option<i64>,
    /// What its finished turns took together, as far as providers told.
    total_tokens: u64,
    error: Option<String>,
    requested_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

/// Lists runs, the last one first.
///
/// One's own of whatever dialect; everybody's for administrators. Those of deleted conversations are gone.
#[utoipa::path(
    get,
    path = "/runs",
    params(Wanted),
    responses((status = 200, description = "The page.", body = Page)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Error> {
    let limit = match wanted.limit {
        None => PAGE,
        Some(limit @ 1..=LONGEST_PAGE) => limit,
        Some(other) => return Err(bad("limit", "has to be between 1 and 200", json!(other))),
    };
    let listing = RunListing {
        owner: caller.scope().cloned(),
        state: one_of("state", STATES, wanted.state)?,
        surface: one_of("surface", SURFACES, wanted.surface)?,
        before: wanted.before,
        // One more, to know whether the list goes on.
        limit: limit + 1,
    };
    app.settled("conversations").await?;
    let mut found = conversations::listed_runs(&app.db, &listing).await?;
    let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > limit;
    if more {
        found.pop();
    }
    let next = found.last().filter(|_| more).map(|last| last.position);
    Ok(Json(Page { runs: found.into_iter().map(Listed::from).collect(), next }))
}

/// The name, if it is one of these. An empty text is as good as none, as forms send it.
fn one_of(parameter: &str, known: &[&str], name: Option<String>) -> Result<Option<String>, Error> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) if !known.contains(&&*name) => {
            Err(bad(parameter, &format!("has to be one of {}", known.join(", ")), json!(name)))
        }
        name => Ok(name),
    }
}

impl From<ListedRun> for Listed {
    fn from(ListedRun { run, .. }: ListedRun) -> Self {
        let over = run.outcome.is_some();
        let turns = run.usage.0.as_array().into_iter().flatten();
        Self {
            id: run.run_id,
            question: question(&run.query.0),
            total_tokens: turns.filter_map(|turn| turn["usage"]["total_tokens"].as_u64()).sum(),
            state: run.outcome.unwrap_or_else(|| "running".to_owned()),
            owner: run.owner,
            session_id: run.session_id,
            surface: run.surface,
            agent_id: run.agent_id,
            parent: run.parent,
            attempts: run.attempt,
            lines: run.lines,
            error: run.error,
            requested_at: run.requested_at,
            ended_at: over.then_some(run.updated_at),
        }
    }
}

/// How a message's content begins: a text, or the text parts of a list.
fn question(content: &Value) -> String {
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join(" ")
        }
        _ => String::new(),
    };
    text.trim().chars().take(QUESTION).collect()
}

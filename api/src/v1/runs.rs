//! `GET /v1/runs/{id}` and its stream: any run of any dialect, for its owner and administrators.

use crate::{
    app::App,
    core::{
        Caller, Error, Path, Query,
        run_stream::{self, Framing, Reader, last_event_id},
    },
};
use axum::{Json, Router, extract::State, http::HeaderMap, response::Response, routing::get};
use chrono::{DateTime, Utc};
use domain::ids::RunId;
use projections::conversations::{self, RunRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/runs/{id}", get(run)).route("/runs/{id}/stream", get(stream))
}

#[derive(Debug, Deserialize)]
struct From {
    #[serde(default)]
    last_index: u64,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: Uuid,
    /// `running`, `completed`, `interrupted`, `replaced` or `failed`.
    state: String,
    owner: String,
    session_id: String,
    conversation_id: Uuid,
    surface: String,
    agent_id: Option<String>,
    /// The run it works for; `null` when a person asked.
    parent: Option<Uuid>,
    /// Performers so far.
    attempts: i32,
    /// The node that performs it, or did so last.
    node: Uuid,
    /// Lines recorded so far, the end line included.
    lines: u64,
    usage: Usage,
    error: Option<String>,
    requested_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Default, Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    /// `{"model", "usage"}` of every finished turn, as the provider gave it.
    turns: Value,
}

async fn run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Error> {
    let row = find(&app, &caller, &id).await?;
    let lines = match row.lines {
        Some(lines) => u64::try_from(lines).unwrap_or(0),
        None => run_stream::recorded(&*app.log, RunId(row.run_id)).await?,
    };
    let over = row.outcome.is_some();
    Ok(Json(Shown {
        id: row.run_id,
        state: row.outcome.unwrap_or_else(|| "running".to_owned()),
        owner: row.owner,
        session_id: row.session_id,
        conversation_id: row.conversation_id,
        surface: row.surface,
        agent_id: row.agent_id,
        parent: row.parent,
        attempts: row.attempt,
        node: row.node,
        lines,
        usage: Usage::of(row.usage.0),
        error: row.error,
        requested_at: row.requested_at,
        updated_at: row.updated_at,
        ended_at: over.then_some(row.updated_at),
    }))
}

/// The run's lines from `last_index` on, the number of lines the client already has.
async fn stream(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let run = RunId(find(&app, &caller, &id).await?.run_id);
    let index = match last_event_id(&headers) {
        Some((of, next)) if of == run => next,
        _ => from.last_index,
    };
    let reader = Reader { run, index, framing: Framing::wanted(&headers), heartbeat: true };
    run_stream::respond(&app, reader).await
}

/// The run, with everything written before this call. Somebody else's is as good as none.
pub(super) async fn find(app: &App, caller: &Caller, id: &str) -> Result<RunRow, Error> {
    let run: RunId = id.parse().map_err(|_| Error::NotFound)?;
    app.settled("conversations").await?;
    let row = conversations::run(&app.db, run).await?;
    row.filter(|row| caller.sees(&row.owner)).ok_or(Error::NotFound)
}

impl Usage {
    fn of(turns: Value) -> Self {
        let sum = |name: &str| {
            let turns = turns.as_array().into_iter().flatten();
            turns.filter_map(|turn| turn["usage"][name].as_u64()).sum()
        };
        Self {
            prompt_tokens: sum("prompt_tokens"),
            completion_tokens: sum("completion_tokens"),
            total_tokens: sum("total_tokens"),
            turns,
        }
    }
}

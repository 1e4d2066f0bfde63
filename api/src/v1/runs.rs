//! `GET /v1/runs/{id}` and its stream: any run of any dialect, for its owner and administrators.

use crate::{
    app::App,
    core::{
        Caller, Error, Path, Query,
        run_stream::{self, Framing, Reader, last_event_id},
    },
    openapi::Documented,
};
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use chrono::{DateTime, Utc};
use domain::ids::RunId;
use projections::conversations::{self, RunRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(run)).routes(routes!(stream)).tagged("Runs")
}

/// A run as lines.
const LINES: &str = r#"{"role":"assistant","content":"Good ","message_id":"907f56a2-7ffa-4e5a-a667-83f11c517419","type":"do_subtask_result","timestamp":1795304119.51136,"agent_name":"Sage Assistant","metadata":{},"session_id":"s1"}
{"role":"assistant","content":"evening.","message_id":"907f56a2-7ffa-4e5a-a667-83f11c517419","type":"do_subtask_result","timestamp":1795304119.51136,"agent_name":"Sage Assistant","metadata":{},"session_id":"s1"}
{"type":"stream_end","session_id":"s1","timestamp":1795304120.1,"total_stream_count":2}
"#;
/// The same as events, to a client that has the first line.
const EVENTS: &str = r#"id: 01a20076-dc6a-716f-8b71-e7a1a2aefaee:1
data: {"role":"assistant","content":"evening.","message_id":"907f56a2-7ffa-4e5a-a667-83f11c517419","type":"do_subtask_result","timestamp":1795304119.51136,"agent_name":"Sage Assistant","metadata":{},"session_id":"s1"}

id: 01a20076-dc6a-716f-8b71-e7a1a2aefaee:2
data: {"type":"stream_end","session_id":"s1","timestamp":1795304120.1,"total_stream_count":2}

"#;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct From {
    /// How many lines the client already has.
    #[serde(default)]
    last_index: u64,
}

/// A run, which is one answer of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
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

/// Tokens that a run has used.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = RunUsage)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    /// `{"model", "usage"}` of every finished turn, as the provider gave it.
    turns: Value,
}

/// Gets a run.
#[utoipa::path(
    get,
    path = "/runs/{id}",
    params(("id" = Uuid, Path, description = "The run.")),
    responses((status = 200, description = "The run.", body = Shown)),
)]
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

/// Follows the lines of a run.
///
/// Sends the lines from `last_index` on, first what is recorded, then what comes, until the end line of the run. Whoever
/// follows the same run gets the same lines, byte for byte. A line is a JSON object, in the dialect in which the run was asked
/// for. With `Accept: text/event-stream` each is the data of an event, whose `id` leads on from there as `Last-Event-ID`.
/// Signs of life begin with a colon.
#[utoipa::path(
    get,
    path = "/runs/{id}/stream",
    params(
        ("id" = Uuid, Path, description = "The run."),
        From,
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was received; counts more than `last_index`."),
    ),
    responses((
        status = 200,
        description = "The lines.",
        content(
            (String = "text/plain", example = json!(LINES)),
            ("text/event-stream", example = json!(EVENTS)),
        ),
    )),
)]
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

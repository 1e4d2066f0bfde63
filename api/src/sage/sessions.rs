//! Running sessions: resume, the list of active ones, interrupt, task status.

use super::{
    Fault, Reply, Result,
    chat::is_bad_id,
    conversations::iso,
    envelope::{Replied, timestamp},
    text,
};
use crate::{
    app::App,
    core::{
        Caller, Error, Path, Query, active_runs,
        extract::OptionalJson,
        run_stream::{self, Framing, Reader, last_event_id},
    },
    openapi::Documented,
};
use axum::{
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use domain::{
    ids::{RunId, UserId},
    run::Interrupt,
};
use futures::StreamExt;
use projections::{
    conversations::{self, RunRow},
    todo_items::{self, Item},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Characters that are kept of why somebody interrupts.
const LONGEST_REASON: usize = 1_000;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(resume))
        .routes(routes!(active_sessions))
        .routes(routes!(interrupt))
        .routes(routes!(tasks_status))
        .tagged("Sessions")
}

/// The rest of a run, to a client that has the first line.
const LINES: &str = r#"{"message_id":"m1","role":"assistant","type":"do_subtask_result","content":"evening.","timestamp":1795303482.2,"session_id":"s1"}
{"type":"stream_end","session_id":"s1","timestamp":1795303482.3,"total_stream_count":2}
"#;
/// The same as events.
const EVENTS: &str = r#"id: 0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1:1
data: {"message_id":"m1","role":"assistant","type":"do_subtask_result","content":"evening.","timestamp":1795303482.2,"session_id":"s1"}

id: 0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1:2
data: {"type":"stream_end","session_id":"s1","timestamp":1795303482.3,"total_stream_count":2}

"#;
/// Nothing goes on, and then something does.
const ACTIVE: &str = r#"data: []

data: [{"session_id":"s1","query":"Good evening?","created_at":1795303481.5,"is_completed":false,"last_activity":1795303482.2,"status":"running","run_id":"0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1"}]

"#;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ResumeQuery {
    /// How many lines the client already has.
    #[serde(default)]
    #[param(required = false, default = 0)]
    last_index: i64,
    /// Whose lines they are, as the header `X-Run-Id` had it; by default those of the latest run.
    run_id: Option<String>,
    /// Whose session an administrator means.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
}

/// Follows the lines of a session's run, from `last_index` on.
///
/// First what is recorded, then what comes, until the end line. Finished runs replay, too. Sessions that the caller does not
/// have answer with no line; one that has no run with an end line that says `resume_fallback`, the cue to read the
/// messages instead. With `Accept: text/event-stream` each line is the data of an event, whose `id` leads on from there as
/// `Last-Event-ID`. Signs of life begin with a colon.
#[utoipa::path(
    get,
    path = "/api/stream/resume/{session_id}",
    params(
        ("session_id" = String, Path, description = "The session."),
        ResumeQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was received; counts more than the query."),
    ),
    responses((
        status = 200,
        description = "The lines.",
        content(
            (String = "text/plain", example = json!(LINES)),
            (String = "text/event-stream", example = json!(EVENTS)),
        ),
    )),
)]
async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<String>,
    Query(query): Query<ResumeQuery>,
    headers: HeaderMap,
) -> std::result::Result<Response, Fault> {
    let framing = Framing::wanted(&headers);
    let index = u64::try_from(query.last_index).unwrap_or(0);
    let (named, index) = match (last_event_id(&headers), query.run_id) {
        (Some((run, next)), _) => (Some(run), next),
        (None, Some(text)) => match text.parse() {
            Ok(run) => (Some(run), index),
            Err(_) => return Ok(empty(framing)),
        },
        (None, None) => (None, index),
    };
    if is_bad_id(&session_id) {
        return Ok(empty(framing));
    }
    app.settled("conversations").await?;
    let whose = query.user_id.filter(|user| !is_bad_id(user.as_str()));
    let scope = caller.scope().or(whose.as_ref());
    let run = match named {
        Some(run) => {
            let row = conversations::run(&app.db, run).await?;
            let own = row.filter(|row| row.session_id == session_id && caller.sees(&row.owner));
            own.map(|row| RunId(row.run_id))
        }
        None => match conversations::latest_run(&app.db, &session_id, scope).await? {
            Some((_, Some(run))) => Some(run),
            Some((_, None)) => return Ok(fallback(framing, &session_id)),
            None => None,
        },
    };
    // Unknown, or somebody else's: an empty stream, as upstream answers unknown sessions.
    let Some(run) = run else { return Ok(empty(framing)) };
    let reader = Reader { run, index, framing, heartbeat: true };
    Ok(run_stream::respond(&app, reader).await?)
}

fn empty(framing: Framing) -> Response {
    (framing.headers(), Body::empty()).into_response()
}

/// The client's cue to use the stored messages: the conversation is known, but no run of it is.
fn fallback(framing: Framing, session_id: &str) -> Response {
    let line = json!({"type": "stream_end", "session_id": session_id, "timestamp": timestamp(),
        "resume_fallback": true});
    (framing.headers(), framing.lone(&line.to_string())).into_response()
}

/// Follows which of the caller's sessions run; administrators see everybody's.
///
/// Each event is the whole list, as JSON: one at once, and one after every start and end of a run.
#[utoipa::path(
    get,
    path = "/api/stream/active_sessions",
    responses((
        status = 200,
        description = "The lists.",
        body = String,
        content_type = "text/event-stream",
        example = json!(ACTIVE),
    )),
)]
async fn active_sessions(
    State(app): State<App>,
    caller: Caller,
) -> std::result::Result<Response, Fault> {
    let runs = active_runs::snapshots(&app, caller.scope().cloned()).await?;
    let events = runs.map(|runs| event(&runs));
    Ok((Framing::Sse.headers(), Body::from_stream(events)).into_response())
}

#[derive(Serialize)]
struct ActiveSession<'a> {
    session_id: &'a str,
    query: &'a Value,
    created_at: f64,
    is_completed: bool,
    last_activity: f64,
    status: &'static str,
    run_id: uuid::Uuid,
}

fn event(rows: &[RunRow]) -> std::result::Result<String, Error> {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit in 53 bits")]
    let seconds = |at: chrono::DateTime<chrono::Utc>| at.timestamp_micros() as f64 / 1e6;
    let sessions: Vec<_> = rows
        .iter()
        .map(|row| ActiveSession {
            session_id: &row.session_id,
            query: &row.query.0,
            created_at: seconds(row.requested_at),
            is_completed: false,
            last_activity: seconds(row.updated_at),
            status: "running",
            run_id: row.run_id,
        })
        .collect();
    let json = serde_json::to_string(&sessions).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(format!("data: {json}\n\n"))
}

/// Why a run is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Interrupt)]
struct InterruptBody {
    /// For people; its first 1000 characters are kept.
    message: Option<String>,
}

/// What was stopped.
#[derive(Debug, Serialize, ToSchema)]
struct Interrupted {
    session_id: String,
    /// The caller.
    user_id: String,
}

/// Stops the session's run if one goes on. An idle or unknown session answers the same.
#[utoipa::path(
    post,
    path = "/api/sessions/{session_id}/interrupt",
    params(("session_id" = String, Path, description = "The session.")),
    request_body = Option<InterruptBody>,
    responses((status = 200, description = "Nothing goes on any more.", body = Replied<Interrupted>)),
)]
async fn interrupt(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<String>,
    OptionalJson(body): OptionalJson<InterruptBody>,
) -> Result<Interrupted> {
    if !is_bad_id(&session_id) {
        app.settled("conversations").await?;
        let latest = conversations::latest_run(&app.db, &session_id, caller.scope()).await?;
        if let Some((_, Some(run))) = latest {
            let reason = body.message.filter(|reason| !reason.is_empty());
            let reason = reason.unwrap_or_else(|| "用户请求中断".to_owned());
            let reason = reason.chars().take(LONGEST_REASON).collect();
            let wish = Interrupt { reason, replaced: false };
            app.interrupt(run, wish, &caller.metadata()).await?;
        }
    }
    let message =
        text(format!("会话 {session_id} 已中断"), format!("Session {session_id} interrupted"));
    Ok(Reply(message, Interrupted { session_id, user_id: caller.user.0 }))
}

/// What the agent of a session has to do.
#[derive(Debug, Serialize, ToSchema)]
struct TasksStatus {
    session_id: String,
    tasks_status: Tasks,
    /// The caller.
    user_id: String,
}

/// A list of what there is to do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TodoList)]
struct Tasks {
    tasks: Vec<Task>,
}

/// Lists what the session's agent has on its list; an agent without a list has none.
#[utoipa::path(
    post,
    path = "/api/sessions/{session_id}/tasks_status",
    params(("session_id" = String, Path, description = "The session.")),
    responses((status = 200, description = "The list.", body = Replied<TasksStatus>)),
)]
async fn tasks_status(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<String>,
) -> Result<TasksStatus> {
    let known = if is_bad_id(&session_id) {
        None
    } else {
        app.settled("conversations").await?;
        conversations::latest_run(&app.db, &session_id, caller.scope()).await?
    };
    let Some((conversation, _)) = known else {
        return Err(Fault::raised(text(
            format!("会话 {session_id} 已完成或者不存在"),
            format!("Session {session_id} is completed or does not exist"),
        )));
    };
    app.settled("todo_items").await?;
    let items = todo_items::of(&app.db, conversation).await?;
    let tasks = items.into_iter().map(Task::from).collect();
    let message = text(
        format!("会话 {session_id} 状态获取成功"),
        format!("Status of session {session_id} retrieved"),
    );
    let (tasks_status, user_id) = (Tasks { tasks }, caller.user.0);
    Ok(Reply(message, TasksStatus { session_id, tasks_status, user_id }))
}

/// One thing to do, under the names that older and newer clients know it by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TodoItem)]
struct Task {
    id: String,
    /// The same as `id`.
    task_id: String,
    content: String,
    /// The same as `content`.
    title: String,
    /// `pending`, `in_progress` or `completed`.
    status: String,
    conclusion: Option<String>,
    /// Local time without zone.
    created_time: String,
    /// Local time without zone.
    updated_time: String,
}

impl From<Item> for Task {
    fn from(item: Item) -> Self {
        Self {
            id: item.item_id.clone(),
            task_id: item.item_id,
            content: item.content.clone(),
            title: item.content,
            status: item.status,
            conclusion: item.conclusion,
            created_time: iso(item.created_at),
            updated_time: iso(item.updated_at),
        }
    }
}

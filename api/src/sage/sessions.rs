//! Running sessions: resume, the list of active ones, interrupt, task status.

use super::{Fault, Reply, Result, chat::is_bad_id, conversations::iso, envelope::timestamp, text};
use crate::{
    app::App,
    core::{
        Caller, Error, Path, Query, active_runs,
        extract::OptionalJson,
        run_stream::{self, Framing, Reader, last_event_id},
    },
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
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

/// Characters that are kept of why somebody interrupts.
const LONGEST_REASON: usize = 1_000;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/stream/resume/{session_id}", get(resume))
        .route("/api/stream/active_sessions", get(active_sessions))
        .route("/api/sessions/{session_id}/interrupt", post(interrupt))
        .route("/api/sessions/{session_id}/tasks_status", post(tasks_status))
}

#[derive(Debug, Deserialize)]
struct ResumeQuery {
    #[serde(default)]
    last_index: i64,
    run_id: Option<String>,
    /// Whose session an administrator means.
    user_id: Option<UserId>,
}

/// Lines from `last_index` on: the number of lines the client already has. Finished runs replay, too.
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

/// A full snapshot at once and after every start and end of a run of the caller; an administrator sees everybody's.
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

#[derive(Debug, Default, Deserialize)]
struct InterruptBody {
    message: Option<String>,
}

#[derive(Debug, Serialize)]
struct Interrupted {
    session_id: String,
    user_id: String,
}

/// Stops the session's run if one goes on. An idle or unknown session answers the same.
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

/// What the session's agent has on its list; an agent without a list has none.
async fn tasks_status(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<String>,
) -> Result<Value> {
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
    let tasks: Vec<_> = items.into_iter().map(Task::from).collect();
    let message = text(
        format!("会话 {session_id} 状态获取成功"),
        format!("Status of session {session_id} retrieved"),
    );
    let data = json!({"session_id": session_id, "tasks_status": {"tasks": tasks},
        "user_id": caller.user});
    Ok(Reply(message, data))
}

/// One thing to do, under the names that older and newer clients know it by.
#[derive(Debug, Serialize)]
struct Task {
    id: String,
    task_id: String,
    content: String,
    title: String,
    status: String,
    conclusion: Option<String>,
    created_time: String,
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

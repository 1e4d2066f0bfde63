//! `/livez` and `/readyz`.

use crate::app::App;
use axum::{Json, Router, extract, http::StatusCode, response::IntoResponse, routing::get};
use commands::publish::{State, Status};
use serde_json::{Value, json};
use std::time::Duration;

/// Positions a read model may lag behind the log's head and still count as ready.
const LAG: u64 = 10_000;
/// Age of a heartbeat from which a read model's task counts as dead.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the database may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route("/livez", get(async || "ok")).route("/readyz", get(readyz))
}

/// The broker's state is told but decides nothing: while it is away events wait in the log, and a node that serves
/// everything else must not be taken out of service for it.
pub(crate) fn broker(app: &App) -> Option<Value> {
    let Status { state, position } = app.publisher.as_ref()?.status();
    let (name, reason) = match state {
        State::Starting => ("starting", None),
        State::Standby => ("standby", None),
        State::Publishing => ("publishing", None),
        State::Waiting(reason) => ("waiting", Some(reason)),
    };
    Some(json!({"state": name, "reason": reason, "position": position}))
}

async fn readyz(extract::State(app): extract::State<App>) -> impl IntoResponse {
    let ping = sqlx::query("select 1").execute(&app.db);
    let database = matches!(tokio::time::timeout(DEADLINE, ping).await, Ok(Ok(_)));
    let statuses = app.projections.status().await;
    let fit = |status: &projections::Status| {
        status.lag <= LAG && status.heartbeat_age <= SILENCE && status.failure.is_none()
    };
    let draining = app.draining.is_cancelled() || app.reply.is_draining();
    let ready = database && !draining && statuses.iter().all(fit);
    let read_models: Vec<_> = statuses
        .iter()
        .map(|status| {
            let failure = status.failure.as_ref().map(|failure| {
                json!({"position": failure.position, "type": failure.kind, "reason": failure.reason,
                    "attempts": failure.attempts, "seconds": failure.since.elapsed().as_secs()})
            });
            json!({"name": status.name, "position": status.position, "lag": status.lag,
                "heartbeat_age_ms": u64::try_from(status.heartbeat_age.as_millis()).unwrap_or(u64::MAX),
                "failure": failure, "unavailable": status.unavailable})
        })
        .collect();
    let body = json!({"ready": ready, "database": database, "draining": draining,
        "read_models": read_models, "broker": broker(&app)});
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body))
}

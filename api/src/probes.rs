//! `/livez` and `/readyz`.

use crate::{app::App, openapi::Documented};
use axum::{Json, extract, http::StatusCode};
use commands::publish;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Positions a read model may lag behind the log's head and still count as ready.
const LAG: u64 = 10_000;
/// Age of a heartbeat from which a read model's task counts as dead.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the database may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(livez)).routes(routes!(readyz)).tagged("Operations")
}

/// Whether this node can take requests, and why not.
#[derive(Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    /// Whether the database answers.
    database: bool,
    /// Whether the node is about to go down.
    draining: bool,
    read_models: Vec<ReadModel>,
    /// `null` when no broker is configured.
    broker: Option<Broker>,
}

/// How far a read model is.
#[derive(Serialize, ToSchema)]
struct ReadModel {
    name: String,
    /// The last position it reflects.
    position: u64,
    /// Positions that it is behind the log.
    lag: u64,
    heartbeat_age_ms: u64,
    /// What keeps it where it is.
    failure: Option<Failure>,
    /// Why it cannot reach what it needs.
    unavailable: Option<String>,
}

/// An event that a read model cannot take.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadModelFailure)]
struct Failure {
    position: u64,
    r#type: String,
    reason: String,
    attempts: u32,
    /// For how long.
    seconds: u64,
}

/// Where the publisher to the broker is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Broker {
    state: BrokerState,
    /// Why it waits.
    reason: Option<String>,
    /// The last position that was published.
    position: u64,
}

/// What the publisher does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BrokerState {
    Starting,
    /// Another node publishes.
    Standby,
    Publishing,
    Waiting,
}

/// The broker's state is told but decides nothing: while it is away events wait in the log, and a node that serves
/// everything else must not be taken out of service for it.
pub(crate) fn broker(app: &App) -> Option<Broker> {
    let publish::Status { state, position } = app.publisher.as_ref()?.status();
    let (state, reason) = match state {
        publish::State::Starting => (BrokerState::Starting, None),
        publish::State::Standby => (BrokerState::Standby, None),
        publish::State::Publishing => (BrokerState::Publishing, None),
        publish::State::Waiting(reason) => (BrokerState::Waiting, Some(reason.to_string())),
    };
    Some(Broker { state, reason, position: position.0 })
}

/// Tells that the program runs.
#[utoipa::path(
    get,
    path = "/livez",
    responses((status = 200, description = "It does.", body = String, example = "ok")),
    security(()),
)]
async fn livez() -> &'static str {
    "ok"
}

/// Tells whether this node can take requests.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "It can.", body = Readiness),
        (status = 503, description = "It cannot, for what the body says.", body = Readiness),
    ),
    security(()),
)]
async fn readyz(extract::State(app): extract::State<App>) -> (StatusCode, Json<Readiness>) {
    let ping = sqlx::query("select 1").execute(&app.db);
    let database = matches!(tokio::time::timeout(DEADLINE, ping).await, Ok(Ok(_)));
    let statuses = app.projections.status().await;
    let fit = |status: &projections::Status| {
        status.lag <= LAG && status.heartbeat_age <= SILENCE && status.failure.is_none()
    };
    let draining = app.draining.is_cancelled() || app.reply.is_draining();
    let ready = database && !draining && statuses.iter().all(fit);
    let read_models = statuses.into_iter().map(ReadModel::of).collect();
    let body = Readiness { ready, database, draining, read_models, broker: broker(&app) };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body))
}

impl ReadModel {
    fn of(status: projections::Status) -> Self {
        let failure = status.failure.map(|failure| Failure {
            position: failure.position.0,
            r#type: failure.kind.into(),
            reason: failure.reason.to_string(),
            attempts: failure.attempts,
            seconds: failure.since.elapsed().as_secs(),
        });
        Self {
            name: status.name.into(),
            position: status.position.0,
            lag: status.lag,
            heartbeat_age_ms: u64::try_from(status.heartbeat_age.as_millis()).unwrap_or(u64::MAX),
            failure,
            unavailable: status.unavailable.map(|reason| reason.to_string()),
        }
    }
}

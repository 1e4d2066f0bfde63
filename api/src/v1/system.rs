//! `GET /v1/system`: what an operator watches, for administrators. Cheap enough to be asked for every second.

use super::administrators_only;
use crate::{
    app::App,
    core::{Caller, Error},
    metrics,
    openapi::Documented,
    probes::{self, Broker},
    vitals::Examiner,
};
use axum::{Extension, Json, extract::State};
use chrono::{DateTime, Utc};
use commands::{nodes, pulse};
use domain::{Position, ids::NodeId};
use projections::conversations::{Load, Performed, load_of_nodes, performed};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Runs that are told one by one.
const RUNS: i64 = 100;

/// The route.
pub(super) fn routes() -> OpenApiRouter<App> {
    let examiner = Arc::new(Examiner::default());
    OpenApiRouter::default().routes(routes!(system)).layer(Extension(examiner)).tagged("System")
}

/// How the installation is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = System)]
struct Shown {
    at: DateTime<Utc>,
    version: &'static str,
    /// The node that answers: what follows about a process is about its.
    #[schema(value_type = Uuid)]
    node: NodeId,
    uptime_seconds: f64,
    /// `null` where the system does not tell.
    resident_memory_bytes: Option<u64>,
    /// Streams that clients are reading from this node.
    open_streams: u64,
    log: Log,
    /// In the order of `/v1/read-models`.
    read_models: Vec<ReadModel>,
    nodes: Vec<Node>,
    /// The oldest that go on, of all nodes.
    runs: Vec<Run>,
    /// `null` without a broker.
    broker: Option<Broker>,
    database: Database,
}

/// The log in numbers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogNumbers)]
struct Log {
    /// Position of the last event.
    #[schema(value_type = u64)]
    head: Position,
    /// Appends this node answered since its start, and how long they took in all.
    appends: u64,
    append_seconds: f64,
}

/// How far a read model is behind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadModelLag)]
struct ReadModel {
    name: &'static str,
    lag: u64,
    /// Whether it is stuck at an event.
    stuck: bool,
}

/// A process of the installation.
#[derive(Debug, Serialize, ToSchema)]
struct Node {
    node: Uuid,
    started_at: DateTime<Utc>,
    heartbeat_age_seconds: f64,
    /// Whether others leave its runs alone.
    alive: bool,
    /// Runs that it performs.
    runs: i64,
}

/// A run that goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunGoingOn)]
struct Run {
    run: Uuid,
    node: Uuid,
    owner: String,
    surface: String,
    attempt: i32,
    requested_at: DateTime<Utc>,
}

/// How the database is doing.
#[derive(Debug, Serialize, ToSchema)]
struct Database {
    /// `null` when it did not answer in time.
    ping_seconds: Option<f64>,
    /// As of up to 30 seconds ago.
    size_bytes: Option<i64>,
    connections: Connections,
}

/// Connections of this node to the database, the log's own apart.
#[derive(Debug, Serialize, ToSchema)]
struct Connections {
    open: u32,
    idle: u32,
    limit: u32,
}

/// Tells how the installation is doing.
///
/// Cheap enough to be asked for every second.
#[utoipa::path(
    get,
    path = "/system",
    responses((status = 200, description = "How it is doing.", body = Shown)),
)]
async fn system(
    State(app): State<App>,
    caller: Caller,
    Extension(examiner): Extension<Arc<Examiner>>,
) -> Result<Json<Shown>, Error> {
    administrators_only(&caller)?;
    let database = examiner.look(&app.db).await;
    let head = app.head().await?;
    let statuses = app.projections.status().await;
    let listed = nodes::listed(&app.db).await?;
    let load = load_of_nodes(&app.db).await?;
    let runs = performed(&app.db, RUNS).await?;
    let appends = pulse::APPEND_SECONDS.snapshot();
    let read_model = |status: projections::Status| ReadModel {
        name: status.name,
        // Both were read at moments of their own.
        lag: head.0.saturating_sub(status.position.0),
        stuck: status.failure.is_some(),
    };
    Ok(Json(Shown {
        at: Utc::now(),
        version: env!("CARGO_PKG_VERSION"),
        node: app.node,
        uptime_seconds: app.metrics.uptime().as_secs_f64(),
        resident_memory_bytes: metrics::resident_memory(),
        open_streams: app.metrics.open_streams(),
        log: Log { head, appends: appends.count, append_seconds: appends.sum },
        read_models: statuses.into_iter().map(read_model).collect(),
        nodes: listed.iter().map(|node| Node::new(node, &load)).collect(),
        runs: runs.into_iter().map(Run::from).collect(),
        broker: probes::broker(&app),
        database: Database {
            ping_seconds: database.ping.map(|ping| ping.as_secs_f64()),
            size_bytes: database.size,
            connections: Connections {
                open: database.open,
                idle: database.idle,
                limit: database.limit,
            },
        },
    }))
}

impl Node {
    fn new(listed: &nodes::Listed, load: &[Load]) -> Self {
        let own = load.iter().find(|load| load.node == listed.node_id);
        Self {
            node: listed.node_id,
            started_at: listed.started_at,
            heartbeat_age_seconds: listed.silence,
            alive: listed.alive(),
            runs: own.map_or(0, |load| load.runs),
        }
    }
}

impl From<Performed> for Run {
    fn from(run: Performed) -> Self {
        let Performed { run_id, node, owner, surface, attempt, requested_at } = run;
        Self { run: run_id, node, owner, surface, attempt, requested_at }
    }
}

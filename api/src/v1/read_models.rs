//! `/v1/read-models`: how each read model is doing, and rebuilding one, for administrators.

use super::administrators_only;
use crate::{
    app::App,
    core::{Caller, Error, Path},
    openapi::Documented,
};
use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{Kind, Position};
use projections::{Claimed, FoldError, RebuildRow, Status, rebuilds};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(rebuild))
        .tagged("System")
}

/// All read models.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadModels)]
struct Listing {
    /// Position of the last event.
    head: u64,
    read_models: Vec<ReadModel>,
}

/// A read model: tables that are made from the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadModelStatus)]
struct ReadModel {
    name: &'static str,
    /// Its rows reflect everything up to here.
    #[schema(value_type = u64)]
    position: Position,
    /// Positions behind the head.
    lag: u64,
    /// Since its last sign of life.
    heartbeat_age_seconds: f64,
    /// The event it is stuck at.
    failure: Option<Failure>,
    /// Why it waits for the database or the log.
    unavailable: Option<String>,
    /// The last one, on whatever node.
    rebuild: Option<Rebuild>,
}

/// An event that a read model cannot take.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StuckAt)]
struct Failure {
    #[schema(value_type = u64)]
    position: Position,
    r#type: String,
    reason: String,
    attempts: u32,
    /// For how long.
    seconds: u64,
}

/// A rebuild of a read model.
#[derive(Debug, Serialize, ToSchema)]
struct Rebuild {
    state: Stage,
    /// Positions of the log folded in, of those there are to fold in; 0 of 0 before it has begun to.
    done: i64,
    total: i64,
    /// Events applied, once it has succeeded.
    events: Option<i64>,
    /// Why it failed.
    failure: Option<String>,
    /// `null` for the command line.
    started_by: Option<String>,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

/// How far a rebuild has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RebuildStage)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Running,
    Done,
    Failed,
    /// Its process went down. The old rows are as they were.
    Interrupted,
}

/// Lists the read models and how each is doing.
#[utoipa::path(
    get,
    path = "/read-models",
    responses((status = 200, description = "All of them.", body = Listing)),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Listing>, Error> {
    administrators_only(&caller)?;
    let statuses = app.projections.status().await;
    let mut rebuilt = rebuilds(&app.db).await?;
    let head = statuses.iter().map(|status| status.position.0 + status.lag).max().unwrap_or(0);
    let model = |status: Status| {
        let at = rebuilt.iter().position(|row| row.name == status.name);
        ReadModel::new(status, at.map(|at| rebuilt.swap_remove(at)))
    };
    Ok(Json(Listing { head, read_models: statuses.into_iter().map(model).collect() }))
}

/// Gets a read model.
#[utoipa::path(
    get,
    path = "/read-models/{name}",
    params(("name" = String, Path, description = "The read model.")),
    responses((status = 200, description = "How it is doing.", body = ReadModel)),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ReadModel>, Error> {
    administrators_only(&caller)?;
    Ok(Json(found(&app, &name).await?))
}

/// Begins to rebuild a read model.
///
/// It goes on in the background, and the rows that are there are read until it is done. A second one is refused as long as
/// one goes on, on whatever node or by the command line.
#[utoipa::path(
    post,
    path = "/read-models/{name}/rebuild",
    params(("name" = String, Path, description = "The read model.")),
    responses(
        (status = 202, description = "It has begun.", body = ReadModel),
        (status = 409, description = "It goes on already, or too many others do.", body = super::problem::Details<'static>,
            content_type = "application/problem+json"),
    ),
)]
async fn rebuild(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<ReadModel>), Error> {
    administrators_only(&caller)?;
    let claimed = app.projections.claim_rebuild(&name, Some(&caller.user)).await?;
    tracing::info!(read_model = name, by = caller.user.as_str(), "rebuild begins");
    tokio::spawn(perform(app.clone(), name.clone(), claimed));
    Ok((StatusCode::ACCEPTED, Json(found(&app, &name).await?)))
}

/// To its end, or until the server goes down: then it leaves everything as it was.
async fn perform(app: App, name: String, claimed: Claimed) {
    let outcome = tokio::select! {
        outcome = claimed.run(|_| ()) => outcome,
        () = app.draining.cancelled() => {
            tracing::warn!(read_model = name, "the server goes down in the middle of a rebuild");
            return;
        }
    };
    match outcome {
        Ok(rebuilt) => {
            let (events, seconds) = (rebuilt.events, rebuilt.elapsed.as_secs_f64());
            tracing::info!(read_model = name, events, seconds, "rebuilt");
        }
        Err(error) => tracing::error!(read_model = name, %error, "was not rebuilt"),
    }
}

async fn found(app: &App, name: &str) -> Result<ReadModel, Error> {
    let statuses = app.projections.status().await;
    let status = statuses.into_iter().find(|status| status.name == name);
    let status = status.ok_or(Error::NotFound)?;
    let rebuilt = rebuilds(&app.db).await?.into_iter().find(|row| row.name == name);
    Ok(ReadModel::new(status, rebuilt))
}

impl From<FoldError> for Error {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Unknown(_) => Self::NotFound,
            FoldError::Busy | FoldError::Crowded => {
                Self::Refused { kind: Kind::Conflict, message: error.to_string() }
            }
            FoldError::Database(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl ReadModel {
    fn new(status: Status, rebuilt: Option<RebuildRow>) -> Self {
        Self {
            name: status.name,
            position: status.position,
            lag: status.lag,
            heartbeat_age_seconds: status.heartbeat_age.as_secs_f64(),
            failure: status.failure.map(|failure| Failure {
                position: failure.position,
                r#type: failure.kind.into(),
                reason: failure.reason.to_string(),
                attempts: failure.attempts,
                seconds: failure.since.elapsed().as_secs(),
            }),
            unavailable: status.unavailable.map(|reason| reason.to_string()),
            rebuild: rebuilt.map(Rebuild::from),
        }
    }
}

impl From<RebuildRow> for Rebuild {
    fn from(row: RebuildRow) -> Self {
        let state = match (row.running, row.ended_at.is_some(), row.failure.is_some()) {
            (true, ..) => Stage::Running,
            (false, true, false) => Stage::Done,
            (false, true, true) => Stage::Failed,
            (false, false, _) => Stage::Interrupted,
        };
        let RebuildRow { done, total, events, failure, started_by, started_at, ended_at, .. } = row;
        Self { state, done, total, events, failure, started_by, started_at, ended_at }
    }
}

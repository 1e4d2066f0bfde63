//! `/api/jobs`: runs at set times. There are none here, and whoever wants one is told so.

use super::{Fault, Holder, Reply, Result, envelope::Errors};
use crate::{app::App, openapi::Documented};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(app_run)).tagged("Jobs")
}

/// Runs at set times. All lists are empty: there are none here.
#[derive(Serialize, ToSchema)]
struct Jobs {
    scheduled_jobs: Vec<Value>,
    repeatable_jobs: Vec<Value>,
    cron_jobs: Vec<Value>,
}

/// Lists runs at set times, of which there are none.
#[utoipa::path(
    get,
    path = "/api/jobs",
    responses((status = 200, description = "Empty lists.", body = Jobs)),
)]
async fn list(_: Holder) -> Result<Jobs> {
    Ok(Reply::ok(Jobs { scheduled_jobs: vec![], repeatable_jobs: vec![], cron_jobs: vec![] }))
}

/// Refuses to run an app at a set time.
#[utoipa::path(
    post,
    path = "/api/jobs/app_run",
    responses((status = 400, description = "Always: this server has no such runs.", body = Errors)),
)]
async fn app_run(_: Holder) -> Fault {
    Fault::error("Scheduled runs are not supported by this server")
}

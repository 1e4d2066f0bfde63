//! `/api/jobs`: runs at set times. There are none here, and whoever wants one is told so.

use super::{Fault, Holder, Reply, Result};
use crate::app::App;
use axum::{
    Router,
    routing::{get, post},
};
use serde_json::{Value, json};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/jobs", get(list)).route("/api/jobs/app_run", post(app_run))
}

async fn list(_: Holder) -> Result<Value> {
    Ok(Reply::ok(json!({"scheduled_jobs": [], "repeatable_jobs": [], "cron_jobs": []})))
}

async fn app_run(_: Holder) -> Fault {
    Fault::error("Scheduled runs are not supported by this server")
}

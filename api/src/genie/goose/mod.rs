//! `POST /api/goose`: what administrators do, from a closed list. No shell, no files. A wish is read as a whole before
//! anything is done; one that makes sense is an event, with what may be remembered of its parameters.

mod params;
mod people;
mod tail;
mod upkeep;

use super::{Fault, Result, roles::Admin};
use crate::{
    app::App,
    core::{Error, Json},
};
use axum::{Router, extract::State, routing::post};
use domain::{
    ids::OperationId,
    operation::{Command, Operation},
};
use params::Params;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new().route("/api/goose", post(operate))
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, alias = "action")]
    operation: Option<String>,
    #[serde(default)]
    params: Option<Map<String, Value>>,
}

enum Wish {
    People(people::Wish),
    Upkeep(upkeep::Wish),
}

async fn operate(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<Body>,
) -> Result<Value> {
    let Some(operation) = body.operation.filter(|name| !name.is_empty()) else {
        return Err(Fault::invalid("operation is required"));
    };
    let (params, metadata) = (Params(body.params.unwrap_or_default()), caller.metadata());
    let wish = match people::Wish::read(&app, &operation, &params)? {
        Some(wish) => Wish::People(wish),
        None => match upkeep::Wish::read(&operation, &params)? {
            Some(wish) => Wish::Upkeep(wish),
            None => return Err(Fault::invalid(format!("{operation:.60} is no operation"))),
        },
    };
    let id = OperationId(Uuid::now_v7());
    let (name, params, node) = (operation.clone(), params.redacted(), app.node);
    let call = Command::Call { operation: name, params, node };
    app.execute::<Operation>(&id, &call, &metadata).await.map_err(Error::from)?;
    let result = match wish {
        Wish::People(wish) => wish.perform(&app, &metadata).await?,
        Wish::Upkeep(wish) => wish.perform(&app, id, &metadata).await?,
    };
    Ok(axum::Json(json!({
        "ok": true, "success": true, "operation": operation, "result": result,
    })))
}

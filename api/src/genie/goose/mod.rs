//! `POST /api/goose`: what administrators do, from a closed list. No shell, no files. A wish is read as a whole before
//! anything is done; one that makes sense is an event, with what may be remembered of its parameters.

mod params;
mod people;
mod tail;
mod upkeep;

use super::{
    Fault, Result,
    answers::{Done, done},
    roles::Admin,
};
use crate::{
    app::App,
    core::{Error, Json},
    openapi::Documented,
};
use axum::extract::State;
use domain::{
    ids::OperationId,
    operation::{Command, Operation},
};
use params::Params;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(operate)).tagged("Administration")
}

/// What an administrator wants done.
#[derive(Deserialize, ToSchema)]
#[schema(as = Operation)]
struct Body {
    /// `status`, `users.list`, `users.set_tier`, `users.set_status`, `users.erase`, `invites.create`, `skills.reload`,
    /// `queue.drain`, `queue.resume`, `projections.rebuild`, `projections.state` or `audit.tail`; also as `action`.
    #[serde(default, alias = "action")]
    #[schema(required)]
    operation: Option<String>,
    /// What the operation needs to know.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    params: Option<Map<String, Value>>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationResult)]
struct Operated {
    operation: String,
    /// What came of it, by operation.
    #[schema(value_type = Object)]
    result: Value,
}

enum Wish {
    People(people::Wish),
    Upkeep(upkeep::Wish),
}

/// Does what an administrator wants, from a closed list.
#[utoipa::path(
    post,
    path = "/api/goose",
    request_body = Body,
    responses((status = 200, description = "It is done.", body = Done<Operated>)),
)]
async fn operate(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<Body>,
) -> Result<Done<Operated>> {
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
    Ok(done(Operated { operation, result }))
}

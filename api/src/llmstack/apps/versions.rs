//! `/api/apps/{app}/versions`: what the app said before, for those who may change it.

use super::{
    parse,
    shown::{data, iso, open},
    writable,
};
use crate::{
    app::App,
    core::Path,
    llmstack::{Fault, Holder, Reply, Result},
};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    routing::get,
};
use domain::ids::AppId;
use projections::apps::{self, VersionRow};
use serde::Deserialize;
use serde_json::{Value, json};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/apps/{app}/versions", get(list))
        .route("/api/apps/{app}/versions/{version}", get(one))
}

#[derive(Debug, Deserialize)]
struct Which {
    draft: Option<String>,
}

async fn list(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> Result<Vec<Value>> {
    let id = parse(&id)?;
    writable(&app, &holder, id).await?;
    app.settled("apps").await?;
    let versions = apps::versions(&app.db, id).await?;
    let versions = versions.iter().map(|version| shown(id, version, Value::Null));
    Ok(Reply::ok(versions.collect()))
}

async fn one(
    State(app): State<App>,
    holder: Holder,
    Path((id, version)): Path<(String, String)>,
    Query(which): Query<Which>,
) -> Result<Value> {
    let missing = || Fault::Message(StatusCode::NOT_FOUND, "Version not found");
    let id = parse(&id)?;
    let owner = writable(&app, &holder, id).await?.owner;
    let number: u32 = version.parse().map_err(|_| missing())?;
    app.settled("apps").await?;
    let found = apps::version(&app.db, id, number).await?;
    let found = found.filter(|found| match which.draft.as_deref() {
        Some("true" | "True" | "1") => found.draft,
        Some("false" | "False" | "0") => !found.draft,
        _ => true,
    });
    let mut found = found.ok_or_else(missing)?;
    open(&app, owner.as_str(), id, &mut found.definition.0).await?;
    let said = data(&found.definition.0, found.version, true);
    Ok(Reply::ok(shown(id, &found, said)))
}

fn shown(id: AppId, version: &VersionRow, data: Value) -> Value {
    json!({
        "version": version.version,
        "app_uuid": id,
        "data": data,
        "created_at": iso(version.created_at),
        "last_updated_at": iso(version.updated_at),
        "is_draft": version.draft,
        "comment": version.comment,
    })
}

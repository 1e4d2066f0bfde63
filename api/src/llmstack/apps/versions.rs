//! `/api/apps/{app}/versions`: what the app said before, for those who may change it.

use super::{
    parse,
    shown::{Data, data, iso, open},
    writable,
};
use crate::{
    app::App,
    core::{Path, Query},
    llmstack::{
        Fault, Holder, Reply, Result,
        envelope::{Detail, Message},
    },
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use domain::ids::AppId;
use projections::apps::{self, VersionRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(one)).tagged("Versions")
}

/// What an app said.
#[derive(Serialize, ToSchema)]
#[schema(as = AppVersion)]
struct Shown {
    /// Counted from 0.
    version: i64,
    app_uuid: Uuid,
    /// `null` in lists.
    data: Option<Data>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_updated_at: String,
    is_draft: bool,
    comment: String,
}

/// What there is none of.
#[derive(ToSchema)]
#[schema(as = MissingVersion)]
#[serde(untagged)]
#[expect(dead_code, reason = "a shape for the document: one of two others")]
enum Missing<'a> {
    Version(Message<'a>),
    App(Detail<'a>),
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `true` or `false`: only if it is a draft, or none.
    draft: Option<String>,
}

/// Lists the versions of an app, for those who may change it.
#[utoipa::path(
    get,
    path = "/api/apps/{app}/versions",
    params(("app" = Uuid, Path, description = "The app.")),
    responses(
        (status = 200, description = "The versions, the newest first, without `data`.", body = Vec<Shown>),
        (status = 403, description = "No valid token (`detail`), or the caller may run the app and not change it (no body)."),
    ),
)]
async fn list(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> Result<Vec<Shown>> {
    let id = parse(&id)?;
    writable(&app, &holder, id).await?;
    app.settled("apps").await?;
    let versions = apps::versions(&app.db, id).await?;
    let versions = versions.iter().map(|version| shown(id, version, None));
    Ok(Reply::ok(versions.collect()))
}

/// Gets a version of an app, for those who may change it.
#[utoipa::path(
    get,
    path = "/api/apps/{app}/versions/{version}",
    params(
        ("app" = Uuid, Path, description = "The app."),
        ("version" = u32, Path, description = "The version, counted from 0."),
        Which,
    ),
    responses(
        (status = 200, description = "The version.", body = Shown),
        (status = 403, description = "No valid token (`detail`), or the caller may run the app and not change it (no body)."),
        (status = 404, description = "No such version (`message`), or no such app for the caller (`detail`).", body = Missing),
    ),
)]
async fn one(
    State(app): State<App>,
    holder: Holder,
    Path((id, version)): Path<(String, String)>,
    Query(which): Query<Which>,
) -> Result<Shown> {
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
    let said = data(found.definition.0.clone(), found.version, true);
    Ok(Reply::ok(shown(id, &found, Some(said))))
}

fn shown(id: AppId, version: &VersionRow, data: Option<Data>) -> Shown {
    Shown {
        version: version.version,
        app_uuid: id.0,
        data,
        created_at: iso(version.created_at),
        last_updated_at: iso(version.updated_at),
        is_draft: version.draft,
        comment: version.comment.clone(),
    }
}

//! Who may run an app besides its owner, and the apps that others let the caller run.

use super::{Shown, execute, owned, parse, readable, shown, shown_all};
use crate::{
    app::App,
    core::Path,
    llmstack::{Fault, Fields, Holder, Reply, Result, body::number, envelope::Message},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use domain::{
    app::{Audience, Command, Visibility},
    ids::AppId,
};
use projections::apps as read_model;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(shared))
        .routes(routes!(templates))
        .routes(routes!(template))
        .routes(routes!(publish))
        .routes(routes!(unpublish))
        .routes(routes!(published))
        .tagged("Apps")
}

/// Who may run an app.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct Publication {
    /// 0: those who are named; 1: the organization; 2: all who know where; 3: everybody.
    #[serde(deserialize_with = "number")]
    #[schema(default = 3, minimum = 0, maximum = 3)]
    visibility: Option<u64>,
    /// E-mail addresses of those who may run it.
    read_accessible_by: Vec<String>,
    /// E-mail addresses of those who may change it.
    write_accessible_by: Vec<String>,
}

/// Lists apps of others that the caller was named for.
#[utoipa::path(
    get,
    path = "/api/apps/shared",
    responses((status = 200, description = "The apps.", body = Vec<Shown>)),
)]
async fn shared(State(app): State<App>, holder: Holder) -> Result<Vec<Shown>> {
    let rows = match holder.email() {
        Some(email) => read_model::shared_with(&app.db, email).await?,
        None => vec![],
    };
    Ok(Reply::ok(shown_all(&app, rows, &holder).await?))
}

/// Lists apps to begin with. There are none.
#[utoipa::path(
    get,
    path = "/api/apps/templates",
    responses((status = 200, description = "An empty list.", body = Vec<Shown>)),
)]
async fn templates(_: Holder) -> Result<Vec<Shown>> {
    Ok(Reply::ok(vec![]))
}

/// Gets an app to begin with. There are none, so it does not exist.
#[utoipa::path(
    get,
    path = "/api/apps/templates/{slug}",
    params(("slug" = String, Path, description = "The template.")),
    responses(),
)]
async fn template(_: Holder, Path(_): Path<String>) -> Fault {
    Fault::missing("AppTemplate")
}

/// Publishes an app of the caller's, for those who are named.
#[utoipa::path(
    post,
    path = "/api/apps/{app}/publish",
    params(("app" = Uuid, Path, description = "The app.")),
    request_body(content(
        (Publication = "application/json"),
        (Publication = "application/yaml"),
        (Publication = "application/x-www-form-urlencoded"),
        (Publication = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "It is published."),
        (status = 403, description = "No valid token (`detail`), or the app is another's that the caller may run (no body)."),
    ),
)]
async fn publish(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    body: Fields,
) -> std::result::Result<StatusCode, Fault> {
    let id = parse(&id)?;
    owned(&app, &holder, id, StatusCode::FORBIDDEN).await?;
    let wish = body.parse::<Publication>()?;
    let visibility = match wish.visibility {
        None => Visibility::default(),
        Some(number) => Visibility::numbered(number)
            .ok_or_else(|| Fault::error("visibility: a number from 0 (private) to 3 (public)"))?,
    };
    let (readers, writers) = (wish.read_accessible_by, wish.write_accessible_by);
    let audience = Audience { visibility, readers, writers };
    let command = Command::Publish { published: Uuid::new_v4(), audience };
    let position = execute(&app, &holder, id, command).await?;
    app.caught_up("apps", position).await;
    Ok(StatusCode::OK)
}

/// Takes an app of the caller's back from everybody else.
#[utoipa::path(
    post,
    path = "/api/apps/{app}/unpublish",
    params(("app" = Uuid, Path, description = "The app.")),
    responses(
        (status = 200, description = "Nobody else may run it."),
        (status = 403, description = "No valid token (`detail`), or the app is another's that the caller may run (no body)."),
    ),
)]
async fn unpublish(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> std::result::Result<StatusCode, Fault> {
    let id = parse(&id)?;
    owned(&app, &holder, id, StatusCode::FORBIDDEN).await?;
    let position = execute(&app, &holder, id, Command::Unpublish).await?;
    app.caught_up("apps", position).await;
    Ok(StatusCode::OK)
}

/// Gets a published app by its name among those, for whoever may run it.
#[utoipa::path(
    get,
    path = "/api/app/{published}",
    params(("published" = Uuid, Path, description = "The app's `published_uuid`.")),
    responses(
        (status = 200, description = "The app.", body = Shown),
        (status = 404, description = "It does not exist, or not for the caller.", body = Message),
    ),
)]
async fn published(
    State(app): State<App>,
    holder: Holder,
    Path(name): Path<String>,
) -> Result<Shown> {
    let missing = || Fault::Message(StatusCode::NOT_FOUND, "App not found");
    let name = name.parse().map_err(|_| missing())?;
    app.settled("apps").await?;
    let row = read_model::published(&app.db, name).await?.ok_or_else(missing)?;
    if readable(&app, &holder, AppId(row.app_id)).await.is_err() {
        return Err(missing());
    }
    Ok(Reply::ok(shown(&app, row, &holder).await?))
}

//! `/api/apps`: apps as their owners write them.

mod catalogue;
mod publication;
mod shapes;
mod shown;
mod versions;

use super::{Fault, Fields, Holder, Reply, Result, envelope::Message};
use crate::{
    app::App,
    core::{Error, Path, Query},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use commands::{
    apps::{Error as Refused, Written},
    execute::Error as Executed,
};
use domain::{
    app::{self, Audience, Command, Patch, Refusal, Standing},
    ids::AppId,
};
use projections::apps as read_model;
use serde::Deserialize;
use shapes::{AppChange, NewApp};
pub(super) use shown::iso;
use shown::{Listed, Shown, shown, shown_all};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .merge(publication::routes())
        .routes(routes!(one, update, remove))
        .merge(catalogue::routes())
        .tagged("Apps")
        .merge(versions::routes())
}

/// What is said about a version besides its definition.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Saving {
    draft: bool,
    comment: Option<String>,
    is_published: bool,
}

impl Default for Saving {
    fn default() -> Self {
        Self { draft: true, comment: None, is_published: false }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only these keys of every app, separated by commas.
    #[param(example = "uuid,name")]
    fields: Option<String>,
}

/// Lists the caller's apps.
#[utoipa::path(
    get,
    path = "/api/apps",
    params(Wanted),
    responses((status = 200, description = "The apps, the newest first.", body = Vec<Listed>)),
)]
async fn list(
    State(app): State<App>,
    holder: Holder,
    Query(wanted): Query<Wanted>,
) -> Result<Vec<Listed>> {
    let rows = read_model::owned_by(&app.db, &holder.user).await?;
    let apps = shown_all(&app, rows, &holder).await?.into_iter();
    let fields: Option<Vec<&str>> =
        wanted.fields.as_deref().map(|wanted| wanted.split(',').map(str::trim).collect());
    let listed = apps.map(|app| Listed::of(app, fields.as_deref()));
    Ok(Reply::ok(listed.collect::<serde_json::Result<_>>().map_err(unwritten)?))
}

fn unwritten(error: serde_json::Error) -> Fault {
    Error::Internal(error.to_string()).into()
}

/// Makes an app.
///
/// As JSON or YAML; a form holds the same fields, with objects and lists as JSON. What is wrong with the definition is told
/// with its path, and in JSON and YAML with its line. It is a draft unless it says otherwise; its owner can run drafts.
#[utoipa::path(
    post,
    path = "/api/apps",
    request_body(content(
        (NewApp = "application/json"),
        (NewApp = "application/yaml"),
        (NewApp = "application/x-www-form-urlencoded"),
        (NewApp = "multipart/form-data"),
    )),
    responses((status = 201, description = "The app.", body = Shown)),
)]
async fn create(State(app): State<App>, holder: Holder, body: Fields) -> Result<Shown> {
    let (patch, saving) = (Box::new(body.parse::<Patch>()?), body.parse::<Saving>()?);
    let id = AppId(Uuid::new_v4());
    let comment = saving.comment.unwrap_or_else(|| "First version".to_owned());
    let written = Written { patch, draft: saving.draft, comment };
    let (apps, metadata) = (app.apps(), holder.metadata());
    let created = apps.create(id, holder.user.clone(), written, &metadata).await;
    let mut position = created.map_err(|error| refused(error, Some(&body)))?;
    if saving.is_published && !saving.draft {
        let (published, audience) = (Uuid::new_v4(), Audience::default());
        let command = Command::Publish { published, audience };
        position = execute(&app, &holder, id, command).await?;
    }
    app.caught_up("apps", position).await;
    Ok(Reply(StatusCode::CREATED, find(&app, &holder, id).await?))
}

/// Gets an app. Who may not change it sees nothing of how it works.
#[utoipa::path(
    get,
    path = "/api/apps/{app}",
    params(("app" = Uuid, Path, description = "The app.")),
    responses((status = 200, description = "The app.", body = Shown)),
)]
async fn one(State(app): State<App>, holder: Holder, Path(id): Path<String>) -> Result<Shown> {
    let id = parse(&id)?;
    readable(&app, &holder, id).await?;
    app.settled("apps").await?;
    Ok(Reply::ok(find(&app, &holder, id).await?))
}

/// Changes an app.
///
/// What is not named stays; lists are replaced as a whole. A draft is overwritten; after a release, a new version is made.
#[utoipa::path(
    patch,
    path = "/api/apps/{app}",
    params(("app" = Uuid, Path, description = "The app.")),
    request_body(content(
        (AppChange = "application/json"),
        (AppChange = "application/yaml"),
        (AppChange = "application/x-www-form-urlencoded"),
        (AppChange = "multipart/form-data"),
    )),
    responses(
        // As upstream.
        (status = 201, description = "The app, as it is now.", body = Shown),
        (status = 403, description = "No valid token (`detail`), or the caller may run the app and not change it (no body)."),
    ),
)]
async fn update(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    body: Fields,
) -> Result<Shown> {
    let id = parse(&id)?;
    writable(&app, &holder, id).await?;
    let (patch, saving) = (Box::new(body.parse::<Patch>()?), body.parse::<Saving>()?);
    let written =
        Written { patch, draft: saving.draft, comment: saving.comment.unwrap_or_default() };
    let saved = app.apps().save(id, written, &holder.metadata()).await;
    let position = saved.map_err(|error| refused(error, Some(&body)))?;
    app.caught_up("apps", position).await;
    Ok(Reply(StatusCode::CREATED, find(&app, &holder, id).await?))
}

/// Deletes an app of the caller's that is not published.
#[utoipa::path(
    delete,
    path = "/api/apps/{app}",
    params(("app" = Uuid, Path, description = "The app.")),
    responses(
        (status = 200, description = "It is deleted."),
        (status = 400, description = "It is published.", body = Message),
        (status = 404, description = "It does not exist for the caller (`detail`), or is another's that the caller may run (no body)."),
    ),
)]
async fn remove(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> std::result::Result<StatusCode, Fault> {
    let id = parse(&id)?;
    owned(&app, &holder, id, StatusCode::NOT_FOUND).await?;
    let deleted = app.apps().delete(id, &holder.metadata()).await;
    let position = deleted.map_err(|error| refused(error, None))?;
    app.caught_up("apps", position).await;
    Ok(StatusCode::OK)
}

async fn find(app: &App, holder: &Holder, id: AppId) -> std::result::Result<Shown, Fault> {
    let row = read_model::app(&app.db, id).await?.ok_or_else(|| Fault::missing("App"))?;
    shown(app, row, holder).await
}

/// An id in a path; what is none names nothing.
pub(super) fn parse(id: &str) -> std::result::Result<AppId, Fault> {
    id.parse().map_err(|_| Fault::missing("App"))
}

/// The app as it stands, if the caller may run it. Another's is as good as none.
pub(super) async fn readable(
    app: &App,
    holder: &Holder,
    id: AppId,
) -> std::result::Result<Box<Standing>, Fault> {
    let loaded = app.load::<app::App>(&id).await?;
    match loaded.state() {
        app::App::Present(standing) if standing.may_run(&holder.user, holder.email()) => {
            Ok(standing.clone())
        }
        _ => Err(Fault::missing("App")),
    }
}

/// The app as it stands, if the caller may change it.
pub(super) async fn writable(
    app: &App,
    holder: &Holder,
    id: AppId,
) -> std::result::Result<Box<Standing>, Fault> {
    let standing = readable(app, holder, id).await?;
    // Whoever may run it knows that it is there.
    match standing.may_write(&holder.user, holder.email()) {
        true => Ok(standing),
        false => Err(Fault::Silent(StatusCode::FORBIDDEN)),
    }
}

/// Whether the app is the caller's; who may run it and no more is told this status.
async fn owned(
    app: &App,
    holder: &Holder,
    id: AppId,
    otherwise: StatusCode,
) -> std::result::Result<(), Fault> {
    match readable(app, holder, id).await?.owner == holder.user {
        true => Ok(()),
        false => Err(Fault::Silent(otherwise)),
    }
}

async fn execute(
    app: &App,
    holder: &Holder,
    id: AppId,
    command: Command,
) -> std::result::Result<Option<domain::Position>, Fault> {
    let done = app.execute::<app::App>(&id, &command, &holder.metadata()).await;
    done.map(|decided| decided.position).map_err(|error| match error {
        Executed::Refused(refusal) => refused(Refused::Refused(refusal), None),
        Executed::Failed(failure) => failure.into(),
    })
}

/// A refusal; what is wrong with a definition, with its line in this body.
fn refused(error: Refused, body: Option<&Fields>) -> Fault {
    match error {
        Refused::Refused(Refusal::Flawed(flaw)) => match body {
            Some(body) => body.flawed(&flaw.path, &flaw.to_string()),
            None => Fault::error(flaw.to_string()),
        },
        Refused::Refused(Refusal::Unknown | Refusal::Exists) => Fault::missing("App"),
        Refused::Refused(Refusal::Published) => {
            Fault::Message(StatusCode::BAD_REQUEST, "Cannot delete a published app.")
        }
        Refused::Vault(error) => Error::Unavailable(error.to_string()).into(),
        Refused::Failed(failure) => failure.into(),
    }
}

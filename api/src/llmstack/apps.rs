//! `/api/apps`: apps as their owners write them.

mod catalogue;
mod shown;
mod versions;

use super::{Fault, Fields, Holder, Reply, Result};
use crate::{
    app::App,
    core::{Error, Path},
};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{get, post},
};
use commands::{
    apps::{Error as Refused, Written},
    execute::Error as Executed,
};
use domain::{
    app::{self, Audience, Command, Patch, Refusal, Standing, Visibility},
    ids::AppId,
};
use projections::apps as read_model;
use serde::Deserialize;
use serde_json::Value;
pub(super) use shown::iso;
use shown::{Shown, shown, shown_all};
use uuid::Uuid;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/apps", get(list).post(create))
        .route("/api/apps/shared", get(shared))
        .route("/api/apps/templates", get(templates))
        .route("/api/apps/templates/{slug}", get(template))
        .route("/api/apps/{app}", get(one).patch(update).delete(remove))
        .route("/api/apps/{app}/publish", post(publish))
        .route("/api/apps/{app}/unpublish", post(unpublish))
        .route("/api/app/{published}", get(published))
        .merge(versions::routes())
        .merge(catalogue::routes())
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

#[derive(Debug, Deserialize)]
struct Wanted {
    fields: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Publication {
    visibility: Option<u64>,
    read_accessible_by: Vec<String>,
    write_accessible_by: Vec<String>,
}

async fn list(
    State(app): State<App>,
    holder: Holder,
    Query(wanted): Query<Wanted>,
) -> Result<Vec<Value>> {
    let rows = read_model::owned_by(&app.db, &holder.user).await?;
    let mut apps = shown_all(&app, rows, &holder).await?;
    if let Some(wanted) = wanted.fields {
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
        for fields in apps.iter_mut().filter_map(Value::as_object_mut) {
            fields.retain(|key, _| wanted.contains(&key.as_str()));
        }
    }
    Ok(Reply::ok(apps))
}

async fn create(State(app): State<App>, holder: Holder, body: Fields) -> Result<Value> {
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

async fn one(State(app): State<App>, holder: Holder, Path(id): Path<String>) -> Result<Value> {
    let id = parse(&id)?;
    readable(&app, &holder, id).await?;
    app.settled("apps").await?;
    Ok(Reply::ok(find(&app, &holder, id).await?))
}

/// As upstream, a changed app is 201.
async fn update(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    body: Fields,
) -> Result<Value> {
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

/// A published app by its name among those, for whoever may run it.
async fn published(
    State(app): State<App>,
    holder: Holder,
    Path(name): Path<String>,
) -> Result<Value> {
    let missing = || Fault::Message(StatusCode::NOT_FOUND, "App not found");
    let name = name.parse().map_err(|_| missing())?;
    app.settled("apps").await?;
    let row = read_model::published(&app.db, name).await?.ok_or_else(missing)?;
    if readable(&app, &holder, AppId(row.app_id)).await.is_err() {
        return Err(missing());
    }
    Ok(Reply::ok(shown(&app, row, &holder).await?))
}

async fn shared(State(app): State<App>, holder: Holder) -> Result<Vec<Value>> {
    let rows = match holder.email() {
        Some(email) => read_model::shared_with(&app.db, email).await?,
        None => vec![],
    };
    Ok(Reply::ok(shown_all(&app, rows, &holder).await?))
}

/// Apps to begin with; there are none.
async fn templates(_: Holder) -> Result<Vec<Value>> {
    Ok(Reply::ok(vec![]))
}

async fn template(_: Holder, Path(_): Path<String>) -> Fault {
    Fault::missing("AppTemplate")
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

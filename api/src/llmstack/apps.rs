//! `/api/apps`: apps as their owners write them.

mod catalogue;
mod shown;
mod versions;

use super::{Fault, Fields, Holder, Reply, Result};
use crate::{app::App, core::Path};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{get, post},
};
use commands::execute::Error as Executed;
use domain::{
    app::{self, Audience, Command, Patch, Refusal, Standing, Visibility},
    ids::AppId,
};
use projections::apps as read_model;
use serde::Deserialize;
use serde_json::Value;
pub(super) use shown::iso;
use shown::{Shown, shown};
use uuid::Uuid;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/apps", get(list).post(create))
        .route("/api/apps/shared", get(shared))
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
    let mut apps: Vec<Value> = rows.into_iter().map(|row| shown(row, &holder)).collect();
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
    let owner = holder.user.clone();
    let comment = saving.comment.unwrap_or_else(|| "First version".to_owned());
    let command = Command::Create { owner, patch, draft: saving.draft, comment };
    let mut position = execute(&app, &holder, id, command, Some(&body)).await?;
    if saving.is_published && !saving.draft {
        let (published, audience) = (Uuid::new_v4(), Audience::default());
        let command = Command::Publish { published, audience };
        position = execute(&app, &holder, id, command, None).await?;
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
    let comment = saving.comment.unwrap_or_default();
    let command = Command::Save { patch, draft: saving.draft, comment };
    let position = execute(&app, &holder, id, command, Some(&body)).await?;
    app.caught_up("apps", position).await;
    Ok(Reply(StatusCode::CREATED, find(&app, &holder, id).await?))
}

async fn remove(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> std::result::Result<StatusCode, Fault> {
    let id = parse(&id)?;
    owned(&app, &holder, id).await?;
    let position = execute(&app, &holder, id, Command::Delete, None).await?;
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
    owned(&app, &holder, id).await?;
    let wish = body.parse::<Publication>()?;
    let visibility = match wish.visibility {
        None => Visibility::default(),
        Some(number) => Visibility::numbered(number)
            .ok_or_else(|| Fault::error("visibility: a number from 0 (private) to 3 (public)"))?,
    };
    let (readers, writers) = (wish.read_accessible_by, wish.write_accessible_by);
    let audience = Audience { visibility, readers, writers };
    let command = Command::Publish { published: Uuid::new_v4(), audience };
    let position = execute(&app, &holder, id, command, None).await?;
    app.caught_up("apps", position).await;
    Ok(StatusCode::OK)
}

async fn unpublish(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> std::result::Result<StatusCode, Fault> {
    let id = parse(&id)?;
    owned(&app, &holder, id).await?;
    let position = execute(&app, &holder, id, Command::Unpublish, None).await?;
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
    Ok(Reply::ok(shown(row, &holder)))
}

async fn shared(State(app): State<App>, holder: Holder) -> Result<Vec<Value>> {
    let rows = match holder.email() {
        Some(email) => read_model::shared_with(&app.db, email).await?,
        None => vec![],
    };
    Ok(Reply::ok(rows.into_iter().map(|row| shown(row, &holder)).collect()))
}

async fn find(app: &App, holder: &Holder, id: AppId) -> std::result::Result<Shown, Fault> {
    let row = read_model::app(&app.db, id).await?.ok_or_else(|| Fault::missing("App"))?;
    Ok(shown(row, holder))
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

async fn writable(app: &App, holder: &Holder, id: AppId) -> std::result::Result<(), Fault> {
    let standing = readable(app, holder, id).await?;
    // Whoever may run it knows that it is there.
    match standing.may_write(&holder.user, holder.email()) {
        true => Ok(()),
        false => Err(crate::core::Error::Forbidden.into()),
    }
}

async fn owned(app: &App, holder: &Holder, id: AppId) -> std::result::Result<(), Fault> {
    match readable(app, holder, id).await?.owner == holder.user {
        true => Ok(()),
        false => Err(crate::core::Error::Forbidden.into()),
    }
}

async fn execute(
    app: &App,
    holder: &Holder,
    id: AppId,
    command: Command,
    body: Option<&Fields>,
) -> std::result::Result<Option<domain::Position>, Fault> {
    match app.execute::<app::App>(&id, &command, &holder.metadata()).await {
        Ok(decided) => Ok(decided.position),
        Err(Executed::Refused(Refusal::Flawed(flaw))) => Err(match body {
            Some(body) => body.flawed(&flaw.path, &flaw.to_string()),
            None => Fault::error(flaw.to_string()),
        }),
        Err(Executed::Refused(Refusal::Unknown | Refusal::Exists)) => Err(Fault::missing("App")),
        Err(Executed::Refused(Refusal::Published)) => {
            Err(Fault::Message(StatusCode::BAD_REQUEST, "Cannot delete a published app."))
        }
        Err(Executed::Failed(failure)) => Err(failure.into()),
    }
}

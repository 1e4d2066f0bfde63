//! Reading documents again: one, those of an upload, all.

use super::{Done, Meant, authority, owner_of, success};
use crate::{
    app::App,
    core::{Caller, Json, Path},
    sage::{Fault, Reply, Result, envelope::Replied},
};
use axum::extract::State;
use commands::execute;
use domain::{
    Position,
    document::{Command, Document},
    ids::{DocumentId, KnowledgeBaseId},
};
use futures::{StreamExt, TryStreamExt, stream};
use projections::documents as read_model;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Documents that are asked for at once.
const AT_ONCE: usize = 16;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(all)).routes(routes!(task)).routes(routes!(one))
}

/// Which upload into which knowledge base is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UploadMeant)]
struct TaskBody {
    kdb_id: String,
    task_id: String,
}

/// Has all documents of a knowledge base read again.
#[utoipa::path(
    post,
    path = "/api/knowledge-base/redo_all",
    request_body = Meant,
    responses((status = 200, description = "It worked.", body = Replied<Done>)),
)]
async fn all(State(app): State<App>, caller: Caller, Json(body): Json<Meant>) -> Result<Done> {
    several(&app, &caller, KnowledgeBaseId(body.kdb_id), None).await
}

/// Has all documents of an upload read again.
#[utoipa::path(
    post,
    path = "/api/knowledge-base/doc/task_redo",
    request_body = TaskBody,
    responses((status = 200, description = "It worked.", body = Replied<Done>)),
)]
async fn task(State(app): State<App>, caller: Caller, Json(body): Json<TaskBody>) -> Result<Done> {
    let task = body.task_id.replace('\0', "");
    several(&app, &caller, KnowledgeBaseId(body.kdb_id), Some(&task)).await
}

async fn several(
    app: &App,
    caller: &Caller,
    id: KnowledgeBaseId,
    task: Option<&str>,
) -> Result<Done> {
    let owner = owner_of(app, caller, &id).await?;
    app.settled("documents").await?;
    let documents = read_model::of(&app.db, &id, task).await?;
    let redone = stream::iter(documents.into_iter().map(|id| redo(app, caller, id)));
    let last = redone
        .buffer_unordered(AT_ONCE)
        .try_fold(None, async |last, (position, _)| Ok(position.max(last)));
    app.caught_up("documents", last.await?).await;
    Ok(Reply(success(), Done::of(owner)))
}

/// Has a document read again. One that is not there is no failure.
#[utoipa::path(
    put,
    path = "/api/knowledge-base/doc/redo/{doc_id}",
    params(("doc_id" = String, Path, description = "The document.")),
    responses((status = 200, description = "It worked.", body = Replied<Done>)),
)]
async fn one(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Done> {
    let id = DocumentId(id.replace('\0', ""));
    app.settled("documents").await?;
    let (position, owner) = match read_model::get(&app.db, &id).await? {
        Some(_) => redo(&app, &caller, id).await?,
        None => (None, String::new()),
    };
    app.caught_up("documents", position).await;
    Ok(Reply(success(), Done::of(owner)))
}

/// Asks for one document to be read again. One that is not there for the caller is no failure, and has no owner: so the
/// reference's server answers.
async fn redo(
    app: &App,
    caller: &Caller,
    id: DocumentId,
) -> std::result::Result<(Option<Position>, String), Fault> {
    let command = Command::Reread { by: authority(caller) };
    match app.execute::<Document>(&id, &command, &caller.metadata()).await {
        Ok(decided) => {
            let owner = decided.state.file.map_or_else(String::new, |file| file.owner.0);
            Ok((decided.position, owner))
        }
        Err(execute::Error::Refused(_)) => Ok((None, String::new())),
        Err(execute::Error::Failed(failure)) => Err(failure.into()),
    }
}

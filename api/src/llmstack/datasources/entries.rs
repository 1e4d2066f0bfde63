//! Entries of datasources: adding them, looking at them, taking them out.

use super::{
    Own, authority, incoming, own, parse, settled,
    shapes::{EntryFields, EntryForm, NewEntry},
    shown::{self, ShownEntry},
    text,
};
use crate::{
    app::App,
    core::Path,
    intake::{self, Delivery, NotTaken},
    llmstack::{
        Fault, Holder, Reply, Result,
        body::{Fields, Form},
    },
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use bytes::Bytes;
use commands::execute::Error as Executed;
use domain::{
    document::{Command, Document, Stage},
    ids::{DocumentId, KnowledgeBaseId},
    intake::{File, Twins},
};
use futures::stream;
use incoming::Draft;
use projections::datasources::{self as read_model, Entry, Wanted};
use serde::Serialize;
use std::{convert::Infallible, time::Duration};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// What is larger is read in the background.
const AT_ONCE: u64 = 1 << 20;
/// How long an answer waits for entries to be read.
const PATIENCE: Duration = Duration::from_secs(30);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, add))
        .also("/api/datasources/{datasource}/add_entry", routes!(add))
        .routes(routes!(add_later))
        .routes(routes!(remove_from))
        .routes(routes!(all))
        .routes(routes!(one, remove))
        .merge(text::routes())
        .routes(routes!(resync))
        .tagged("Entries")
}

/// Entries that were added.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedEntries)]
struct Added {
    /// Always `success`.
    status: &'static str,
    entries: Vec<ShownEntry>,
}

/// Entries that are being added.
#[derive(Serialize, ToSchema)]
#[schema(as = EntryJob)]
struct Job {
    #[schema(value_type = Uuid)]
    job_id: String,
}

/// Lists the entries of a datasource.
#[utoipa::path(
    get,
    path = "/api/datasources/{datasource}/entries",
    params(("datasource" = Uuid, Path, description = "The datasource.")),
    responses((status = 200, description = "The entries.", body = Vec<ShownEntry>)),
)]
async fn list(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> Result<Vec<ShownEntry>> {
    let Own { id, .. } = own(&app, &holder, &id).await?;
    settled(&app).await?;
    let wanted = Wanted { datasource: Some(&id), ..of(&holder) };
    Ok(Reply::ok(shown_entries(&app, &holder, wanted).await?))
}

/// Adds entries to a datasource, all or none.
///
/// What is small is read before the answer; whatever takes longer is answered as `PROCESSING`.
#[utoipa::path(
    post,
    path = "/api/datasources/{datasource}/entries",
    params(("datasource" = Uuid, Path, description = "The datasource.")),
    request_body(content(
        (NewEntry = "application/json"),
        (EntryFields = "application/x-www-form-urlencoded"),
        (EntryForm = "multipart/form-data"),
    )),
    responses((status = 200, description = "The entries.", body = Added)),
)]
async fn add(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    Form(body): Form,
) -> Result<Added> {
    let own = own(&app, &holder, &id).await?;
    let task = take(&app, &holder, &own, body, Twins::Keep, Some(PATIENCE)).await?;
    let entries = shown_entries(&app, &holder, came(&holder, &task)).await?;
    Ok(Reply::ok(Added { status: "success", entries }))
}

/// Adds entries to a datasource, all or none, and reads them later.
#[utoipa::path(
    post,
    path = "/api/datasources/{datasource}/add_entry_async",
    params(("datasource" = Uuid, Path, description = "The datasource.")),
    request_body(content(
        (NewEntry = "application/json"),
        (EntryFields = "application/x-www-form-urlencoded"),
        (EntryForm = "multipart/form-data"),
    )),
    responses((status = 202, description = "They are taken.", body = Job)),
)]
async fn add_later(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    Form(body): Form,
) -> Result<Job> {
    let own = own(&app, &holder, &id).await?;
    let task = take(&app, &holder, &own, body, Twins::Keep, None).await?;
    Ok(Reply(StatusCode::ACCEPTED, Job { job_id: shown::uuid(&task) }))
}

/// Deletes an entry of a datasource.
#[utoipa::path(
    delete,
    path = "/api/datasources/{datasource}/entries/{entry}",
    params(
        ("datasource" = Uuid, Path, description = "The datasource."),
        ("entry" = Uuid, Path, description = "The entry."),
    ),
    responses((status = 202, description = "It is deleted.")),
)]
async fn remove_from(
    State(app): State<App>,
    holder: Holder,
    Path((id, entry)): Path<(String, String)>,
) -> std::result::Result<StatusCode, Fault> {
    let Own { id, .. } = own(&app, &holder, &id).await?;
    let (entry, datasource) = own_entry(&app, &holder, &entry).await?;
    match datasource == id {
        true => delete_entry(&app, &holder, &entry).await,
        false => Err(no_entry()),
    }
}

/// Lists the entries of all datasources of the caller's.
#[utoipa::path(
    get,
    path = "/api/datasource_entries",
    responses((status = 200, description = "The entries.", body = Vec<ShownEntry>)),
)]
async fn all(State(app): State<App>, holder: Holder) -> Result<Vec<ShownEntry>> {
    settled(&app).await?;
    Ok(Reply::ok(shown_entries(&app, &holder, of(&holder)).await?))
}

/// Gets an entry.
#[utoipa::path(
    get,
    path = "/api/datasource_entries/{entry}",
    params(("entry" = Uuid, Path, description = "The entry.")),
    responses((status = 200, description = "The entry.", body = ShownEntry)),
)]
async fn one(
    State(app): State<App>,
    holder: Holder,
    Path(entry): Path<String>,
) -> Result<ShownEntry> {
    let (entry, _) = own_entry(&app, &holder, &entry).await?;
    settled(&app).await?;
    Ok(Reply::ok(find(&app, &holder, &entry).await?))
}

/// Deletes an entry.
#[utoipa::path(
    delete,
    path = "/api/datasource_entries/{entry}",
    params(("entry" = Uuid, Path, description = "The entry.")),
    responses((status = 202, description = "It is deleted.")),
)]
async fn remove(
    State(app): State<App>,
    holder: Holder,
    Path(entry): Path<String>,
) -> std::result::Result<StatusCode, Fault> {
    let (entry, _) = own_entry(&app, &holder, &entry).await?;
    delete_entry(&app, &holder, &entry).await
}

/// Reads an entry again; a page is fetched anew. What is found of it stays until then.
#[utoipa::path(
    post,
    path = "/api/datasource_entries/{entry}/resync",
    params(("entry" = Uuid, Path, description = "The entry.")),
    responses((status = 200, description = "The entry, as it is by now.", body = ShownEntry)),
)]
async fn resync(
    State(app): State<App>,
    holder: Holder,
    Path(entry): Path<String>,
) -> Result<ShownEntry> {
    let (entry, _) = own_entry(&app, &holder, &entry).await?;
    let before = app.head().await?;
    let position =
        execute(&app, &holder, &entry, Command::Reread { by: authority(&holder) }).await?;
    if position.is_some() {
        intake::read(&app, before, std::slice::from_ref(&entry), PATIENCE).await;
    }
    settled(&app).await?;
    Ok(Reply::ok(find(&app, &holder, &entry).await?))
}

/// Takes the entries of a body, all or none, and waits for those that are read soon; the id under which they came.
pub(super) async fn take(
    app: &App,
    holder: &Holder,
    own: &Own,
    body: Fields,
    twins: Twins,
    patience: Option<Duration>,
) -> std::result::Result<String, Fault> {
    let kind = own.kind;
    let drafts = tokio::task::spawn_blocking(move || incoming::drafts(kind, &body)).await;
    let drafts = drafts.map_err(|_| Fault::bad_body("The body cannot be read."))??;
    let mut files = Vec::with_capacity(drafts.len());
    for draft in drafts {
        files.push(kept(app, draft).await?);
    }
    let documents: Vec<DocumentId> = files.iter().map(|file| file.document.clone()).collect();
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    let before = app.head().await?;
    let (knowledge_base, owner) = (own.id.clone(), holder.user.clone());
    let delivery = Delivery { knowledge_base, owner, files, twins };
    let task = intake::accept(app, delivery, &holder.metadata()).await.map_err(refused)?;
    if let Some(patience) = patience.filter(|_| bytes <= AT_ONCE) {
        intake::read(app, before, &documents, patience).await;
    }
    Ok(task)
}

/// The file that a draft is, in the store.
async fn kept(app: &App, draft: Draft) -> std::result::Result<File, Fault> {
    let Draft { name, bytes, media_type, metadata, origin } = draft;
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))]);
    let blob = app.library.blobs.put(body, u64::MAX).await;
    let blob = blob.map_err(|error| crate::core::Error::Unavailable(error.to_string()))?;
    let document = DocumentId(Uuid::new_v4().simple().to_string());
    Ok(File { document, name, blob: blob.hash, size: blob.size, media_type, metadata, origin })
}

fn refused(refused: NotTaken) -> Fault {
    match refused {
        NotTaken::Refused(refusal) => Fault::error(refusal.to_string()),
        NotTaken::NoQuestions { reason, .. } => Fault::error(reason),
        NotTaken::Failed(error) => error.into(),
    }
}

fn no_entry() -> Fault {
    Fault::missing("DataSourceEntry")
}

/// Those of the caller's that came together.
pub(super) fn came<'a>(holder: &'a Holder, task: &'a str) -> Wanted<'a> {
    Wanted { task: Some(task), ..of(holder) }
}

/// All entries of the caller.
fn of(holder: &Holder) -> Wanted<'_> {
    Wanted { owner: &holder.user, datasource: None, entry: None, task: None }
}

pub(super) async fn shown_entries(
    app: &App,
    holder: &Holder,
    wanted: Wanted<'_>,
) -> std::result::Result<Vec<ShownEntry>, Fault> {
    let entries = read_model::entries(&app.db, wanted).await?;
    let datasources = read_model::owned_by(&app.db, &holder.user, wanted.datasource).await?;
    let shelf = |entry: &Entry| datasources.iter().find(|row| row.id == entry.knowledge_base);
    let entry = |entry: &Entry| {
        let datasource = shelf(entry).map(|row| shown::datasource(row, holder));
        shown::entry(entry, datasource)
    };
    Ok(entries.iter().map(entry).collect())
}

async fn find(
    app: &App,
    holder: &Holder,
    entry: &DocumentId,
) -> std::result::Result<ShownEntry, Fault> {
    let wanted = Wanted { entry: Some(entry), ..of(holder) };
    shown_entries(app, holder, wanted).await?.pop().ok_or_else(no_entry)
}

/// The entry and its datasource, from the log, if both are the caller's. Another's is as good as none.
pub(super) async fn own_entry(
    app: &App,
    holder: &Holder,
    id: &str,
) -> std::result::Result<(DocumentId, KnowledgeBaseId), Fault> {
    let id = DocumentId(parse(id).ok_or_else(no_entry)?);
    let loaded = app.load::<Document>(&id).await?;
    let document = loaded.state();
    let file = document.file.as_ref().filter(|_| document.stage != Stage::Deleted);
    let file = file.filter(|file| file.owner == holder.user).ok_or_else(no_entry)?;
    let datasource = own(app, holder, file.knowledge_base.as_str()).await;
    match datasource {
        Ok(own) => Ok((id, own.id)),
        Err(Fault::Detail(StatusCode::NOT_FOUND, _)) => Err(no_entry()),
        Err(other) => Err(other),
    }
}

async fn delete_entry(
    app: &App,
    holder: &Holder,
    entry: &DocumentId,
) -> std::result::Result<StatusCode, Fault> {
    let position = execute(app, holder, entry, Command::Delete { by: authority(holder) }).await?;
    intake::forgotten(app, position).await;
    Ok(StatusCode::ACCEPTED)
}

async fn execute(
    app: &App,
    holder: &Holder,
    entry: &DocumentId,
    command: Command,
) -> std::result::Result<Option<domain::Position>, Fault> {
    match app.execute::<Document>(entry, &command, &holder.metadata()).await {
        Ok(decided) => Ok(decided.position),
        Err(Executed::Refused(_)) => Err(no_entry()),
        Err(Executed::Failed(failure)) => Err(failure.into()),
    }
}

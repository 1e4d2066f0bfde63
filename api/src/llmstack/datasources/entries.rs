//! Entries of datasources: adding them, looking at them, taking them out.

use super::{Own, authority, incoming, own, parse, settled, shown};
use crate::{
    app::App,
    core::Path,
    intake::{self, Delivery, NotTaken},
    llmstack::{
        Fault, Holder, Reply, Result,
        body::{Fields, Form},
    },
};
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post},
};
use bytes::Bytes;
use commands::execute::Error as Executed;
use domain::{
    document::{Command, Document, Stage},
    ids::{DocumentId, KnowledgeBaseId},
    intake::{File, Twins},
};
use futures::stream;
use incoming::Draft;
use projections::datasources::{self as read_model, Chunk, Entry, Wanted};
use serde_json::{Map, Value, json};
use std::{convert::Infallible, time::Duration};
use uuid::Uuid;

/// What is larger is read in the background.
const AT_ONCE: u64 = 1 << 20;
/// How long an answer waits for entries to be read.
const PATIENCE: Duration = Duration::from_secs(30);
/// Passages that are shown of an entry.
const SHOWN: i64 = 20;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/datasources/{datasource}/entries", get(list).post(add))
        .route("/api/datasources/{datasource}/add_entry", post(add))
        .route("/api/datasources/{datasource}/add_entry_async", post(add_later))
        .route("/api/datasources/{datasource}/entries/{entry}", delete(remove_from))
        .route("/api/datasource_entries", get(all))
        .route("/api/datasource_entries/{entry}", get(one).delete(remove))
        .route("/api/datasource_entries/{entry}/text_content", get(text_content))
        .route("/api/datasource_entries/{entry}/resync", post(resync))
}

async fn list(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> Result<Vec<Value>> {
    let Own { id, .. } = own(&app, &holder, &id).await?;
    settled(&app).await?;
    let wanted = Wanted { datasource: Some(&id), ..of(&holder) };
    Ok(Reply::ok(shown_entries(&app, &holder, wanted).await?))
}

async fn add(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    Form(body): Form,
) -> Result<Value> {
    let own = own(&app, &holder, &id).await?;
    let task = take(&app, &holder, &own, body, Twins::Keep, Some(PATIENCE)).await?;
    let entries = shown_entries(&app, &holder, came(&holder, &task)).await?;
    Ok(Reply::ok(json!({"status": "success", "entries": entries})))
}

async fn add_later(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    Form(body): Form,
) -> Result<Value> {
    let own = own(&app, &holder, &id).await?;
    let task = take(&app, &holder, &own, body, Twins::Keep, None).await?;
    Ok(Reply(StatusCode::ACCEPTED, json!({"job_id": shown::uuid(&task)})))
}

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

async fn all(State(app): State<App>, holder: Holder) -> Result<Vec<Value>> {
    settled(&app).await?;
    Ok(Reply::ok(shown_entries(&app, &holder, of(&holder)).await?))
}

async fn one(State(app): State<App>, holder: Holder, Path(entry): Path<String>) -> Result<Value> {
    let (entry, _) = own_entry(&app, &holder, &entry).await?;
    settled(&app).await?;
    Ok(Reply::ok(find(&app, &holder, &entry).await?))
}

async fn remove(
    State(app): State<App>,
    holder: Holder,
    Path(entry): Path<String>,
) -> std::result::Result<StatusCode, Fault> {
    let (entry, _) = own_entry(&app, &holder, &entry).await?;
    delete_entry(&app, &holder, &entry).await
}

async fn text_content(
    State(app): State<App>,
    holder: Holder,
    Path(entry): Path<String>,
) -> Result<Value> {
    let (entry, _) = own_entry(&app, &holder, &entry).await?;
    settled(&app).await?;
    let content = joined(read_model::chunks(&app.db, &entry, SHOWN).await?);
    let said = read_model::metadata(&app.db, std::slice::from_ref(&entry)).await?;
    let said = said.iter().flat_map(|(_, labels)| &labels.0);
    let metadata: Map<String, Value> =
        said.map(|(key, label)| (key.clone(), shown::value(label))).collect();
    Ok(Reply::ok(json!({"content": content, "metadata": metadata})))
}

/// Reads an entry again; a page is fetched anew. What is found of it stays until then.
async fn resync(
    State(app): State<App>,
    holder: Holder,
    Path(entry): Path<String>,
) -> Result<Value> {
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
) -> std::result::Result<Vec<Value>, Fault> {
    let entries = read_model::entries(&app.db, wanted).await?;
    let datasources = read_model::owned_by(&app.db, &holder.user, wanted.datasource).await?;
    let shelf = |entry: &Entry| datasources.iter().find(|row| row.id == entry.knowledge_base);
    let entry = |entry: &Entry| {
        let datasource = shelf(entry).map(|row| shown::datasource(row, holder));
        shown::entry(entry, &datasource.unwrap_or_default())
    };
    Ok(entries.iter().map(entry).collect())
}

async fn find(app: &App, holder: &Holder, entry: &DocumentId) -> std::result::Result<Value, Fault> {
    let wanted = Wanted { entry: Some(entry), ..of(holder) };
    shown_entries(app, holder, wanted).await?.pop().ok_or_else(no_entry)
}

/// The entry and its datasource, from the log, if both are the caller's. Another's is as good as none.
async fn own_entry(
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

/// Passages one after the other: what two have in common is said once.
fn joined(chunks: Vec<Chunk>) -> String {
    let mut content = String::new();
    let mut end = 0;
    for Chunk { text, starts, ends } in chunks {
        let known = usize::try_from(end - starts).unwrap_or(0);
        if starts > end && !content.is_empty() {
            content.push('\n');
        }
        content.push_str(text.get(known..).unwrap_or_default());
        end = end.max(ends);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passages_have_in_common_is_said_once() {
        let chunk = |text: &str, starts| {
            let ends = starts + i64::try_from(text.len()).unwrap_or_default();
            Chunk { text: text.to_owned(), starts, ends }
        };
        assert_eq!(joined(vec![chunk("One two", 0), chunk("two three", 4)]), "One two three");
        assert_eq!(joined(vec![chunk("One", 2), chunk("two", 7)]), "One\ntwo");
        assert_eq!(joined(vec![]), "");
    }
}

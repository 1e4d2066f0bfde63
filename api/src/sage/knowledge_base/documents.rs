//! Documents of a knowledge base: upload, listing, progress, deletion.

use super::{
    Done, Listing, authority, first, incoming, offset, owner_of, reasons, success, twenty,
};
use crate::{
    app::App,
    core::{Caller, Error, Path, Problem, Query},
    sage::{Fault, Reply, Result, conversations::iso, envelope::Replied, text},
};
use axum::extract::{RawQuery, State};
use commands::execute;
use domain::{
    document::{Command, Document},
    ids::{DocumentId, KnowledgeBaseId, UserId},
    knowledge_base::QUESTIONS,
};
use projections::documents::{self as read_model, Filter, Row};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(info))
        .routes(routes!(incoming::add_by_files))
        .routes(routes!(remove))
        .routes(routes!(progress))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// The knowledge base.
    kdb_id: String,
    /// Part of the name.
    #[serde(default)]
    query_name: String,
    /// Those of one upload.
    #[serde(default)]
    task_id: String,
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 2_147_483_647)]
    page_no: i64,
    #[serde(default = "twenty")]
    #[param(minimum = 1, maximum = 1_000)]
    page_size: i64,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ProgressQuery {
    /// The knowledge base.
    kdb_id: String,
    /// The upload.
    task_id: String,
}

/// A document of a knowledge base.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentItem)]
struct Item {
    id: String,
    doc_name: String,
    /// 0 waits, 1 is being read, 2 can be searched, 3 failed.
    status: i16,
    create_time: String,
    metadata: Metadata,
    /// The upload it came with.
    task_id: String,
}

/// A document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Document)]
struct Info {
    id: String,
    /// `file`, `qa` or `eml`.
    #[serde(rename = "type")]
    kind: &'static str,
    data_name: String,
    /// 0 waits, 1 is being read, 2 can be searched, 3 failed.
    status: i16,
    create_time: String,
    metadata: Metadata,
    /// The upload it came with.
    task_id: String,
    /// Its owner.
    #[serde(rename = "user_id")]
    user_id: String,
}

/// What is known of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentMetadata)]
struct Metadata {
    /// Bytes.
    size: i64,
    media_type: String,
    /// Pieces in which it can be found.
    passages: i32,
    /// Bytes of its text.
    text_bytes: i64,
    /// Digest of its text; null before it was read.
    text_sha256: Option<String>,
    /// How often it was tried to read it.
    attempts: i32,
    /// Why it cannot be searched, in the language of the request. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How many documents of an upload are how far.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UploadProgress)]
struct Progress {
    success: i64,
    fail: i64,
    in_progress: i64,
    waiting: i64,
    total: i64,
    /// Percent that can be searched, rounded down.
    task_process: f64,
    /// Owner of the knowledge base.
    #[serde(rename = "user_id")]
    #[schema(value_type = String)]
    user_id: UserId,
}

/// Lists the documents of a knowledge base, the newest first.
#[utoipa::path(
    get,
    path = "/api/knowledge-base/doc/list",
    params(
        ListQuery,
        ("query_status" = Option<Vec<i16>>, Query, description = "Statuses: 0 waits, 1 is being read, 2 can be searched, 3 failed."),
    ),
    responses((status = 200, description = "The page.", body = Replied<Listing<Item>>)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Listing<Item>> {
    let status = statuses(raw.as_deref().unwrap_or_default())?;
    let offset = offset("page_no", query.page_no, query.page_size)?;
    let knowledge_base = KnowledgeBaseId(query.kdb_id);
    let owner = owner_of(&app, &caller, &knowledge_base).await?;
    if query.query_name.contains('\0') || query.task_id.contains('\0') {
        return Ok(Reply(success(), Listing { list: Vec::new(), total: 0, user_id: owner.0 }));
    }
    let filter = Filter {
        knowledge_base: &knowledge_base,
        name: &query.query_name,
        status: &status,
        task: &query.task_id,
    };
    let (rows, total) = read_model::listed(&app.db, filter, query.page_size, offset).await?;
    let list = rows.into_iter().map(Item::from).collect();
    Ok(Reply(success(), Listing { list, total, user_id: owner.0 }))
}

/// Gets a document; null if there is none.
#[utoipa::path(
    get,
    path = "/api/knowledge-base/doc/info/{doc_id}",
    params(("doc_id" = String, Path, description = "The document.")),
    responses((status = 200, description = "The document.", body = Replied<Option<Info>>)),
)]
async fn info(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Option<Info>> {
    let found = match id.contains('\0') {
        true => None,
        false => read_model::get(&app.db, &DocumentId(id)).await?,
    };
    let own = found.filter(|row| caller.sees(&row.owner));
    Ok(Reply(success(), own.map(Info::from)))
}

/// Deletes a document.
#[utoipa::path(
    delete,
    path = "/api/knowledge-base/doc/delete/{doc_id}",
    params(("doc_id" = String, Path, description = "The document.")),
    responses((status = 200, description = "It is gone.", body = Replied<Done>)),
)]
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Done> {
    let unknown = || Fault::raised(text("知识库文档不存在", "Document not found"));
    if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(unknown());
    }
    let id = DocumentId(id);
    app.settled("documents").await?;
    // One whose knowledge base was cleared or deleted is gone, though its own stream may not say so yet.
    let owner = read_model::get(&app.db, &id).await?.ok_or_else(unknown)?.owner;
    let command = Command::Delete { by: authority(&caller) };
    let news = app.execute::<Document>(&id, &command, &caller.metadata()).await;
    let news = news.map_err(|error| match error {
        execute::Error::Refused(_) => unknown(),
        execute::Error::Failed(failure) => failure.into(),
    })?;
    for name in ["documents", "passages"] {
        app.caught_up(name, news.position).await;
    }
    Ok(Reply(success(), Done::of(owner)))
}

/// Tells how far the documents of an upload are.
#[utoipa::path(
    get,
    path = "/api/knowledge-base/doc/task_process",
    params(ProgressQuery),
    responses((status = 200, description = "How far they are; all zero for an upload that is not known.", body = Replied<Progress>)),
)]
async fn progress(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ProgressQuery>,
) -> Result<Progress> {
    let knowledge_base = KnowledgeBaseId(query.kdb_id);
    let user_id = owner_of(&app, &caller, &knowledge_base).await?;
    let task = query.task_id.replace('\0', "");
    let counts = read_model::progress(&app.db, &knowledge_base, &task).await?;
    let read_model::Progress { waiting, in_progress, success: done, failed } = counts;
    let total = waiting + in_progress + done + failed;
    // Percent, rounded down, though the reference calls it a ratio: so its server answers.
    let percent = if total == 0 { 0 } else { done * 100 / total };
    #[expect(clippy::cast_precision_loss, reason = "0 to 100")]
    let task_process = percent as f64;
    let progress = Progress {
        success: done,
        fail: failed,
        in_progress,
        waiting,
        total,
        task_process,
        user_id,
    };
    Ok(Reply(success(), progress))
}

/// `query_status=0&query_status=3`, also as some clients write arrays: `query_status[]=0`.
fn statuses(query: &str) -> std::result::Result<Vec<i16>, Fault> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(name, value)| {
            matches!(&**name, "query_status" | "query_status[]") && !value.is_empty()
        })
        .map(|(_, value)| {
            value.trim().parse().map_err(|_| {
                Fault::Core(Error::Invalid(vec![Problem {
                    kind: "int_parsing",
                    loc: vec![json!("query"), json!("query_status")],
                    msg: "Input should be a valid integer".to_owned(),
                    input: json!(value),
                }]))
            })
        })
        .collect()
}

/// What its clients call where a document comes from.
fn source(row: &Row) -> &'static str {
    if row.kind == QUESTIONS {
        "qa"
    } else if row.media_type == "message/rfc822" {
        "eml"
    } else {
        "file"
    }
}

fn metadata(row: &Row) -> Metadata {
    let worded = |reason: &String| reasons::worded(reason).localized().to_owned();
    Metadata {
        size: row.size,
        media_type: row.media_type.clone(),
        passages: row.passages,
        text_bytes: row.text_bytes,
        text_sha256: row.text_blob.clone(),
        attempts: row.attempts,
        error: row.reason.as_ref().map(worded),
    }
}

impl From<Row> for Item {
    fn from(row: Row) -> Self {
        Self {
            metadata: metadata(&row),
            id: row.id,
            doc_name: row.name,
            status: row.status,
            create_time: iso(row.created_at),
            task_id: row.task,
        }
    }
}

impl From<Row> for Info {
    fn from(row: Row) -> Self {
        Self {
            metadata: metadata(&row),
            kind: source(&row),
            id: row.id,
            data_name: row.name,
            status: row.status,
            create_time: iso(row.created_at),
            task_id: row.task,
            user_id: row.owner,
        }
    }
}

//! Documents of a knowledge base: upload, listing, progress, deletion.

use super::{Listing, authority, first, incoming, offset, owner_of, reasons, success, twenty};
use crate::{
    app::App,
    core::{Caller, Error, Path, Problem, Query},
    sage::{Fault, Reply, Result, conversations::iso, text},
};
use axum::{
    Router,
    extract::{RawQuery, State},
    routing::{delete, get, post},
};
use commands::execute;
use domain::{
    document::{Command, Document},
    ids::{DocumentId, KnowledgeBaseId, UserId},
    knowledge_base::QUESTIONS,
};
use projections::documents::{self as read_model, Filter, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/knowledge-base/doc/list", get(list))
        .route("/api/knowledge-base/doc/info/{doc_id}", get(info))
        .route("/api/knowledge-base/doc/add_by_files", post(incoming::add_by_files))
        .route("/api/knowledge-base/doc/delete/{doc_id}", delete(remove))
        .route("/api/knowledge-base/doc/task_process", get(progress))
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    kdb_id: String,
    #[serde(default)]
    query_name: String,
    #[serde(default)]
    task_id: String,
    #[serde(default = "first")]
    page_no: i64,
    #[serde(default = "twenty")]
    page_size: i64,
}

#[derive(Debug, Deserialize)]
struct ProgressQuery {
    kdb_id: String,
    task_id: String,
}

#[derive(Debug, Serialize)]
struct Item {
    id: String,
    doc_name: String,
    status: i16,
    create_time: String,
    metadata: Value,
    task_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    data_name: String,
    status: i16,
    create_time: String,
    metadata: Value,
    task_id: String,
    #[serde(rename = "user_id")]
    user_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    success: i64,
    fail: i64,
    in_progress: i64,
    waiting: i64,
    total: i64,
    task_process: f64,
    #[serde(rename = "user_id")]
    user_id: UserId,
}

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

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Value> {
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
    Ok(Reply(success(), json!({"success": true, "user_id": owner})))
}

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

fn metadata(row: &Row) -> Value {
    let mut metadata = json!({
        "size": row.size,
        "media_type": row.media_type,
        "passages": row.passages,
        "text_bytes": row.text_bytes,
        "text_sha256": row.text_blob,
        "attempts": row.attempts,
    });
    if let Some(reason) = &row.reason {
        metadata["error"] = json!(reasons::worded(reason).localized());
    }
    metadata
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

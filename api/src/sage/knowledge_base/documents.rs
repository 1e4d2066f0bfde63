//! Documents of a knowledge base: upload, listing, progress, deletion.

use super::{Listing, authority, first, offset, owner_of, success, twenty};
use crate::{
    app::App,
    core::{
        Caller, Error, Path, Problem, Query,
        upload::{self, File, Form, Incoming, Part, Refused, Rules},
    },
    sage::{Fault, Reply, Result, conversations::iso, text},
};
use axum::{
    Router,
    extract::{RawQuery, State},
    routing::{delete, get, post},
};
use commands::execute;
use domain::{
    Position,
    document::{Command, Document},
    ids::{DocumentId, KnowledgeBaseId, UserId},
};
use projections::documents::{self as read_model, Filter, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Per upload; a file of this size is still one that can be ingested.
const RULES: Rules = Rules { file_bytes: 100 << 20, files: 50 };

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/knowledge-base/doc/list", get(list))
        .route("/api/knowledge-base/doc/info/{doc_id}", get(info))
        .route("/api/knowledge-base/doc/add_by_files", post(add_by_files))
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

async fn add_by_files(State(app): State<App>, caller: Caller, incoming: Incoming) -> Result<Value> {
    let mut form = incoming.open(&app.library.blobs, RULES);
    match receive(&app, &caller, &mut form).await {
        Ok((knowledge_base, owner, files)) => {
            let task = Uuid::new_v4().simple().to_string();
            let mut last = None;
            for file in files {
                let position = record(&app, &caller, &knowledge_base, &owner, &task, file).await?;
                last = last.max(position);
            }
            app.caught_up("documents", last).await;
            Ok(Reply(success(), json!({"taskId": task, "user_id": owner})))
        }
        Err(fault) => {
            form.discard().await;
            Err(fault)
        }
    }
}

/// The whole form, before the first fact is recorded: a form that breaks off leaves no document.
async fn receive(
    app: &App,
    caller: &Caller,
    form: &mut Form<'_>,
) -> std::result::Result<(KnowledgeBaseId, UserId, Vec<File>), Fault> {
    let mut shelf = None;
    let mut files = Vec::new();
    while let Some(part) = form.next().await.map_err(refused)? {
        match part {
            // As soon as it is known: nobody fills the store for a knowledge base that is not theirs.
            Part::Text { name, value } if name == "kdb_id" => {
                let id = KnowledgeBaseId(value);
                let owner = owner_of(app, caller, &id).await?;
                shelf = Some((id, owner));
            }
            Part::File { field, file } if field == "files" => files.push(file),
            Part::Text { .. } | Part::File { .. } => {}
        }
    }
    let (id, owner) = shelf.ok_or_else(|| upload::missing("kdb_id"))?;
    if files.is_empty() {
        return Err(upload::missing("files").into());
    }
    // The form may have taken minutes.
    owner_of(app, caller, &id).await?;
    Ok((id, owner, files))
}

async fn record(
    app: &App,
    caller: &Caller,
    knowledge_base: &KnowledgeBaseId,
    owner: &UserId,
    task: &str,
    file: File,
) -> std::result::Result<Option<Position>, Fault> {
    let id = DocumentId(Uuid::new_v4().simple().to_string());
    let command = Command::Upload {
        knowledge_base: knowledge_base.clone(),
        owner: owner.clone(),
        task: task.to_owned(),
        name: file.name,
        blob: file.blob.hash,
        size: file.blob.size,
        media_type: file.media_type,
    };
    let decided = app.execute::<Document>(&id, &command, &caller.metadata()).await;
    Ok(decided?.position)
}

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Value> {
    let unknown = || Fault::raised(text("知识库文档不存在", "Document not found"));
    if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(unknown());
    }
    let id = DocumentId(id);
    let document = app.load::<Document>(&id).await?;
    let owner = document.state().file.as_ref().map(|file| file.owner.clone());
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

fn refused(refused: Refused) -> Fault {
    match refused {
        Refused::TooLarge { name, limit } => {
            let megabytes = limit >> 20;
            Fault::raised(text(
                format!("文件 {name} 超过大小限制（{megabytes} MB）"),
                format!("File {name} is larger than {megabytes} MB"),
            ))
        }
        Refused::TooMany(limit) => Fault::raised(text(
            format!("一次最多上传 {limit} 个文件"),
            format!("At most {limit} files can be uploaded at once"),
        )),
        Refused::Other(error) => error.into(),
    }
}

fn metadata(row: &Row) -> Value {
    let mut metadata = json!({
        "size": row.size,
        "media_type": row.media_type,
        "passages": row.passages,
        "attempts": row.attempts,
    });
    if let Some(reason) = &row.reason {
        metadata["error"] = json!(reason);
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
            id: row.id,
            kind: "file",
            data_name: row.name,
            status: row.status,
            create_time: iso(row.created_at),
            task_id: row.task,
            user_id: row.owner,
        }
    }
}

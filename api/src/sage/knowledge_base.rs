//! Knowledge bases: the shelves themselves. Their documents and the search have files of their own.

mod documents;
mod incoming;
mod reasons;
mod redo;
mod retrieve;

use super::{
    Fault, Reply, Result, Text,
    conversations::{in_range, iso},
    text,
};
use crate::{
    app::App,
    core::{Caller, Json, Path, Query},
    library,
};
use axum::{
    Router,
    extract::State,
    routing::{delete, get, post},
};
use commands::execute::Loaded;
use domain::{
    ids::{KnowledgeBaseId, UserId},
    knowledge_base::{Authority, Command, KnowledgeBase, Refusal},
};
use projections::{
    knowledge_bases::{self as shelves, Filter, Row},
    retrieval::models::Embedding,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/knowledge-base/add", post(add))
        .route("/api/knowledge-base/update", post(update))
        .route("/api/knowledge-base/info", get(info))
        .route("/api/knowledge-base/list", get(list))
        .route("/api/knowledge-base/delete/{kdb_id}", delete(remove))
        .route("/api/knowledge-base/clear", post(clear))
        .merge(redo::routes())
        .merge(documents::routes())
        .merge(retrieve::routes())
}

/// What a knowledge base is called when none is meant for this caller.
fn not_found() -> Fault {
    Fault::raised(text("知识库不存在", "KDB not found"))
}

fn success() -> Text {
    "success".into()
}

fn authority(caller: &Caller) -> Authority {
    if caller.admin { Authority::Admin } else { Authority::Person(caller.user.clone()) }
}

/// Who owns this knowledge base; a fault when it is not there for the caller. From the log, so never out of date.
async fn owner_of(
    app: &App,
    caller: &Caller,
    id: &KnowledgeBaseId,
) -> std::result::Result<UserId, Fault> {
    let shelf = load(app, id).await?;
    shelf.state().owner_for(&authority(caller)).cloned().map_err(|_| not_found())
}

async fn load(
    app: &App,
    id: &KnowledgeBaseId,
) -> std::result::Result<Loaded<KnowledgeBase>, Fault> {
    // No other id was ever given out, and not every text can be part of a stream's name.
    if id.as_str().len() != 32 || !id.as_str().bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(not_found());
    }
    let loaded = app.load::<KnowledgeBase>(id).await?;
    match loaded.state().is_datasource() {
        true => Err(not_found()),
        false => Ok(loaded),
    }
}

#[derive(Debug, Deserialize)]
struct AddBody {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    intro: Option<String>,
    #[serde(default)]
    language: Option<String>,
}

#[derive(Debug, Deserialize)]
struct UpdateBody {
    kdb_id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    intro: Option<String>,
    #[serde(default)]
    kdb_setting: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct ClearBody {
    kdb_id: String,
}

#[derive(Debug, Deserialize)]
struct InfoQuery {
    kdb_id: String,
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    #[serde(default)]
    query_name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default = "first")]
    page: i64,
    #[serde(default = "twenty")]
    page_size: i64,
}

fn first() -> i64 {
    1
}

fn twenty() -> i64 {
    20
}

#[derive(Debug, Serialize)]
struct Info {
    #[serde(rename = "kdbId")]
    kdb_id: String,
    name: String,
    intro: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "createdAt")]
    created_at: i64,
    #[serde(rename = "updatedAt")]
    updated_at: i64,
    #[serde(rename = "kdbSetting")]
    setting: Value,
    user_id: String,
    embedding: Option<Model>,
}

#[derive(Debug, Serialize)]
struct Item {
    id: String,
    name: String,
    index_name: String,
    intro: String,
    #[serde(rename = "createTime")]
    created: String,
    #[serde(rename = "dataSource")]
    kind: String,
    #[serde(rename = "docNum")]
    documents: i64,
    cover: &'static str,
    #[serde(rename = "defaultColor")]
    default_color: bool,
    user_id: String,
    #[serde(rename = "type")]
    no_type: Value,
    embedding: Option<Model>,
}

/// What its documents were embedded with; not `current` when some of them wait to be read again with the model in use.
#[derive(Debug, Serialize)]
struct Model {
    model: String,
    dimension: Option<i32>,
    current: bool,
}

/// A page of anything in this part of the dialect.
#[derive(Debug, Serialize)]
struct Listing<T> {
    list: Vec<T>,
    total: i64,
    user_id: String,
}

async fn add(State(app): State<App>, caller: Caller, Json(body): Json<AddBody>) -> Result<Value> {
    let id = KnowledgeBaseId(Uuid::new_v4().simple().to_string());
    let command = Command::Create {
        owner: caller.user.clone(),
        name: body.name,
        kind: body.kind,
        intro: body.intro.unwrap_or_default(),
        language: body.language.unwrap_or_default(),
        datasource: None,
    };
    let decided = app.execute::<KnowledgeBase>(&id, &command, &caller.metadata()).await;
    let decided = decided.map_err(|error| Fault::worded(error, worded))?;
    app.caught_up("knowledge_bases", decided.position).await;
    Ok(Reply(success(), json!({"kdb_id": id, "user_id": caller.user})))
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<UpdateBody>,
) -> Result<Value> {
    let id = KnowledgeBaseId(body.kdb_id);
    let owner = owner_of(&app, &caller, &id).await?;
    // What is empty stays as it is.
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let setting = body.kdb_setting.filter(|setting| !setting.is_null());
    let (name, intro) = (given(body.name), given(body.intro));
    let command = Command::Update { by: authority(&caller), name, intro, setting };
    let news = app.execute::<KnowledgeBase>(&id, &command, &caller.metadata()).await;
    let news = news.map_err(|error| Fault::worded(error, worded))?;
    app.caught_up("knowledge_bases", news.position).await;
    Ok(Reply(success(), json!({"success": true, "user_id": owner})))
}

async fn info(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<InfoQuery>,
) -> Result<Info> {
    let id = KnowledgeBaseId(query.kdb_id);
    owner_of(&app, &caller, &id).await?;
    let row = shelves::get(&app.db, &id).await?.ok_or_else(not_found)?;
    let mut embeddings = app.library.embeddings(&app.db, &[&row.id]).await?;
    let language = if row.language.is_empty() { "zh-cn" } else { &row.language };
    let first = || json!({"kdbAttach": {"language": language}});
    let setting = row.setting.clone().unwrap_or_else(first);
    let info = Info {
        embedding: embeddings.remove(&row.id).map(Model::from),
        kdb_id: row.id,
        name: row.name,
        intro: row.intro,
        kind: row.kind,
        created_at: row.created_at.timestamp(),
        updated_at: row.updated_at.timestamp(),
        setting,
        user_id: row.owner,
    };
    Ok(Reply(success(), info))
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Item>> {
    let offset = offset("page", query.page, query.page_size)?;
    // PostgreSQL takes no NUL, and no name holds one.
    if query.query_name.contains('\0') || query.kind.contains('\0') {
        return Ok(Reply(success(), Listing::empty(&caller)));
    }
    let filter = Filter { owner: caller.scope(), name: &query.query_name, kind: &query.kind };
    let (rows, total) = shelves::listed(&app.db, filter, query.page_size, offset).await?;
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let mut embeddings = app.library.embeddings(&app.db, &ids).await?;
    let item = |row: Row| {
        let embedding = embeddings.remove(&row.id).map(Model::from);
        Item { embedding, ..Item::from(row) }
    };
    let list = rows.into_iter().map(item).collect();
    Ok(Reply(success(), Listing { list, total, user_id: caller.user.0 }))
}

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Value> {
    let id = KnowledgeBaseId(id);
    let shelf = load(&app, &id).await?;
    let by = authority(&caller);
    let owner = shelf.state().owner_for(&by).cloned().map_err(|_| not_found())?;
    let command = Command::Delete { by };
    let news = app.execute::<KnowledgeBase>(&id, &command, &caller.metadata()).await;
    let news = news.map_err(|error| Fault::worded(error, worded))?;
    for read_model in ["knowledge_bases", "documents", "passages"] {
        app.caught_up(read_model, news.position).await;
    }
    Ok(Reply(success(), json!({"success": true, "user_id": owner})))
}

async fn clear(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<ClearBody>,
) -> Result<Value> {
    let id = KnowledgeBaseId(body.kdb_id);
    let owner = owner_of(&app, &caller, &id).await?;
    let command = Command::Clear { by: authority(&caller) };
    let news = app.execute::<KnowledgeBase>(&id, &command, &caller.metadata()).await;
    let news = news.map_err(|error| Fault::worded(error, worded))?;
    for read_model in ["knowledge_bases", "documents", "passages"] {
        app.caught_up(read_model, news.position).await;
    }
    Ok(Reply(success(), json!({"success": true, "user_id": owner})))
}

fn worded(refusal: &Refusal) -> Text {
    match refusal {
        Refusal::Unknown => text("知识库不存在", "KDB not found"),
        Refusal::Exists => text("知识库已存在", "KDB already exists"),
        Refusal::BadName => text(
            "知识库名称长度应为 1 到 255 个字符",
            "A knowledge base has a name of 1 to 255 characters",
        ),
        Refusal::LongIntro => {
            text("知识库简介不能超过 10000 个字符", "The introduction has at most 10000 characters")
        }
        Refusal::LongKind => {
            text("类型和语言不能超过 64 个字符", "Type and language have at most 64 characters")
        }
        Refusal::BadSetting => text(
            "知识库设置应为不超过 32 KB 的 JSON 对象",
            "A setting is a JSON object of at most 32 KB",
        ),
        Refusal::Nul => text("文本包含非法字符", "A text holds a NUL character"),
    }
}

/// Where a page begins; a fault for pages that cannot be.
fn offset(name: &str, page: i64, page_size: i64) -> std::result::Result<i64, Fault> {
    in_range(name, page, 1, i64::from(i32::MAX))?;
    in_range("page_size", page_size, 1, 1_000)?;
    Ok((page - 1) * page_size)
}

impl<T> Listing<T> {
    fn empty(caller: &Caller) -> Self {
        Self { list: Vec::new(), total: 0, user_id: caller.user.0.clone() }
    }
}

impl From<Embedding> for Model {
    fn from(embedding: Embedding) -> Self {
        let Embedding { model, dimensions, current } = embedding;
        Self { model, dimension: dimensions, current }
    }
}

impl From<Row> for Item {
    fn from(row: Row) -> Self {
        Self {
            index_name: library::index_name(&row.id),
            id: row.id,
            name: row.name,
            intro: row.intro,
            created: iso(row.created_at),
            kind: row.kind,
            documents: row.documents,
            cover: "",
            default_color: true,
            user_id: row.owner,
            no_type: Value::Null,
            embedding: None,
        }
    }
}

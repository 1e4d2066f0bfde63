//! Knowledge bases: the shelves themselves. Their documents and the search have files of their own.

mod documents;
mod dto;
mod incoming;
mod reasons;
mod redo;
mod retrieve;

use super::{Fault, Reply, Result, Text, conversations::in_range, envelope::Replied, text};
use crate::{
    app::App,
    core::{Caller, Json, Path, Query},
    openapi::Documented,
};
use axum::extract::State;
use commands::execute::Loaded;
use domain::{
    ids::{KnowledgeBaseId, UserId},
    knowledge_base::{Authority, Command, KnowledgeBase, Refusal},
};
use dto::{
    AddBody, Added, Done, Info, InfoQuery, Item, ListQuery, Listing, Meant, UpdateBody, first,
    twenty,
};
use projections::knowledge_bases::{self as shelves, Filter, Row};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(add))
        .routes(routes!(update))
        .routes(routes!(info))
        .routes(routes!(list))
        .routes(routes!(remove))
        .routes(routes!(clear))
        .merge(redo::routes())
        .merge(documents::routes())
        .routes(routes!(retrieve::retrieve))
        .tagged("Knowledge bases")
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

/// Makes a new knowledge base of the caller's.
#[utoipa::path(
    post,
    path = "/api/knowledge-base/add",
    request_body = AddBody,
    responses((status = 200, description = "Its id.", body = Replied<Added>)),
)]
async fn add(State(app): State<App>, caller: Caller, Json(body): Json<AddBody>) -> Result<Added> {
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
    Ok(Reply(success(), Added { kdb_id: id, user_id: caller.user }))
}

/// Changes a knowledge base.
#[utoipa::path(
    post,
    path = "/api/knowledge-base/update",
    request_body = UpdateBody,
    responses((status = 200, description = "It worked.", body = Replied<Done>)),
)]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<UpdateBody>,
) -> Result<Done> {
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
    Ok(Reply(success(), Done::of(owner)))
}

/// Gets a knowledge base.
#[utoipa::path(
    get,
    path = "/api/knowledge-base/info",
    params(InfoQuery),
    responses((status = 200, description = "The knowledge base.", body = Replied<Info>)),
)]
async fn info(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<InfoQuery>,
) -> Result<Info> {
    let id = KnowledgeBaseId(query.kdb_id);
    owner_of(&app, &caller, &id).await?;
    let row = shelves::get(&app.db, &id).await?.ok_or_else(not_found)?;
    let mut embeddings = app.library.embeddings(&app.db, &[&row.id]).await?;
    let embedding = embeddings.remove(&row.id);
    Ok(Reply(success(), Info::new(row, embedding)))
}

/// Lists the caller's knowledge bases, for an administrator everybody's; the newest first.
#[utoipa::path(
    get,
    path = "/api/knowledge-base/list",
    params(ListQuery),
    responses((status = 200, description = "The page.", body = Replied<Listing<Item>>)),
)]
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
        let embedding = embeddings.remove(&row.id);
        Item::new(row, embedding)
    };
    let list = rows.into_iter().map(item).collect();
    Ok(Reply(success(), Listing { list, total, user_id: caller.user.0 }))
}

/// Deletes a knowledge base with all its documents.
#[utoipa::path(
    delete,
    path = "/api/knowledge-base/delete/{kdb_id}",
    params(("kdb_id" = String, Path, description = "The knowledge base.")),
    responses((status = 200, description = "It worked.", body = Replied<Done>)),
)]
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Done> {
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
    Ok(Reply(success(), Done::of(owner)))
}

/// Deletes all documents of a knowledge base.
#[utoipa::path(
    post,
    path = "/api/knowledge-base/clear",
    request_body = Meant,
    responses((status = 200, description = "It worked.", body = Replied<Done>)),
)]
async fn clear(State(app): State<App>, caller: Caller, Json(body): Json<Meant>) -> Result<Done> {
    let id = KnowledgeBaseId(body.kdb_id);
    let owner = owner_of(&app, &caller, &id).await?;
    let command = Command::Clear { by: authority(&caller) };
    let news = app.execute::<KnowledgeBase>(&id, &command, &caller.metadata()).await;
    let news = news.map_err(|error| Fault::worded(error, worded))?;
    for read_model in ["knowledge_bases", "documents", "passages"] {
        app.caught_up(read_model, news.position).await;
    }
    Ok(Reply(success(), Done::of(owner)))
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

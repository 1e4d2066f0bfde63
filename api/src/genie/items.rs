//! `/items/{collection}`: what people keep in their collections, as the data API of this dialect's clients serves it; also
//! below its proxy's prefix.

use super::{Fault, Result, answers::Data, roles::Writer, usage::iso};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path, Query},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use commands::genie_chat::MOST_ITEMS;
use domain::{
    flow::COLLECTIONS,
    ids::ItemId,
    item::{Command, Item},
};
use projections::items::{self, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Things in one answer, unless the client says otherwise; and at most.
const PAGE: (i64, i64) = (100, 500);

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, write))
        .routes(routes!(show, change, remove))
        .also("/api/directus/items/{collection}", routes!(list, write))
        .also("/api/directus/items/{collection}/{id}", routes!(show, change, remove))
        .tagged("Items")
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Most items of the page; -1 for as many as there may be in one, which is 500. Without it 100.
    #[serde(default)]
    limit: Option<i64>,
    /// How many newer ones to pass over.
    #[serde(default)]
    offset: Option<i64>,
}

/// What somebody keeps in a collection: fields of their own, and what the server says.
#[derive(Serialize, ToSchema)]
#[schema(as = Item)]
struct Shown {
    id: Uuid,
    date_created: String,
    date_updated: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// A page of a collection.
#[derive(Serialize, ToSchema)]
#[schema(as = ItemPage)]
struct Listed {
    /// The newest first.
    data: Vec<Shown>,
    meta: Total,
}

/// How many there are.
#[derive(Serialize, ToSchema)]
struct Total {
    total_count: i64,
}

/// Lists what somebody keeps in a collection.
#[utoipa::path(
    get,
    path = "/items/{collection}",
    params(("collection" = String, Path, description = "Which collection; others than the known ones are not found."), ListQuery),
    responses((status = 200, description = "The page.", body = Listed)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(collection): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Listed> {
    known(&collection)?;
    // -1 is this API's word for all of them.
    let limit = query.limit.unwrap_or(PAGE.0);
    let limit = if limit < 0 { PAGE.1 } else { limit.min(PAGE.1) };
    let offset = query.offset.unwrap_or(0).max(0);
    app.settled("items").await?;
    let rows = items::newest(&app.db, &caller.user, &collection, limit, offset).await?;
    let total_count = items::count(&app.db, &caller.user, &collection).await?;
    let data = rows.into_iter().map(shown).collect();
    Ok(axum::Json(Listed { data, meta: Total { total_count } }))
}

/// Keeps something in a collection.
#[utoipa::path(
    post,
    path = "/items/{collection}",
    params(("collection" = String, Path, description = "Which collection.")),
    request_body(content = Object, description = "Fields of any kind.", content_type = "application/json"),
    responses((status = 200, description = "It is kept.", body = Data<Shown>)),
)]
async fn write(
    State(app): State<App>,
    Writer(caller): Writer,
    Path(collection): Path<String>,
    Json(mut fields): Json<Map<String, Value>>,
) -> Result<Data<Shown>> {
    known(&collection)?;
    reserved(&mut fields);
    app.settled("items").await?;
    if items::count(&app.db, &caller.user, &collection).await? >= i64::from(MOST_ITEMS) {
        return Err(Fault::invalid(format!("A collection has at most {MOST_ITEMS} items")));
    }
    let id = ItemId(Uuid::now_v7());
    let owner = caller.user.clone();
    let command = Command::Write { owner, collection: collection.clone(), fields };
    execute(&app, &caller, &collection, id, command).await
}

/// Gets something from a collection.
#[utoipa::path(
    get,
    path = "/items/{collection}/{id}",
    params(
        ("collection" = String, Path, description = "Which collection."),
        ("id" = Uuid, Path, description = "What."),
    ),
    responses((status = 200, description = "It.", body = Data<Shown>)),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
) -> Result<Data<Shown>> {
    let id = item(&collection, &id)?;
    app.settled("items").await?;
    read(&app, &caller, &collection, id).await
}

/// Changes fields of something in a collection; the others stay.
#[utoipa::path(
    patch,
    path = "/items/{collection}/{id}",
    params(
        ("collection" = String, Path, description = "Which collection."),
        ("id" = Uuid, Path, description = "What."),
    ),
    request_body(content = Object, description = "The fields to change.", content_type = "application/json"),
    responses((status = 200, description = "It, as it is now.", body = Data<Shown>)),
)]
async fn change(
    State(app): State<App>,
    Writer(caller): Writer,
    Path((collection, id)): Path<(String, String)>,
    Json(mut fields): Json<Map<String, Value>>,
) -> Result<Data<Shown>> {
    let id = item(&collection, &id)?;
    reserved(&mut fields);
    let owner = caller.user.clone();
    let command = Command::Change { owner, collection: collection.clone(), fields };
    execute(&app, &caller, &collection, id, command).await
}

/// Removes something from a collection.
#[utoipa::path(
    delete,
    path = "/items/{collection}/{id}",
    params(
        ("collection" = String, Path, description = "Which collection."),
        ("id" = Uuid, Path, description = "What."),
    ),
    responses((status = 204, description = "It is gone.")),
)]
async fn remove(
    State(app): State<App>,
    Writer(caller): Writer,
    Path((collection, id)): Path<(String, String)>,
) -> std::result::Result<StatusCode, Fault> {
    let (id, loaded) = {
        let id = item(&collection, &id)?;
        (id, app.load::<Item>(&id).await?)
    };
    if loaded.state().of(&caller.user, &collection).is_none() {
        return Err(Error::NotFound.into());
    }
    let command = Command::Delete { owner: caller.user.clone(), collection };
    app.execute::<Item>(&id, &command, &caller.metadata()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn execute(
    app: &App,
    caller: &Caller,
    collection: &str,
    id: ItemId,
    command: Command,
) -> Result<Data<Shown>> {
    let decided = app.execute::<Item>(&id, &command, &caller.metadata()).await?;
    app.caught_up("items", decided.position).await;
    read(app, caller, collection, id).await
}

async fn read(app: &App, caller: &Caller, collection: &str, id: ItemId) -> Result<Data<Shown>> {
    let row = items::find(&app.db, &caller.user, collection, id).await?;
    Ok(axum::Json(Data { data: shown(row.ok_or(Error::NotFound)?) }))
}

fn known(collection: &str) -> std::result::Result<(), Fault> {
    if COLLECTIONS.contains(&collection) { Ok(()) } else { Err(Error::NotFound.into()) }
}

fn item(collection: &str, id: &str) -> std::result::Result<ItemId, Fault> {
    known(collection)?;
    id.parse().map_err(|_| Error::NotFound.into())
}

/// What the server says of every thing is not for clients to say.
fn reserved(fields: &mut Map<String, Value>) {
    for name in ["id", "date_created", "date_updated"] {
        fields.remove(name);
    }
}

fn shown(row: Row) -> Shown {
    let Row { item_id, fields, created_at, updated_at } = row;
    let mut fields = fields.0;
    reserved(&mut fields);
    Shown { id: item_id, date_created: iso(created_at), date_updated: iso(updated_at), fields }
}

//! `/items/{collection}`: what people keep in their collections, as the data API of this dialect's clients serves it; also
//! below its proxy's prefix.

use super::{Fault, Result, roles::Writer, usage::iso};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path, Query},
};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use commands::genie_chat::MOST_ITEMS;
use domain::{
    flow::COLLECTIONS,
    ids::ItemId,
    item::{Command, Item},
};
use projections::items::{self, Row};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Things in one answer, unless the client says otherwise; and at most.
const PAGE: (i64, i64) = (100, 500);

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new().merge(below("")).merge(below("/api/directus"))
}

fn below(prefix: &str) -> Router<App> {
    Router::new().route(&format!("{prefix}/items/{{collection}}"), get(list).post(write)).route(
        &format!("{prefix}/items/{{collection}}/{{id}}"),
        get(show).patch(change).delete(remove),
    )
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    limit: Option<i64>,
    #[serde(default)]
    offset: Option<i64>,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(collection): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Value> {
    known(&collection)?;
    // -1 is this API's word for all of them.
    let limit = query.limit.unwrap_or(PAGE.0);
    let limit = if limit < 0 { PAGE.1 } else { limit.min(PAGE.1) };
    let offset = query.offset.unwrap_or(0).max(0);
    app.settled("items").await?;
    let rows = items::newest(&app.db, &caller.user, &collection, limit, offset).await?;
    let total = items::count(&app.db, &caller.user, &collection).await?;
    let data: Vec<Value> = rows.into_iter().map(shown).collect();
    Ok(axum::Json(json!({ "data": data, "meta": { "total_count": total } })))
}

async fn write(
    State(app): State<App>,
    Writer(caller): Writer,
    Path(collection): Path<String>,
    Json(mut fields): Json<Map<String, Value>>,
) -> Result<Value> {
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

async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
) -> Result<Value> {
    let id = item(&collection, &id)?;
    app.settled("items").await?;
    read(&app, &caller, &collection, id).await
}

async fn change(
    State(app): State<App>,
    Writer(caller): Writer,
    Path((collection, id)): Path<(String, String)>,
    Json(mut fields): Json<Map<String, Value>>,
) -> Result<Value> {
    let id = item(&collection, &id)?;
    reserved(&mut fields);
    let owner = caller.user.clone();
    let command = Command::Change { owner, collection: collection.clone(), fields };
    execute(&app, &caller, &collection, id, command).await
}

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
) -> Result<Value> {
    let decided = app.execute::<Item>(&id, &command, &caller.metadata()).await?;
    app.caught_up("items", decided.position).await;
    read(app, caller, collection, id).await
}

async fn read(app: &App, caller: &Caller, collection: &str, id: ItemId) -> Result<Value> {
    let row = items::find(&app.db, &caller.user, collection, id).await?;
    Ok(axum::Json(json!({ "data": shown(row.ok_or(Error::NotFound)?) })))
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

fn shown(row: Row) -> Value {
    let Row { item_id, fields, created_at, updated_at } = row;
    let mut fields = fields.0;
    fields.insert("id".to_owned(), json!(item_id));
    fields.insert("date_created".to_owned(), json!(iso(created_at)));
    fields.insert("date_updated".to_owned(), json!(iso(updated_at)));
    fields.into()
}

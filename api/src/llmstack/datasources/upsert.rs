//! `/api/datasource_entries/upsert`: an entry that takes the place of those of its name.

use super::{Own, entries, missing, own, settled, shapes::UpsertedEntry, shown::ShownEntry};
use crate::{
    app::App,
    llmstack::{
        Fault, Holder, Reply, Result,
        body::{Fields, Form},
        envelope::Detail,
    },
    openapi::Documented,
};
use axum::extract::State;
use domain::intake::Twins;
use serde_json::{Map, Value};
use std::time::Duration;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long an answer waits for the entry to be read.
const PATIENCE: Duration = Duration::from_secs(30);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(upsert)).tagged("Entries")
}

/// Adds an entry in the place of those of its name.
#[utoipa::path(
    post,
    path = "/api/datasource_entries/upsert",
    request_body(content(
        (UpsertedEntry = "application/json"),
        (UpsertedEntry = "application/x-www-form-urlencoded"),
        (UpsertedEntry = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The entry.", body = ShownEntry),
        (status = 404, description = "There is no such datasource for the caller.", body = Detail),
    ),
)]
async fn upsert(State(app): State<App>, holder: Holder, Form(body): Form) -> Result<ShownEntry> {
    let Some(Value::String(id)) = body.fields.get("datasource_id") else {
        return Err(Fault::bad_body("datasource_id: a text is needed"));
    };
    let own: Own = own(&app, &holder, id).await?;
    let body = entry(body)?;
    let task = entries::take(&app, &holder, &own, body, Twins::Replace, Some(PATIENCE)).await?;
    settled(&app).await?;
    let entry = entries::shown_entries(&app, &holder, entries::came(&holder, &task)).await?.pop();
    Ok(Reply::ok(entry.ok_or_else(missing)?))
}

/// The body as one that adds an entry.
fn entry(body: Fields) -> std::result::Result<Fields, Fault> {
    let Some(Value::Object(input)) = body.fields.get("input_data") else {
        return Err(Fault::bad_body("input_data: an object is needed"));
    };
    let mut data = match input.get("data") {
        Some(Value::Object(data)) => data.clone(),
        Some(Value::String(text)) => Map::from_iter([("content".to_owned(), text.as_str().into())]),
        _ => Map::new(),
    };
    if let Some(name) = input.get("name") {
        data.insert("name".to_owned(), name.clone());
    }
    let mut fields = Map::from_iter([("entry_data".to_owned(), Value::Object(data))]);
    let said = body.fields.get("entry_metadata").or_else(|| input.get("metadata"));
    fields.extend(said.map(|said| ("entry_metadata".to_owned(), said.clone())));
    Ok(fields.into())
}

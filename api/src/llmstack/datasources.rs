//! `/api/datasources`: what apps search. Their entries have a file of their own.

mod entries;
mod incoming;
mod shapes;
mod shown;
mod text;
mod upsert;

use super::{Fault, Holder, Reply, Result, body::Form};
use crate::{app::App, core::Path, intake, library, openapi::Documented};
use axum::{extract::State, http::StatusCode};
use commands::execute::Error as Executed;
use domain::{
    datasource::{MAX_NAME, Type},
    ids::KnowledgeBaseId,
    knowledge_base::{Authority, Command, KnowledgeBase, Refusal},
};
use projections::datasources as read_model;
use serde::Serialize;
use serde_json::Value;
use shapes::{DatasourceChange, DatasourceType, NewDatasource, PageWish};
use shown::{Datasource, FullType};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(extract_urls))
        .routes(routes!(one, refresh, remove))
        .routes(routes!(types))
        .routes(routes!(one_type))
        .tagged("Datasources")
        .merge(entries::routes())
        .merge(upsert::routes())
}

/// Addresses that a page leads to.
#[derive(Serialize, ToSchema)]
struct Links {
    urls: Vec<String>,
}

/// A datasource of the caller.
struct Own {
    id: KnowledgeBaseId,
    kind: Type,
}

/// Lists the caller's datasources.
#[utoipa::path(
    get,
    path = "/api/datasources",
    responses((status = 200, description = "The datasources.", body = Vec<Datasource>)),
)]
async fn list(State(app): State<App>, holder: Holder) -> Result<Vec<Datasource>> {
    settled(&app).await?;
    let rows = read_model::owned_by(&app.db, &holder.user, None).await?;
    Ok(Reply::ok(rows.iter().map(|row| shown::datasource(row, &holder)).collect()))
}

/// Makes a datasource.
#[utoipa::path(
    post,
    path = "/api/datasources",
    request_body(content(
        (NewDatasource = "application/json"),
        (NewDatasource = "application/x-www-form-urlencoded"),
        (NewDatasource = "multipart/form-data"),
    )),
    responses((status = 201, description = "The datasource.", body = Datasource)),
)]
async fn create(State(app): State<App>, holder: Holder, Form(body): Form) -> Result<Datasource> {
    let name = match body.fields.get("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name.trim().to_owned(),
        Some(Value::Null) | None => return Err(Fault::error("name is required")),
        Some(_) => return Err(Fault::error("name: a text is needed")),
    };
    if name.chars().count() > MAX_NAME {
        return Err(Fault::error(format!("name: at most {MAX_NAME} characters")));
    }
    let said = ["type", "type_slug"].into_iter().find_map(|key| body.fields.get(key));
    let said = said.ok_or_else(|| Fault::error("type is required"))?;
    let kind = Type::meant(said).ok_or_else(|| {
        let slugs: Vec<&str> = Type::ALL.iter().map(|kind| kind.slug()).collect();
        Fault::error(format!("Unknown datasource type: one of {} is needed", slugs.join(", ")))
    })?;
    let id = KnowledgeBaseId(Uuid::new_v4().simple().to_string());
    let command = Command::Create {
        owner: holder.user.clone(),
        name,
        kind: String::new(),
        intro: String::new(),
        language: String::new(),
        datasource: Some(kind),
    };
    let position = execute(&app, &holder, &id, &command).await?;
    app.caught_up("knowledge_bases", position).await;
    Ok(Reply(StatusCode::CREATED, find(&app, &holder, &id).await?))
}

/// Gets a datasource.
#[utoipa::path(
    get,
    path = "/api/datasources/{datasource}",
    params(("datasource" = Uuid, Path, description = "The datasource.")),
    responses((status = 200, description = "The datasource.", body = Datasource)),
)]
async fn one(State(app): State<App>, holder: Holder, Path(id): Path<String>) -> Result<Datasource> {
    let Own { id, .. } = own(&app, &holder, &id).await?;
    settled(&app).await?;
    Ok(Reply::ok(find(&app, &holder, &id).await?))
}

/// Changes how often a datasource is fetched anew.
///
/// Nothing is fetched anew by the clock here, so it can only be switched off; `resync` of an entry does it at once.
#[utoipa::path(
    patch,
    path = "/api/datasources/{datasource}",
    params(("datasource" = Uuid, Path, description = "The datasource.")),
    request_body(content(
        (DatasourceChange = "application/json"),
        (DatasourceChange = "application/x-www-form-urlencoded"),
        (DatasourceChange = "multipart/form-data"),
    )),
    responses((status = 204, description = "So it is.")),
)]
async fn refresh(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
    Form(body): Form,
) -> std::result::Result<StatusCode, Fault> {
    own(&app, &holder, &id).await?;
    match body.fields.get("refresh_interval") {
        Some(Value::String(often)) if matches!(often.as_str(), "Daily" | "Weekly") => {
            Err(Fault::error("refresh_interval: entries are not refreshed by themselves"))
        }
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Deletes a datasource with all its entries.
#[utoipa::path(
    delete,
    path = "/api/datasources/{datasource}",
    params(("datasource" = Uuid, Path, description = "The datasource.")),
    responses((status = 204, description = "It is deleted.")),
)]
async fn remove(
    State(app): State<App>,
    holder: Holder,
    Path(id): Path<String>,
) -> std::result::Result<StatusCode, Fault> {
    let Own { id, .. } = own(&app, &holder, &id).await?;
    let command = Command::Delete { by: authority(&holder) };
    let position = execute(&app, &holder, &id, &command).await?;
    app.caught_up("knowledge_bases", position).await;
    intake::forgotten(&app, position).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the types of datasources.
#[utoipa::path(
    get,
    path = "/api/datasource_types",
    responses((status = 200, description = "The types.", body = Vec<FullType>)),
)]
async fn types(_: Holder) -> Result<Vec<FullType>> {
    Ok(Reply::ok(Type::ALL.into_iter().map(shown::full_type).collect()))
}

/// Gets a type of datasources.
#[utoipa::path(
    get,
    path = "/api/datasource_types/{slug}",
    params(("slug" = DatasourceType, Path, description = "The type; also its number or name.")),
    responses((status = 200, description = "The type.", body = FullType)),
)]
async fn one_type(_: Holder, Path(slug): Path<String>) -> Result<FullType> {
    let kind = Type::meant(&Value::String(slug));
    kind.map(|kind| Reply::ok(shown::full_type(kind)))
        .ok_or_else(|| Fault::missing("DataSourceType"))
}

/// Lists the addresses that a page leads to.
#[utoipa::path(
    post,
    path = "/api/datasources/url/extract_urls",
    request_body(content(
        (PageWish = "application/json"),
        (PageWish = "application/x-www-form-urlencoded"),
        (PageWish = "multipart/form-data"),
    )),
    responses((status = 200, description = "The addresses.", body = Links)),
)]
async fn extract_urls(State(app): State<App>, _: Holder, Form(body): Form) -> Result<Links> {
    let Some(Value::String(url)) = body.fields.get("url") else {
        return Err(Fault::bad_body("url: a text is needed"));
    };
    let url = incoming::with_scheme(url);
    let found = app.library.links(&url).await;
    let urls = found.map_err(|library::NoPage(reason)| Fault::error(reason))?;
    Ok(Reply::ok(Links { urls }))
}

async fn find(
    app: &App,
    holder: &Holder,
    id: &KnowledgeBaseId,
) -> std::result::Result<Datasource, Fault> {
    let rows = read_model::owned_by(&app.db, &holder.user, Some(id)).await?;
    rows.first().map(|row| shown::datasource(row, holder)).ok_or_else(missing)
}

fn missing() -> Fault {
    Fault::missing("DataSource")
}

fn authority(holder: &Holder) -> Authority {
    Authority::Person(holder.user.clone())
}

/// Lists show what was written before, on whatever node.
async fn settled(app: &App) -> std::result::Result<(), Fault> {
    let head = app.head().await?;
    for read_model in ["knowledge_bases", "documents"] {
        app.caught_up(read_model, Some(head)).await;
    }
    Ok(())
}

/// An id in a path, as the log has it; what is none names nothing.
fn parse(id: &str) -> Option<String> {
    Some(id.parse::<Uuid>().ok()?.simple().to_string())
}

/// The datasource, from the log, if it is the caller's. Another's is as good as none.
async fn own(app: &App, holder: &Holder, id: &str) -> std::result::Result<Own, Fault> {
    let id = KnowledgeBaseId(parse(id).ok_or_else(missing)?);
    let loaded = app.load::<KnowledgeBase>(&id).await?;
    let kind = loaded.state().datasource_of(&holder.user).map_err(|_| missing())?;
    Ok(Own { id, kind })
}

async fn execute(
    app: &App,
    holder: &Holder,
    id: &KnowledgeBaseId,
    command: &Command,
) -> std::result::Result<Option<domain::Position>, Fault> {
    match app.execute::<KnowledgeBase>(id, command, &holder.metadata()).await {
        Ok(decided) => Ok(decided.position),
        Err(Executed::Refused(Refusal::Unknown)) => Err(missing()),
        Err(Executed::Refused(refusal)) => Err(Fault::error(refusal.to_string())),
        Err(Executed::Failed(failure)) => Err(failure.into()),
    }
}

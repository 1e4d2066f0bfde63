//! `/api/history`: the caller's own runs, newest first.

mod download;
mod shown;

use super::{Fault, Fields, Holder, Reply, Result, envelope::Detail};
use crate::{
    app::App,
    core::{Path, Query, site::Site},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use domain::{
    app_rating::{AppRating, Command},
    ids::{AppId, RunId},
};
use projections::app_runs::{self, Row, Wanted};
use serde::Deserialize;
use serde_json::Value;
use shown::{Brief, Item, Page, Session, Whole};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Items of a page.
const PAGE: i64 = 20;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(sessions))
        .routes(routes!(download::download))
        .routes(routes!(one, rate))
        .tagged("History")
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Asked {
    /// Only runs of this app.
    #[param(value_type = Option<uuid::Uuid>)]
    app_uuid: Option<String>,
    /// Only runs of this session.
    session_key: Option<String>,
    /// Only runs of this person; of others, there are none.
    request_user_email: Option<String>,
    /// Whether to show what was asked and answered as well: anything but `0` and `false`.
    detail: Option<String>,
    /// Which page, counted from 1.
    #[param(value_type = Option<u32>, minimum = 1)]
    page: Option<String>,
}

impl Asked {
    fn page(&self) -> std::result::Result<i64, Fault> {
        let page = self.page.as_deref().unwrap_or("1").parse::<i64>();
        page.ok().filter(|page| (1..1_000_000).contains(page)).ok_or_else(no_page)
    }

    fn app(&self) -> std::result::Result<Option<AppId>, Fault> {
        let named = self.app_uuid.as_deref().filter(|id| !id.is_empty());
        named.map(super::apps::parse).transpose()
    }

    /// As columns have it, which hold no NUL.
    fn session(&self) -> Option<String> {
        let key = self.session_key.as_deref().filter(|key| !key.is_empty());
        key.map(|key| key.replace('\0', "\u{fffd}"))
    }

    fn is_detailed(&self) -> bool {
        self.detail.as_deref().is_some_and(|wish| !matches!(wish, "" | "0" | "false" | "False"))
    }

    /// Where this list's page is.
    fn link(&self, site: &Site, path: &str, page: i64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("app_uuid", &self.app_uuid),
            ("session_key", &self.session_key),
            ("request_user_email", &self.request_user_email),
            ("detail", &self.detail),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("page", &page.to_string());
        format!("{}{path}?{}", site.base(), query.finish())
    }

    fn paged<T>(&self, site: &Site, path: &str, count: i64, results: Vec<T>) -> Result<Page<T>> {
        let page = self.page()?;
        if page > 1 && results.is_empty() {
            return Err(no_page());
        }
        let next = (page * PAGE < count).then(|| self.link(site, path, page + 1));
        let previous = (page > 1).then(|| self.link(site, path, page - 1));
        Ok(Reply::ok(Page { count, next, previous, results }))
    }
}

/// Lists the caller's own runs.
#[utoipa::path(
    get,
    path = "/api/history",
    params(Asked),
    responses(
        (status = 200, description = "A page of runs, the newest first. With `detail`, each is as the operation for one run shows it.", body = Page<Brief>),
        (status = 404, description = "There is no such page, or app.", body = Detail),
    ),
)]
async fn list(
    State(app): State<App>,
    holder: Holder,
    site: Site,
    Query(asked): Query<Asked>,
) -> Result<Page<Item>> {
    let offset = (asked.page()? - 1) * PAGE;
    app.settled("app_runs").await?;
    let mine = asked.request_user_email.as_deref().filter(|email| !email.is_empty());
    let (rows, count) = match mine {
        // Everybody's history is their own.
        Some(email) if holder.email() != Some(email) && holder.username != email => (vec![], 0),
        _ => {
            let session = asked.session();
            let (caller, app_wanted) = (&holder.user, asked.app()?);
            let session = session.as_deref();
            let wanted = Wanted { caller, app: app_wanted, session, before: None };
            app_runs::page(&app.db, wanted, offset, PAGE).await?
        }
    };
    let detailed = asked.is_detailed();
    let results = rows.into_iter().map(|row| Item::of(row, &holder, detailed)).collect();
    asked.paged(&site, "/api/history", count, results)
}

/// Lists the caller's own sessions with an app.
#[utoipa::path(
    get,
    path = "/api/history/sessions",
    params(
        ("app_uuid" = uuid::Uuid, Query, description = "With which app."),
        ("page" = Option<u32>, Query, description = "Which page, counted from 1.", minimum = 1),
    ),
    responses(
        (status = 200, description = "A page of sessions, the newest first.", body = Page<Session>),
        (status = 404, description = "There is no such page, or app.", body = Detail),
    ),
)]
async fn sessions(
    State(app): State<App>,
    holder: Holder,
    site: Site,
    Query(asked): Query<Asked>,
) -> Result<Page<Session>> {
    let id = asked.app()?.ok_or_else(|| Fault::bad_body("app_uuid is required"))?;
    let offset = (asked.page()? - 1) * PAGE;
    app.settled("app_runs").await?;
    let (rows, count) = app_runs::sessions(&app.db, &holder.user, id, offset, PAGE).await?;
    let results = rows.into_iter().map(|row| Session::of(row, &holder));
    asked.paged(&site, "/api/history/sessions", count, results.collect())
}

/// Gets one of the caller's own runs.
#[utoipa::path(
    get,
    path = "/api/history/{run}",
    params(("run" = uuid::Uuid, Path, description = "The run.")),
    responses((status = 200, description = "The run.", body = Whole)),
)]
async fn one(State(app): State<App>, holder: Holder, Path(run): Path<String>) -> Result<Whole> {
    app.settled("app_runs").await?;
    let (_, row) = own(&app, &holder, &run).await?;
    Ok(Reply::ok(Whole::of(row, &holder)))
}

/// What may be said of a run.
#[derive(Debug, Deserialize, ToSchema)]
struct Rating {
    feedback: Said,
}

/// How the answer was.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = FeedbackWish)]
struct Said {
    /// A mark; also as a number.
    #[schema(value_type = Option<String>)]
    response_quality: Option<Value>,
    response_feedback: Option<String>,
}

/// Says what the caller thinks of one of their own runs.
#[utoipa::path(
    patch,
    path = "/api/history/{run}",
    params(("run" = uuid::Uuid, Path, description = "The run.")),
    request_body(content(
        (Rating = "application/json"),
        (Rating = "application/yaml"),
        (Rating = "application/x-www-form-urlencoded"),
        (Rating = "multipart/form-data"),
    )),
    // As upstream.
    responses((status = 201, description = "The run, with what was said of it.", body = Whole)),
)]
async fn rate(
    State(app): State<App>,
    holder: Holder,
    Path(run): Path<String>,
    body: Fields,
) -> Result<Whole> {
    app.settled("app_runs").await?;
    let (id, _) = own(&app, &holder, &run).await?;
    if !body.fields.contains_key("feedback") {
        return Err(Fault::bad_body("feedback is required"));
    }
    let said = body.parse::<Rating>()?.feedback;
    let quality = match said.response_quality {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Array(_) | Value::Object(_)) => {
            return Err(Fault::bad_body("feedback.response_quality: a text or a number"));
        }
        Some(other) => Some(other.to_string()),
    };
    let command = Command::Rate { quality, remark: said.response_feedback };
    let rated = app.execute::<AppRating>(&id, &command, &holder.metadata()).await?;
    app.caught_up("app_runs", rated.position).await;
    let (_, row) = own(&app, &holder, &run).await?;
    Ok(Reply(StatusCode::CREATED, Whole::of(row, &holder)))
}

/// One of the caller's own runs.
async fn own(app: &App, holder: &Holder, run: &str) -> std::result::Result<(RunId, Row), Fault> {
    let missing = || Fault::missing("RunEntry");
    let run: RunId = run.parse().map_err(|_| missing())?;
    let row = app_runs::run(&app.db, &holder.user, run).await?.ok_or_else(missing)?;
    Ok((run, row))
}

fn no_page() -> Fault {
    Fault::Detail(StatusCode::NOT_FOUND, "Invalid page.".into())
}

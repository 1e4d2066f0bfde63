//! `/api/history`: the caller's own runs, newest first.

mod download;

use super::{Fault, Fields, Holder, Reply, Result, apps::iso};
use crate::{
    app::App,
    core::{Path, site::Site},
};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{get, post},
};
use domain::{
    app_rating::{AppRating, Command},
    ids::{AppId, RunId},
};
use projections::app_runs::{self, Row, Wanted};
use serde::Deserialize;
use serde_json::{Value, json};

/// Items of a page.
const PAGE: i64 = 20;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/history", get(list))
        .route("/api/history/sessions", get(sessions))
        .route("/api/history/download", post(download::download))
        .route("/api/history/{run}", get(one).patch(rate))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    app_uuid: Option<String>,
    session_key: Option<String>,
    request_user_email: Option<String>,
    detail: Option<String>,
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

    fn paged(&self, site: &Site, path: &str, count: i64, results: Vec<Value>) -> Result<Value> {
        let page = self.page()?;
        if page > 1 && results.is_empty() {
            return Err(no_page());
        }
        let next = (page * PAGE < count).then(|| self.link(site, path, page + 1));
        let previous = (page > 1).then(|| self.link(site, path, page - 1));
        Ok(Reply::ok(json!({
            "count": count, "next": next, "previous": previous, "results": results,
        })))
    }
}

async fn list(
    State(app): State<App>,
    holder: Holder,
    site: Site,
    Query(asked): Query<Asked>,
) -> Result<Value> {
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
    let results = rows.into_iter().map(|row| shown(row, &holder, detailed)).collect();
    asked.paged(&site, "/api/history", count, results)
}

async fn sessions(
    State(app): State<App>,
    holder: Holder,
    site: Site,
    Query(asked): Query<Asked>,
) -> Result<Value> {
    let id = asked.app()?.ok_or_else(|| Fault::bad_body("app_uuid is required"))?;
    let offset = (asked.page()? - 1) * PAGE;
    app.settled("app_runs").await?;
    let (rows, count) = app_runs::sessions(&app.db, &holder.user, id, offset, PAGE).await?;
    let results = rows.into_iter().map(|row| {
        json!({
            "session_key": row.session_key,
            "app_uuid": row.app_id,
            "request_user_email": holder.email(),
            "latest_created_at": iso(row.latest),
        })
    });
    asked.paged(&site, "/api/history/sessions", count, results.collect())
}

async fn one(State(app): State<App>, holder: Holder, Path(run): Path<String>) -> Result<Value> {
    app.settled("app_runs").await?;
    let (_, row) = own(&app, &holder, &run).await?;
    Ok(Reply::ok(shown(row, &holder, true)))
}

/// What may be said of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rating {
    feedback: Said,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    response_quality: Option<Value>,
    response_feedback: Option<String>,
}

/// As upstream, what was said of a run is 201.
async fn rate(
    State(app): State<App>,
    holder: Holder,
    Path(run): Path<String>,
    body: Fields,
) -> Result<Value> {
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
    Ok(Reply(StatusCode::CREATED, shown(row, &holder, true)))
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

fn shown(row: Row, holder: &Holder, detailed: bool) -> Value {
    let took = row.ended_at.map(|ended| (ended - row.requested_at).as_seconds_f64());
    let mut item = json!({
        "request_uuid": row.run_id,
        "app_uuid": row.app_id,
        "app_detail": {"name": row.app_name, "path": format!("/apps/{}", row.app_id)},
        "app_store_uuid": null,
        "endpoint_uuid": null,
        "session_key": row.session_key,
        "created_at": iso(row.requested_at),
        "request_user_email": holder.email(),
        "request_ip": row.ip,
        "request_location": "",
        "request_user_agent": row.user_agent,
        "response_status": row.ended_at.map(|_| 200),
        "response_time": took,
        "platform_data": {},
        "usage_metrics": metrics(&row.steps.0),
    });
    if detailed {
        let response = row.response.map(|response| response.0);
        item["request_content_type"] = row.content_type.into();
        item["request_body"] = row.request.0;
        item["response_body"] = response.unwrap_or_default();
        item["response_content_type"] = "application/json".into();
        item["response_headers"] = json!({});
        item["processor_runs"] = row.steps.0;
        item["feedback"] = row.rating.map_or(Value::Null, |rating| {
            json!({
                "response_quality": rating.0["quality"],
                "response_feedback": rating.0["remark"],
            })
        });
        item["outcome"] = row.outcome.into();
    }
    item
}

/// `{step: [[model, metric, [source, amount]], …]}`.
fn metrics(steps: &Value) -> Value {
    let mut metrics = serde_json::Map::new();
    for step in steps.as_array().into_iter().flatten() {
        let Some(name) = step["step"].as_str() else { continue };
        let list = metrics.entry(name.to_owned()).or_insert_with(|| json!([]));
        let Some(list) = list.as_array_mut() else { continue };
        for turn in step["usage"].as_array().into_iter().flatten() {
            for (metric, key) in
                [("input tokens", "prompt_tokens"), ("output tokens", "completion_tokens")]
            {
                if let Some(amount) = turn["usage"][key].as_u64() {
                    list.push(json!([turn["model"], metric, ["usage", amount]]));
                }
            }
        }
    }
    metrics.into()
}

//! `POST /api/history/download`: the caller's runs of an app as a table.

use super::{Fields, Holder};
use crate::{
    app::App,
    core::Error,
    llmstack::{
        Fault,
        apps::{self, iso},
        body::number,
        envelope::Detail,
    },
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use projections::app_runs::{self, Row, Wanted};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Rows at most.
const MOST: u64 = 100;

/// Which runs go into the table.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = HistoryTableWish)]
struct Asked {
    /// Of which app.
    #[schema(required, value_type = uuid::Uuid)]
    app_uuid: Option<String>,
    /// Only those that were wanted before.
    before: Option<DateTime<Utc>>,
    /// How many at most.
    #[serde(default, deserialize_with = "number")]
    #[schema(minimum = 1, maximum = 100, default = 100)]
    count: Option<u64>,
    /// Without the columns from `Request UUID` on.
    #[schema(default = true)]
    brief: Option<bool>,
}

/// A table of one run.
const TABLE: &str = "Created At,Session,Request,Response\n2024-01-21T21:49:53.123456Z,s1,\"{\"\"question\"\":\"\"How long?\"\"}\",Thirty days\n";

/// Downloads the caller's own runs of an app as a table, the newest first.
///
/// The columns are `Created At`, `Session`, `Request` and `Response`; unless it is `brief`, `Request UUID`, `User`, `IP`,
/// `User Agent`, `Status`, `Time` and `Feedback` as well. A cell that a spreadsheet would take for a formula begins with `'`.
#[utoipa::path(
    post,
    path = "/api/history/download",
    request_body(content(
        (Asked = "application/json"),
        (Asked = "application/yaml"),
        (Asked = "application/x-www-form-urlencoded"),
        (Asked = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The table, with a line of names.", body = String, content_type = "text/csv", example = json!(TABLE)),
        (status = 404, description = "There is no such app.", body = Detail),
    ),
)]
pub async fn download(
    State(app): State<App>,
    holder: Holder,
    body: Fields,
) -> Result<Response, Fault> {
    let asked: Asked = body.parse()?;
    let id = asked.app_uuid.as_deref().filter(|id| !id.is_empty());
    let id = apps::parse(id.ok_or_else(|| Fault::bad_body("app_uuid is required"))?)?;
    let count = asked.count.unwrap_or(MOST);
    let limit = i64::try_from(count).ok().filter(|_| (1..=MOST).contains(&count));
    let limit =
        limit.ok_or_else(|| Fault::bad_body(format!("count: a number from 1 to {MOST}")))?;
    app.settled("app_runs").await?;
    let wanted =
        Wanted { caller: &holder.user, app: Some(id), session: None, before: asked.before };
    let (rows, _) = app_runs::page(&app.db, wanted, 0, limit).await?;
    let brief = asked.brief.unwrap_or(true);
    let table = table(&rows, &holder, brief);
    let table = table.map_err(|error| Error::Internal(error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"history.csv\""),
    ];
    Ok((headers, table).into_response())
}

fn table(rows: &[Row], holder: &Holder, brief: bool) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut columns = vec!["Created At", "Session", "Request", "Response"];
    if !brief {
        columns.extend(["Request UUID", "User", "IP", "User Agent", "Status", "Time", "Feedback"]);
    }
    table.write_record(columns)?;
    for row in rows {
        let response = row.response.as_ref().map(|response| &response.0);
        let mut cells = vec![
            iso(row.requested_at),
            row.session_key.clone(),
            row.request.0["input"].to_string(),
            response.map(|response| said(&response["output"], response)).unwrap_or_default(),
        ];
        if !brief {
            let took = row.ended_at.map(|ended| (ended - row.requested_at).as_seconds_f64());
            cells.extend([
                row.run_id.to_string(),
                holder.email().unwrap_or(&holder.username).to_owned(),
                row.ip.clone().unwrap_or_default(),
                row.user_agent.clone().unwrap_or_default(),
                row.outcome.clone().unwrap_or_default(),
                took.map(|took| took.to_string()).unwrap_or_default(),
                row.rating.as_ref().map(|rating| rating.0.to_string()).unwrap_or_default(),
            ]);
        }
        table.write_record(cells.iter().map(|cell| harmless(cell)))?;
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

/// The text that an app said; what is none as JSON.
fn said(output: &Value, response: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        Value::Null => response.to_string(),
        other => other.to_string(),
    }
}

/// A cell that a spreadsheet would take for a formula is marked as text.
fn harmless(cell: &str) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

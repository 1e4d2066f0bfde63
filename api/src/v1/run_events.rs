//! `GET /v1/runs/{id}/events`: what was recorded of a run, for its owner and administrators.

use super::{events::Event, runs};
use crate::{
    app::App,
    core::{Caller, Error, Path, Query},
    openapi::Documented,
};
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use commands::{log::Direction, publish};
use domain::{Revision, StreamId, ids::RunId, run::Run};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Events of a page, unless the client asks for another number.
const PAGE: usize = 200;
/// Most events of a page.
const LONGEST_PAGE: u64 = 1_000;
/// Events read at a time.
const STEP: usize = 100;
/// A page ends when it weighs this much, bytes.
const HEAVIEST: usize = 4 << 20;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(events)).tagged("Runs")
}

/// A slip in a name is refused.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Revision of the first; the `next` of the page before.
    #[serde(default)]
    from: u64,
    /// Most events of the page; 200 unless it is named.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<u64>,
}

/// A page of what was recorded of a run.
#[derive(ToSchema)]
#[schema(as = RunEventPage)]
#[expect(dead_code, reason = "a shape for the document; the bytes are those of the log")]
struct Page {
    /// In the order of the run's stream.
    events: Vec<Event>,
    /// The `from` of the next page: where to go on, now or when more has happened.
    next: u64,
}

/// Lists what was recorded of a run.
#[utoipa::path(
    get,
    path = "/runs/{id}/events",
    params(("id" = Uuid, Path, description = "The run."), Wanted),
    responses((status = 200, description = "The page.", body = Page)),
)]
async fn events(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let limit = match wanted.limit {
        None => PAGE,
        Some(limit @ 1..=LONGEST_PAGE) => usize::try_from(limit).unwrap_or(PAGE),
        Some(other) => {
            return Err(super::bad("limit", "has to be between 1 and 1000", json!(other)));
        }
    };
    let run = RunId(runs::find(&app, &caller, &id).await?.run_id);
    let stream = StreamId::of::<Run>(&run);
    let mut body = Vec::from(br#"{"events":["#);
    let (mut next, mut found) = (Revision(wanted.from), 0);
    // Beyond every revision there can be: nothing is there, and the log must not be asked.
    let possible = i64::try_from(wanted.from).is_ok();
    'page: while possible && found < limit {
        let step = app.log.read(&stream, next, Direction::Forward, STEP).await?;
        let last = step.len() < STEP;
        for event in step {
            if found == limit || (found > 0 && body.len() + event.weight() > HEAVIEST) {
                break 'page;
            }
            if found > 0 {
                body.push(b',');
            }
            let shown = publish::payload(&event);
            body.extend(shown.map_err(|error| Error::Internal(error.to_string()))?);
            next = Revision(event.revision.0 + 1);
            found += 1;
        }
        if last {
            break;
        }
    }
    body.extend(format!(r#"],"next":{next}}}"#).into_bytes());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

//! `GET /v1/events` and `GET /v1/events/stream`: everything that happened, for administrators.

use super::{administrators_only, bad};
use crate::{
    app::App,
    audit::{self, Search},
    core::{Caller, Error, Query, run_stream::Framing},
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, Utc};
use commands::{
    log::{Delivery, Filter},
    publish,
};
use domain::{Position, Recorded, StreamId};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{io, time::Duration};
use uuid::Uuid;

/// Events of a page, unless the client asks for another number.
const PAGE: usize = 100;
/// Most events of a page.
const LONGEST_PAGE: usize = 1_000;
/// How long a page is searched for; then the answer says where to go on.
const PATIENCE: Duration = Duration::from_secs(1);
/// Silence after which a stream sends a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/events", get(page)).route("/events/stream", get(stream))
}

/// A slip in a name is refused: a filter that is passed over shows too much.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The event with this id.
    id: Option<String>,
    stream: Option<String>,
    /// One, or several separated by commas.
    category: Option<String>,
    /// One, or several separated by commas.
    r#type: Option<String>,
    actor: Option<String>,
    #[serde(alias = "correlation_id")]
    correlation: Option<String>,
    #[serde(alias = "causation_id")]
    causation: Option<String>,
    /// From this position on.
    from: Option<u64>,
    /// Only what comes after this position.
    after: Option<u64>,
    /// The `next` of the page before.
    cursor: Option<u64>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<u64>,
}

async fn page(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    administrators_only(&caller)?;
    let (search, mut after) = wanted.parse()?;
    if let (Some(id), None) = (search.id, &app.config.eventstore_url) {
        // An index leads there; what it does not know is nowhere.
        let found = audit::position_of(&app.db, id).await?;
        after = match found {
            Some(position) => after.max(Position(position.0.saturating_sub(1))),
            None => app.head().await?,
        };
    }
    let limit = match wanted.limit {
        None => PAGE,
        Some(limit @ 1..=1_000) => usize::try_from(limit).unwrap_or(LONGEST_PAGE),
        Some(other) => return Err(bad("limit", "has to be between 1 and 1000", json!(other))),
    };
    let found = search.page(&*app.log, after, limit, PATIENCE).await?;
    let mut body = Vec::from(br#"{"events":["#);
    for (i, event) in found.events.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        body.extend(shown(event)?);
    }
    let next = found.next.map_or(Value::Null, |next| json!(next));
    body.extend(format!(r#"],"next":{next},"head":{}}}"#, found.head).into_bytes());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

/// First what is there, then what comes, until the client has enough or the server goes down.
async fn stream(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    administrators_only(&caller)?;
    let (mut search, mut after) = wanted.parse()?;
    if let Some(last) = headers.get("last-event-id") {
        let position = last.to_str().ok().and_then(|text| text.trim().parse().ok());
        after = Position(position.ok_or_else(|| {
            bad("Last-Event-ID", "has to be a position", json!(last.to_str().unwrap_or_default()))
        })?);
    }
    if let Some(stream) = &search.stream {
        // Lets the log leave out most of the rest.
        search.filter.categories = vec![stream.category().into()];
    }
    let deliveries = app.log.subscribe(after, search.filter.clone());
    let bytes = serve(search, deliveries).take_until(app.draining.clone().cancelled_owned());
    Ok((Framing::Sse.headers(), Body::from_stream(bytes)).into_response())
}

fn serve(
    search: Search,
    mut deliveries: impl Stream<Item = Delivery> + Send + Unpin,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    async_stream::stream! {
        // At once, so that the client knows that it is connected.
        yield Ok(Bytes::from_static(b": \n\n"));
        loop {
            let delivery = match tokio::time::timeout(HEARTBEAT, deliveries.next()).await {
                Ok(Some(delivery)) => delivery,
                Ok(None) => return,
                Err(_) => {
                    yield Ok(Bytes::from_static(b": \n\n"));
                    continue;
                }
            };
            let mut bytes = Vec::new();
            for event in &delivery.events {
                if search.until.is_some_and(|until| event.recorded_at >= until) {
                    if !bytes.is_empty() {
                        yield Ok(Bytes::from(bytes));
                    }
                    return;
                }
                if search.admits(event) && frame(event, &mut bytes).is_err() {
                    // Leaving it out would be a gap that nobody notices.
                    tracing::error!(position = %event.position, "an event cannot be shown");
                    return;
                }
            }
            if !bytes.is_empty() {
                yield Ok(Bytes::from(bytes));
            }
        }
    }
}

/// JSON may stand on several lines, as it was written; each needs its own `data:`.
fn frame(event: &Recorded, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let shown = shown(event)?;
    bytes.extend(format!("id: {}\n", event.position).into_bytes());
    for line in shown.split(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.extend_from_slice(b"data: ");
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    Ok(())
}

fn shown(event: &Recorded) -> Result<Vec<u8>, Error> {
    publish::payload(event).map_err(|error| Error::Internal(error.to_string()))
}

impl Wanted {
    /// What to look for, and after which position.
    fn parse(&self) -> Result<(Search, Position), Error> {
        let stream = parse("stream", "has to be category-id", self.stream.as_deref(), |text| {
            text.parse::<StreamId>().ok()
        })?;
        let id = |text: &str| text.parse::<Uuid>().ok();
        let correlation =
            parse("correlation", "has to be a UUID", self.correlation.as_deref(), id)?;
        let causation = parse("causation", "has to be a UUID", self.causation.as_deref(), id)?;
        let id = parse("id", "has to be a UUID", self.id.as_deref(), id)?;
        let time = |text: &str| {
            // An unescaped plus in a query is a blank.
            let time = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok()?;
            Some(time.with_timezone(&Utc))
        };
        let fits = "has to be a time such as 2026-01-31T12:00:00Z";
        let since = parse("since", fits, self.since.as_deref(), time)?;
        let until = parse("until", fits, self.until.as_deref(), time)?;
        let filter = Filter { categories: list(&self.category), kinds: list(&self.r#type) };
        let actor = self.actor.as_deref().map(Into::into);
        let search = Search { id, stream, filter, actor, correlation, causation, since, until };
        let from = self.from.map(|from| from.saturating_sub(1));
        let after = [self.after, self.cursor, from].into_iter().flatten().max();
        Ok((search, Position(after.unwrap_or(0))))
    }
}

/// The text's value. An empty text is as good as none, as forms send it.
fn parse<T>(
    name: &str,
    fits: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| bad(name, fits, json!(text)))
}

fn list(text: &Option<String>) -> Vec<Box<str>> {
    let names = text.iter().flat_map(|text| text.split(','));
    names
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.contains('\0'))
        .map(Into::into)
        .collect()
}

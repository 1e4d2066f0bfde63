//! `GET /v1/events` and `GET /v1/events/stream`: everything that happened, for administrators.

use super::{administrators_only, bad};
use crate::{
    app::App,
    audit::{self, Search},
    core::{Caller, Error, Query, run_stream::Framing},
    openapi::Documented,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
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
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
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
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(page)).routes(routes!(stream)).tagged("Events")
}

/// A slip in a name is refused: a filter that is passed over shows too much.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The event with this id, a UUID.
    id: Option<String>,
    /// The stream, such as `conversation-0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1`.
    stream: Option<String>,
    /// One, or several separated by commas.
    category: Option<String>,
    /// One, or several separated by commas.
    r#type: Option<String>,
    /// Who acted.
    actor: Option<String>,
    /// The request that it goes back to, a UUID; also as `correlation_id`.
    #[serde(alias = "correlation_id")]
    correlation: Option<String>,
    /// The event or command that directly caused it, a UUID; also as `causation_id`.
    #[serde(alias = "causation_id")]
    causation: Option<String>,
    /// From this position on.
    from: Option<u64>,
    /// Only what comes after this position.
    after: Option<u64>,
    /// The `next` of the page before.
    cursor: Option<u64>,
    /// Recorded at this time or later, such as `2026-01-31T12:00:00Z`.
    since: Option<String>,
    /// Recorded before this time.
    until: Option<String>,
    /// Most events of the page; 100 unless it is named.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<u64>,
}

/// Something that happened.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the bytes are those of the log")]
pub(super) struct Event {
    /// Its own id.
    id: Uuid,
    /// Where in the log, counted from 1.
    #[schema(minimum = 1)]
    position: u64,
    /// `category-id` of the aggregate.
    stream: String,
    /// Where in its stream, counted from 0.
    revision: u64,
    /// What happened.
    r#type: String,
    /// What there is to say about it, by its type.
    #[schema(value_type = Object)]
    data: Value,
    /// Who caused it: `actor`, `correlation_id`, and where they are known `causation_id`, `on_behalf_of` and `traceparent`.
    #[schema(value_type = Object)]
    metadata: Value,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
}

/// A page of events.
#[derive(ToSchema)]
#[schema(as = EventPage)]
#[expect(dead_code, reason = "a shape for the document; the bytes are those of the log")]
struct Page {
    /// In the order of the log.
    events: Vec<Event>,
    /// The `cursor` of the next page; `null` when there is none by now.
    next: Option<u64>,
    /// The last position of the log.
    head: u64,
}

/// Events as they come.
const LIVE: &str = r#"id: 42
data: {"id":"0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1","position":42,"stream":"conversation-s1","revision":3,"type":"Retitled","data":{"title":"Evening"},"metadata":{"actor":"ann","correlation_id":"0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c2"},"recorded_at":"2026-01-31T12:00:00.123456Z"}

"#;

/// Lists events, for administrators.
///
/// All filters have to hold. A page is looked for during a second; `next` says where to go on even when nothing was found.
#[utoipa::path(
    get,
    path = "/events",
    params(Wanted),
    responses((status = 200, description = "The page.", body = Page)),
)]
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
    let found = match (search.causation, &app.config.eventstore_url) {
        (Some(cause), None) => {
            // An index knows them all.
            let places = audit::effects_of(&app.db, cause, after).await?;
            search.among(&*app.log, &places, limit, PATIENCE).await?
        }
        _ => search.page(&*app.log, after, limit, PATIENCE).await?,
    };
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

/// Follows events, for administrators.
///
/// First what is there, then what comes, until the client has enough or the server goes down. The data of an event is an
/// [event](#/components/schemas/Event); its `id` is its position, which leads on from there as `Last-Event-ID`. Signs of life
/// begin with a colon.
#[utoipa::path(
    get,
    path = "/events/stream",
    params(
        Wanted,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was received."),
    ),
    responses((
        status = 200,
        description = "The events.",
        content(("text/event-stream", example = json!(LIVE))),
    )),
)]
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

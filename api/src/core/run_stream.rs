//! Streams of a run's lines, from any index, live or replayed: the same bytes for everybody at any time.

use super::Error;
use crate::app::App;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use commands::log::{Direction, EventLog};
use domain::{
    Recorded, Revision, StreamId,
    ids::RunId,
    run::{Run, lines_in},
};
use futures::{Stream, StreamExt};
use std::{io, time::Duration};

/// Silence after which a sign of life is sent.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Events looked at to find one that carries lines.
const PROBE: usize = 16;

/// The header that names the run of a stream.
pub static RUN_ID: HeaderName = HeaderName::from_static("x-run-id");

/// How lines are put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON object per line.
    Lines,
    /// Server-sent events with `id: <run>:<index>`.
    Sse,
}

/// Where a reader is, and how it wants to be served.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// The run.
    pub run: RunId,
    /// Index of the first line wanted.
    pub index: u64,
    /// How.
    pub framing: Framing,
    /// Whether silence is broken by heartbeats.
    pub heartbeat: bool,
}

impl Framing {
    /// Server-sent events for those who ask for them.
    pub fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        match accept {
            Some(types) if types.contains("text/event-stream") => Self::Sse,
            _ => Self::Lines,
        }
    }

    /// Headers of a stream in this framing.
    pub fn headers(self) -> [(HeaderName, HeaderValue); 3] {
        let kind = match self {
            Self::Lines => "text/plain; charset=utf-8",
            Self::Sse => "text/event-stream; charset=utf-8",
        };
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ]
    }

    /// One line that belongs to no run.
    pub fn lone(self, line: &str) -> Bytes {
        match self {
            Self::Lines => format!("{line}\n").into(),
            Self::Sse => format!("data: {line}\n\n").into(),
        }
    }

    fn heartbeat(self) -> Bytes {
        match self {
            Self::Lines => Bytes::from_static(b": heartbeat\n\n"),
            Self::Sse => Bytes::from_static(b": \n\n"),
        }
    }
}

/// Run and next index of the `Last-Event-ID` a reconnecting reader sends.
pub fn last_event_id(headers: &HeaderMap) -> Option<(RunId, u64)> {
    let (run, index) = headers.get("last-event-id")?.to_str().ok()?.split_once(':')?;
    Some((run.parse().ok()?, index.parse::<u64>().ok()?.checked_add(1)?))
}

/// A response that streams the run's lines to this reader until the end line, or until the server drains. The lines
/// after that are in the log, and any node goes on with them.
///
/// # Errors
/// When the log cannot be read.
pub async fn respond(app: &App, reader: Reader) -> Result<Response, Error> {
    let bytes = open(app, reader).await?.take_until(app.draining.clone().cancelled_owned());
    Ok(response(reader, Body::from_stream(bytes)))
}

/// A streaming response with the headers every such response carries.
pub fn response(reader: Reader, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().extend(reader.framing.headers());
    if let Ok(value) = HeaderValue::from_str(&reader.run.to_string()) {
        response.headers_mut().insert(RUN_ID.clone(), value);
    }
    response
}

/// The bytes of the run's lines for this reader, ending after the end line.
///
/// # Errors
/// When the log cannot be read.
pub async fn open(
    app: &App,
    mut reader: Reader,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, Error> {
    let stream = StreamId::of::<Run>(&reader.run);
    let Place { from, index } = locate(&*app.log, &stream, reader.index).await?;
    reader.index = index;
    let mut batches = app.log.follow(stream, from);
    Ok(async_stream::stream! {
        let mut next = reader.index;
        loop {
            let batch = match tokio::time::timeout(HEARTBEAT, batches.next()).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return,
                Err(_) if reader.heartbeat => {
                    yield Ok(reader.framing.heartbeat());
                    continue;
                }
                Err(_) => continue,
            };
            let mut bytes = Vec::new();
            let over = batch.iter().any(|event| frame(event, reader, &mut next, &mut bytes));
            if !bytes.is_empty() {
                yield Ok(Bytes::from(bytes));
            }
            if over {
                return;
            }
        }
    })
}

/// Appends the event's lines from `next` on. Whether the end line was among them.
fn frame(event: &Recorded, reader: Reader, next: &mut u64, bytes: &mut Vec<u8>) -> bool {
    let lines = match lines_in(&event.kind, &event.data) {
        Ok(Some(lines)) => lines,
        Ok(None) => return false,
        Err(error) => {
            // A line that cannot be read must not be passed over: the reader's count would be wrong from here on.
            tracing::error!(position = %event.position, %error, "unreadable lines");
            return true;
        }
    };
    let skipped = usize::try_from(next.saturating_sub(lines.first)).unwrap_or(usize::MAX);
    for line in lines.lines.iter().skip(skipped) {
        if reader.framing == Framing::Sse {
            bytes.extend_from_slice(format!("id: {}:{next}\ndata: ", reader.run).as_bytes());
        }
        bytes.extend_from_slice(line.get().as_bytes());
        bytes.extend_from_slice(if reader.framing == Framing::Sse { b"\n\n" } else { b"\n" });
        *next += 1;
    }
    lines.end
}

/// How many lines of the run there are.
///
/// # Errors
/// When the log cannot be read.
pub async fn recorded(log: &dyn EventLog, run: RunId) -> Result<u64, Error> {
    let stream = StreamId::of::<Run>(&run);
    Ok(last_span(log, &stream).await?.map_or(0, |(_, span)| span.end))
}

struct Place {
    from: Revision,
    index: u64,
}

/// The revision from which to read to see line `index`, found by bisection: a run may have many thousand events. An index
/// that was never reached is stale, most likely another run's: of a run that is over it leads to the end line, of one
/// that goes on to the lines from now on.
async fn locate(log: &dyn EventLog, stream: &StreamId, index: u64) -> Result<Place, Error> {
    let Some((revision, Span { first, end, over })) = last_span(log, stream).await? else {
        return Ok(Place { from: Revision(0), index: 0 });
    };
    if index >= end {
        let index = if over { end - 1 } else { end };
        return Ok(Place { from: revision, index });
    }
    if index >= first {
        return Ok(Place { from: revision, index });
    }
    let (mut low, mut high) = (0, revision.0);
    while high - low > PROBE as u64 {
        let middle = low + (high - low) / 2;
        let probe = log.read(stream, Revision(middle), Direction::Forward, PROBE).await?;
        match probe.iter().find_map(|event| span(event)) {
            Some(span) if span.first <= index => low = middle,
            _ => high = middle,
        }
    }
    Ok(Place { from: Revision(low), index })
}

/// The last event that carries lines.
async fn last_span(
    log: &dyn EventLog,
    stream: &StreamId,
) -> Result<Option<(Revision, Span)>, Error> {
    let last = log.read(stream, Revision(u64::MAX >> 1), Direction::Backward, PROBE).await?;
    Ok(last.iter().find_map(|event| Some((event.revision, span(event)?))))
}

struct Span {
    first: u64,
    /// Index after the last.
    end: u64,
    over: bool,
}

fn span(event: &Recorded) -> Option<Span> {
    let lines = lines_in(&event.kind, &event.data).ok()??;
    let end = lines.first + lines.lines.len() as u64;
    Some(Span { first: lines.first, end, over: lines.end })
}

//! Streams of a run's lines, from any index, live or replayed: the same bytes for everybody at any time.

pub use super::framing::Framing;
use super::{Error, tie::Tie};
use crate::app::App;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use commands::log::{Direction, EventLog};
use domain::{
    Recorded, Revision, StreamId,
    ids::RunId,
    run::{Run, lines_in},
};
use futures::{Stream, StreamExt};
use std::io;

/// Events looked at to find one that carries lines.
const PROBE: usize = 16;

/// The header that names the run of a stream.
pub static RUN_ID: HeaderName = HeaderName::from_static("x-run-id");

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

/// As [`respond`]; a reader that goes away stops the run, and one from which the server goes away does not.
///
/// # Errors
/// When the log cannot be read.
pub async fn tied(app: &App, reader: Reader, tie: Tie) -> Result<Response, Error> {
    tied_until(app, reader, tie, |_| true).await
}

/// As [`tied`]; the end line is sent only if `ending` wants it.
///
/// # Errors
/// When the log cannot be read.
pub async fn tied_until(
    app: &App,
    reader: Reader,
    tie: Tie,
    ending: fn(&str) -> bool,
) -> Result<Response, Error> {
    let lines = open_until(app, reader, ending).await?;
    let draining = app.draining.clone();
    let tied = async_stream::stream! {
        let mut lines = std::pin::pin!(lines.take_until(draining.cancelled_owned()));
        while let Some(chunk) = lines.next().await {
            yield chunk;
        }
        tie.loosen();
    };
    Ok(response(reader, Body::from_stream(tied)))
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
    reader: Reader,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, Error> {
    open_until(app, reader, |_| true).await
}

/// As [`open`]; the end line is sent only if `ending` wants it.
///
/// # Errors
/// When the log cannot be read.
pub async fn open_until(
    app: &App,
    mut reader: Reader,
    ending: fn(&str) -> bool,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, Error> {
    let stream = StreamId::of::<Run>(&reader.run);
    let Place { from, index } = locate(&*app.log, &stream, reader.index).await?;
    reader.index = index;
    let mut batches = app.log.follow(stream, from);
    Ok(async_stream::stream! {
        let mut next = reader.index;
        let (sign, silence) = reader.framing.heartbeat();
        loop {
            let batch = match tokio::time::timeout(silence, batches.next()).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return,
                Err(_) if reader.heartbeat => {
                    yield Ok(sign.clone());
                    continue;
                }
                Err(_) => continue,
            };
            let mut bytes = Vec::new();
            let mut frame = |event| frame(event, reader, ending, &mut next, &mut bytes);
            let over = batch.iter().any(|event| frame(event));
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
fn frame(
    event: &Recorded,
    reader: Reader,
    ending: fn(&str) -> bool,
    next: &mut u64,
    bytes: &mut Vec<u8>,
) -> bool {
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
        if lines.end && !ending(line.get()) {
            break;
        }
        let (before, after) = reader.framing.frame(reader.run, *next);
        bytes.extend_from_slice(before.as_bytes());
        bytes.extend_from_slice(line.get().as_bytes());
        bytes.extend_from_slice(after);
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

/// The revision from which to read to see line `index`: a run may have many thousand events, and those of a run hold
/// about equally many lines, so its place can be guessed well. An index that was never reached is stale, most likely
/// another run's: of a run that is over it leads to the end line, of one that goes on to the lines from now on.
async fn locate(log: &dyn EventLog, stream: &StreamId, index: u64) -> Result<Place, Error> {
    let Some((revision, Span { first, end, over })) = last_span(log, stream).await? else {
        // None at all so far, or none for long: in the second case they have to be counted from the beginning.
        let later = log.read(stream, Revision(PROBE as u64), Direction::Forward, 1).await?;
        let index = if later.is_empty() { 0 } else { index };
        return Ok(Place { from: Revision(0), index });
    };
    if index >= end {
        let index = if over { end - 1 } else { end };
        return Ok(Place { from: revision, index });
    }
    if index >= first {
        return Ok(Place { from: revision, index });
    }
    let (mut low, mut high) = (Mark::default(), Mark { revision: revision.0, index: first });
    let mut guess = true;
    while high.revision - low.revision > PROBE as u64 {
        // Every other time the middle, so that a run of another shape takes no longer than by bisection.
        let at = if guess {
            low.towards(high, index)
        } else {
            u64::midpoint(low.revision, high.revision)
        };
        guess = !guess;
        let probe = log.read(stream, Revision(at), Direction::Forward, PROBE).await?;
        let spans = probe.iter().filter_map(|event| Some((event.revision, span(event)?)));
        let mut spans = spans.peekable();
        match spans.peek() {
            Some((_, next)) if next.first > index => {
                high = Mark { revision: at, index: next.first }
            }
            None => high.revision = at,
            Some(_) => {
                let Some((from, at)) = spans.take_while(|(_, span)| span.first <= index).last()
                else {
                    break;
                };
                if index < at.end {
                    return Ok(Place { from, index });
                }
                low = Mark { revision: from.0, index: at.end };
            }
        }
    }
    Ok(Place { from: Revision(low.revision), index })
}

/// A place that is known: lines from `index` on are at `revision` or after it.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    revision: u64,
    index: u64,
}

impl Mark {
    /// Where line `index` lies if the events between here and `other` hold equally many lines, in the middle of a probe.
    fn towards(self, other: Self, index: u64) -> u64 {
        let (events, lines) =
            (other.revision - self.revision, other.index.saturating_sub(self.index));
        let part = u128::from(index.saturating_sub(self.index)) * u128::from(events)
            / u128::from(lines.max(1));
        let at = self.revision + u64::try_from(part).unwrap_or(events).min(events - 1);
        at.saturating_sub(PROBE as u64 / 2).max(self.revision)
    }
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use commands::log::{Append, memory::MemoryLog};
    use domain::{Expected, NewEvent, codec, message::Line, run::Event};
    use serde_json::value::RawValue;
    use uuid::Uuid;

    /// A run that goes on, its events holding so many lines each; 0 is an event of another kind.
    async fn run(sizes: &[u64]) -> (MemoryLog, StreamId) {
        let (log, stream) = (MemoryLog::default(), StreamId::of::<Run>(&RunId(Uuid::nil())));
        let line = Line(RawValue::from_string("{}".to_owned()).unwrap());
        let (mut first, mut events) = (0, Vec::new());
        for size in sizes {
            let lines = vec![line.clone(); usize::try_from(*size).unwrap()];
            let event = match size {
                0 => Event::TurnStarted { turn: 0, attempt: 1, message_id: String::new() },
                _ => Event::LinesRecorded { first, lines },
            };
            let (kind, data) = codec::encode(&event).unwrap();
            let metadata = RawValue::from_string("{}".to_owned()).unwrap();
            events.push(NewEvent { id: Uuid::new_v4(), kind, data, metadata });
            first += size;
        }
        let append = Append { stream: stream.clone(), expected: Expected::NoStream, events };
        log.append(append).await.unwrap();
        (log, stream)
    }

    #[tokio::test]
    async fn every_line_is_found_in_runs_of_any_shape() {
        let mut late = vec![1; 600];
        late[599] = 900;
        let mut early = late.clone();
        early.reverse();
        let gaps: Vec<u64> = (0..700).map(|n| u64::from(n % 90 == 0) * 40).collect();
        let mixed: Vec<u64> = (0..500).map(|n| n * n % 13).collect();
        for sizes in [vec![1; 1_000], vec![50; 300], late, early, gaps, mixed] {
            let (log, stream) = run(&sizes).await;
            for index in (0..sizes.iter().sum()).step_by(3) {
                let place = locate(&log, &stream, index).await.unwrap();
                let from = usize::try_from(place.from.0).unwrap();
                let before: u64 = sizes[..from].iter().sum();
                // Where no event for long has lines, a reader may begin earlier than it had to.
                let dense = !sizes.windows(PROBE).any(|events| events.iter().all(|n| *n == 0));
                let near: u64 = sizes[from..].iter().take(PROBE + 1).sum();
                assert_eq!(place.index, index);
                assert!(before <= index && (!dense || index < before + near), "{index}: {from}");
            }
        }
    }

    #[tokio::test]
    async fn a_line_far_inside_a_long_run_takes_few_reads() {
        let (log, stream) = run(&[1; 9_000]).await;
        let place = locate(&log, &stream, 4_321).await.unwrap();
        assert_eq!(place.from, Revision(4_321));
    }
}

//! The log on an EventStoreDB or KurrentDB cluster. Nothing else knows its client.
//!
//! Positions are commit positions: they ascend in the order of commits, and on a server other than annals they have gaps. There, too, an
//! event id is only recognised where the append expected its stream to end; on annals it is, anywhere in the log.

mod following;

use super::{
    Append, AppendError, Appended, Batch, Delivery, Direction, EventLog, Filter, Page, ReadError,
    fits, limits,
};
use crate::{effects::Sensitive, pulse};
use ::eventstore::{
    AppendToStreamOptions, Client, ClientSettings, CurrentRevision, Error, EventData,
    ExpectedRevision, Position as At, ReadAllOptions, ReadStream, ReadStreamOptions, ResolvedEvent,
    StreamPosition,
};
use chrono::DateTime;
use domain::{Expected, Position, Recorded, Revision, StreamId};
use following::{Following, What};
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream::{self, BoxStream},
};
use serde_json::value::RawValue;
use std::{
    fmt, fs,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tracing::Instrument;

/// How long an append or a read is repeated while the server is away.
const PATIENCE: Duration = Duration::from_secs(30);
/// First and longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// A page of the whole log ends early when it weighs this much, bytes.
const HEAVIEST_PAGE: usize = 16 << 20;

/// `Cancelled` of gRPC: what a server answers that goes down in the middle of a call.
const CANCELLED: i32 = 1;

/// The connection string cannot be used. It may hold a password, so it is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It makes no sense.
    #[error("not a connection string such as esdb://name:password@host:2113?tls=false")]
    NotAConnectionString,
    /// It names a file with certificates or a key that is not there, or not one.
    #[error("{0} is no file with {1} in PEM")]
    NotPem(String, &'static str),
}

/// The log on a cluster; cheap to clone.
#[derive(Clone)]
pub struct EventStoreLog(Arc<Link>);

struct Link {
    settings: ClientSettings,
    /// A client gives up for good when it cannot connect; then there is a new one. With the how-manieth it is.
    client: RwLock<(u64, Client)>,
}

impl fmt::Debug for EventStoreLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStoreLog([redacted])")
    }
}

impl EventStoreLog {
    /// The log behind a connection string, which says who calls and whether there is TLS. Has to be called within a tokio
    /// runtime; connects at first use.
    ///
    /// # Errors
    /// When it is not a connection string, or names a file that cannot be read: the client would die of that later.
    pub fn open(url: &Sensitive) -> Result<Arc<Self>, Unusable> {
        let settings: ClientSettings =
            url.expose().parse().map_err(|_| Unusable::NotAConnectionString)?;
        let (certificate, key) = settings.user_certificate().unzip();
        for (path, what) in [
            (settings.tls_ca_file(), "CERTIFICATE"),
            (certificate, "CERTIFICATE"),
            (key, "PRIVATE KEY"),
        ] {
            let Some(path) = path else { continue };
            let text = fs::read_to_string(path).unwrap_or_default();
            if !text.contains("-----BEGIN") || !text.contains(what) {
                return Err(Unusable::NotPem(path.clone(), what));
            }
        }
        let client = Client::new(settings.clone()).map_err(|_| Unusable::NotAConnectionString)?;
        Ok(Arc::new(Self(Arc::new(Link { settings, client: RwLock::new((0, client)) }))))
    }

    /// The client in use, and the how-manieth it is.
    fn client(&self) -> (u64, Client) {
        self.0.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a new client when this one is of no use any more; of many who notice, one does.
    fn renew(&self, worn: u64, error: &Error) {
        if !matches!(error, Error::ConnectionClosed | Error::GrpcConnectionError(_)) {
            return;
        }
        let mut current = self.0.client.write().unwrap_or_else(PoisonError::into_inner);
        if current.0 == worn
            && let Ok(client) = Client::new(self.0.settings.clone())
        {
            *current = (worn + 1, client);
        }
    }

    /// Repeats what fails for want of a server.
    async fn persist<T, F>(&self, mut attempt: impl FnMut(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (begun, mut pause) = (Instant::now(), PAUSES.0);
        loop {
            let (number, client) = self.client();
            match attempt(client).await {
                Err(error) if is_passing(&error) && begun.elapsed() < PATIENCE => {
                    self.renew(number, &error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                settled => return settled,
            }
        }
    }

    async fn try_append(&self, append: Append) -> Result<Appended, AppendError> {
        let options = AppendToStreamOptions::default().expected_revision(match append.expected {
            Expected::Any => ExpectedRevision::Any,
            Expected::NoStream => ExpectedRevision::NoStream,
            Expected::Exact(revision) => ExpectedRevision::Exact(revision.0),
        });
        let new = |event: &domain::NewEvent| {
            let data = EventData::json(&*event.kind, &event.data)?.id(event.id);
            data.metadata_as_json(&event.metadata)
        };
        let events: Result<Vec<_>, _> = append.events.iter().map(new).collect();
        let events = events.map_err(|_| AppendError::Invalid("it is not JSON"))?;
        let (stream, options) = (append.stream.as_str(), &options);
        let written = self.persist(|client| {
            let events = events.clone();
            async move { client.append_to_stream(stream, options, events).await }
        });
        match written.await {
            Ok(written) => Ok(Appended {
                revision: Revision(written.next_expected_version),
                position: Position(written.position.commit),
            }),
            Err(Error::WrongExpectedVersion { current, .. }) => {
                let actual = match current {
                    CurrentRevision::Current(revision) => Some(Revision(revision)),
                    CurrentRevision::NoStream => None,
                };
                self.conflict(append, actual).await
            }
            Err(Error::ResourceAlreadyExists) => Err(AppendError::IdTaken),
            Err(error) => Err(AppendError::Unavailable(error.to_string().into())),
        }
    }

    /// The stream is not as expected: because these very events are there already, or because of somebody else's.
    async fn conflict(
        &self,
        append: Append,
        actual: Option<Revision>,
    ) -> Result<Appended, AppendError> {
        let begin = match append.expected {
            Expected::Exact(revision) => revision.0.checked_add(1),
            Expected::Any | Expected::NoStream => Some(0),
        };
        if let Some(begin) = begin.filter(|_| !fits(append.expected, actual)) {
            let count = append.events.len();
            let there = self.page(&append.stream, Revision(begin), Direction::Forward, count).await;
            let there = there.map_err(|error| AppendError::Unavailable(error.0))?;
            let ids = there.iter().map(|event| event.id);
            if let Some(last) = there.last()
                && ids.eq(append.events.iter().map(|event| event.id))
            {
                return Ok(Appended { revision: last.revision, position: last.position });
            }
        }
        Err(AppendError::WrongRevision { stream: append.stream, actual })
    }

    async fn page(
        &self,
        stream: &StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> Result<Batch, ReadError> {
        if limit == 0 {
            return Ok(Batch::new());
        }
        let end = i64::MAX.cast_unsigned();
        let options = ReadStreamOptions::default().max_count(limit);
        let options = &match direction {
            Direction::Forward if from.0 > end => return Ok(Batch::new()),
            Direction::Forward => options.position(StreamPosition::Position(from.0)).forwards(),
            Direction::Backward if from.0 >= end => options.position(StreamPosition::End),
            Direction::Backward => options.position(StreamPosition::Position(from.0)).backwards(),
        };
        let read = self.persist(|client| async move {
            let mut events = Batch::new();
            let mut read = match client.read_stream(stream.as_str(), options).await {
                Err(Error::ResourceNotFound) => return Ok(events),
                read => read?,
            };
            loop {
                match read.next().await {
                    Ok(Some(event)) => events.extend(recorded(event)),
                    Ok(None) | Err(Error::ResourceNotFound) => return Ok(events),
                    Err(error) => return Err(error),
                }
            }
        });
        read.await.map_err(unreadable)
    }

    async fn all(&self, after: Position, limit: usize, filter: &Filter) -> Result<Page, ReadError> {
        let at = At { commit: after.0, prepare: after.0 };
        let position = match after {
            Position::START => StreamPosition::Start,
            _ => StreamPosition::Position(at),
        };
        // The event at `after` itself comes first.
        let options = ReadAllOptions::default().position(position).forwards();
        let options = &options.max_count(limit.saturating_add(1));
        let read = self.persist(|client| async move {
            let mut read: ReadStream = client.read_all(options).await?;
            let mut page = Page { events: Batch::new(), scanned: after };
            let (mut weight, mut seen) = (0, 0);
            while let Some(event) = read.next().await? {
                let position = Position(event.get_original_event().position.commit);
                if position <= after {
                    continue;
                }
                page.scanned = position;
                seen += 1;
                if let Some(event) = recorded(event).filter(|event| filter.admits(event)) {
                    weight += event.weight();
                    page.events.push(event);
                }
                if seen >= limit || weight > HEAVIEST_PAGE {
                    break;
                }
            }
            Ok(page)
        });
        read.await.map_err(unreadable)
    }

    /// Position of the last event that is ours: the server's own come in between.
    async fn end(&self) -> Result<Position, ReadError> {
        let options = &ReadAllOptions::default().position(StreamPosition::End).backwards();
        let read = self.persist(|client| async move {
            let mut read = client.read_all(options).await?;
            while let Some(event) = read.next().await? {
                if let Some(event) = recorded(event) {
                    return Ok(event.position);
                }
            }
            Ok(Position::START)
        });
        read.await.map_err(unreadable)
    }
}

impl EventLog for EventStoreLog {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        if let Err(invalid) = limits::check(&append) {
            return ready(Err(invalid)).boxed();
        }
        let (begun, span) = (Instant::now(), append.span("eventstoredb"));
        let appended = self.try_append(append);
        appended
            .inspect(move |_| pulse::APPEND_SECONDS.time(begun.elapsed()))
            .instrument(span)
            .boxed()
    }

    fn read<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        self.page(stream, from, direction, limit).boxed()
    }

    fn read_all<'a>(
        &'a self,
        after: Position,
        limit: usize,
        filter: &'a Filter,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.all(after, limit, filter).boxed()
    }

    fn subscribe(&self, after: Position, filter: Filter) -> BoxStream<'static, Delivery> {
        let at = Some(after.0).filter(|_| after > Position::START);
        let following = Following::new(self.clone(), What::All(filter), at);
        let deliveries = stream::unfold(following, |mut following| async {
            let events = following.next().await;
            let position = Position(following.at.unwrap_or_default());
            Some((Delivery { events, position }, following))
        });
        deliveries.boxed()
    }

    fn follow(&self, stream: StreamId, from: Revision) -> BoxStream<'static, Batch> {
        let following = Following::new(self.clone(), What::Stream(stream), from.0.checked_sub(1));
        let batches = stream::unfold(following, |mut following| async {
            Some((following.next().await, following))
        });
        batches.filter(|batch| ready(!batch.is_empty())).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, ReadError>> {
        self.end().boxed()
    }
}

/// The event, if it is one of ours: JSON in a stream whose name has a category.
fn recorded(event: ResolvedEvent) -> Option<Arc<Recorded>> {
    let event = event.event?;
    if event.stream_id.starts_with('$') {
        return None;
    }
    let json =
        |bytes: &[u8]| RawValue::from_string(std::str::from_utf8(bytes).ok()?.to_owned()).ok();
    // In tenths of a microsecond since the epoch.
    let created: Option<i64> = event.metadata.get("created").and_then(|ticks| ticks.parse().ok());
    Some(Arc::new(Recorded {
        id: event.id,
        stream: event.stream_id.parse().ok()?,
        revision: Revision(event.revision),
        position: Position(event.position.commit),
        kind: event.event_type.into(),
        data: json(&event.data)?,
        metadata: json(&event.custom_metadata)?,
        recorded_at: DateTime::from_timestamp_micros(created.unwrap_or_default() / 10)?,
    }))
}

/// Whether it may work when it is done again.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::ServerError(_)
        | Error::ConnectionClosed
        | Error::GrpcConnectionError(_)
        | Error::NotLeaderException(_)
        | Error::DeadlineExceeded => true,
        Error::Grpc { code, .. } => i32::from(*code) == CANCELLED,
        _ => false,
    }
}

fn unreadable(error: Error) -> ReadError {
    ReadError(error.to_string().into())
}

//! The log in PostgreSQL: one writer per node commits in groups, readers page by position, the newest events are
//! followed in memory.
//!
//! An append travels: [`PostgresLog::append`] → the queue → the writer (`writer`), which plans a batch in memory (`plan`)
//! and commits it in one statement (`statement`) → the tail, where subscribers wait → the answer. What does not fit by
//! the writer's memory goes back to its caller, who asks the database (`lookup`).

mod lookup;
mod neighbours;
#[cfg(test)]
mod outages;
mod plan;
mod read;
mod recent;
mod statement;
#[cfg(test)]
mod testing;
mod verify;
mod writer;

pub(super) use read::Reader;
pub use verify::{Broken, Verified, verify};

use super::{
    Append, AppendError, Appended, Batch, Delivery, Direction, EventLog, Filter, Page, ReadError,
    fits, limits, subscription, tail::Tail,
};
use crate::pulse;
use domain::{Position, Revision, StreamId};
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream::BoxStream,
};
use plan::{Reply, Request};
use sqlx::PgPool;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;
use uuid::Uuid;
use writer::{Announcer, Writer};

/// How a node writes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an append waits for its answer, the database being away or slow.
    pub patience: Duration,
    /// Appends that may wait for the writer; further callers wait for room.
    pub queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { patience: Duration::from_secs(15), queue: 4_096 }
    }
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database does not answer, or holds no log: the migrations have to run first.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// Text would not come back as it was written.
    #[error("the database's encoding is {0}; the log needs UTF8")]
    NotUtf8(Box<str>),
}

/// The log in PostgreSQL. One per process is enough; several nodes may share a database.
#[derive(Debug)]
pub struct PostgresLog {
    queue: mpsc::Sender<Request>,
    reader: Reader,
    tail: Arc<Tail>,
    patience: Duration,
    closing: CancellationToken,
    _close: DropGuard,
}

impl PostgresLog {
    /// Opens the log. Reads go through `pool`; the writer and the listener connect for themselves, with the pool's
    /// options. Has to be called within a tokio runtime; the tasks it starts end when the log is dropped.
    ///
    /// # Errors
    /// When the database does not answer or is not fit to hold the log.
    pub async fn open(pool: PgPool, settings: Settings) -> Result<Arc<Self>, OpenError> {
        let encoding = sqlx::query_scalar("show server_encoding").fetch_one(&pool);
        let encoding: String =
            encoding.await.map_err(|error| ReadError(error.to_string().into()))?;
        if encoding != "UTF8" {
            return Err(OpenError::NotUtf8(encoding.into()));
        }
        let options = pool.connect_options().as_ref().clone();
        let reader = Reader::new(pool);
        let tail = Arc::new(Tail::new(reader.head().await?));
        let node: Box<str> = Uuid::new_v4().simple().to_string().into();

        let (queue, requests) = mpsc::channel(settings.queue.max(1));
        // Until proven otherwise there are other nodes that want to hear of every batch.
        let company = Arc::new(AtomicBool::new(true));
        let announcer = Announcer { node: node.clone(), company: company.clone() };
        let writer = Writer::new(options.clone(), announcer, tail.clone(), requests);
        // On the callers' runtime, not on a thread of its own: measured, the shorter way to wake callers wins.
        tokio::spawn(writer.run());

        let closing = CancellationToken::new();
        let listen = neighbours::listen(options, node.clone(), tail.clone());
        tokio::spawn(closing.clone().run_until_cancelled_owned(listen));
        let fill = neighbours::fill(reader.clone(), node, tail.clone(), company);
        tokio::spawn(closing.clone().run_until_cancelled_owned(fill));

        let patience = settings.patience;
        let close = closing.clone().drop_guard();
        Ok(Arc::new(Self { queue, reader, tail, patience, closing, _close: close }))
    }

    /// Sends an append to the writer until it is settled.
    async fn settle(&self, mut append: Append) -> Result<Appended, AppendError> {
        let mut seen = None;
        loop {
            let (reply, answer) = oneshot::channel();
            let request = Request { append, seen, uncertain: false, reply };
            self.queue.send(request).await.map_err(|_| gone())?;
            append = match answer.await.map_err(|_| gone())? {
                Reply::Settled(answer) => return answer,
                Reply::Doubtful(append) => append,
            };
            // By the writer's memory it does not fit. The database has the last word: another node may have written, or
            // this append was made before.
            let Append { stream, expected, events } = &append;
            let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
            let (length, places) = self.reader.known(stream, &ids).await.map_err(unavailable)?;
            if let Some(answer) = lookup::earlier(&append, &places) {
                return answer;
            }
            let actual = length.checked_sub(1).map(Revision);
            if !fits(*expected, actual) {
                return Err(AppendError::WrongRevision { stream: append.stream, actual });
            }
            seen = Some(length);
        }
    }
}

impl EventLog for PostgresLog {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        if let Err(invalid) = limits::check(&append) {
            return ready(Err(invalid)).boxed();
        }
        let (begun, span) = (Instant::now(), append.span("postgresql"));
        let settled = tokio::time::timeout(self.patience, self.settle(append));
        let late = |_| AppendError::Unavailable("no answer from the database in time".into());
        let answered = settled.map(move |answer| answer.map_err(late)?);
        answered
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
        self.reader.stream(stream, from, direction, limit).boxed()
    }

    fn read_some<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        self.reader.some(stream, from, direction, limit).boxed()
    }

    fn read_all<'a>(
        &'a self,
        after: Position,
        limit: usize,
        filter: &'a Filter,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.reader.page(after, limit, filter).boxed()
    }

    fn subscribe(&self, after: Position, filter: Filter) -> BoxStream<'static, Delivery> {
        let (reader, tail) = (self.reader.clone(), self.tail.clone());
        let closed = self.closing.clone().cancelled_owned();
        subscription::subscribe(reader, tail, after, filter).take_until(closed).boxed()
    }

    fn follow(&self, stream: StreamId, from: Revision) -> BoxStream<'static, Batch> {
        let closed = self.closing.clone().cancelled_owned();
        let following = subscription::follow(self.reader.clone(), &self.tail, stream, from);
        following.take_until(closed).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, ReadError>> {
        self.reader.head().boxed()
    }
}

fn gone() -> AppendError {
    AppendError::Unavailable("the log's writer is gone".into())
}

fn unavailable(error: ReadError) -> AppendError {
    AppendError::Unavailable(error.0)
}

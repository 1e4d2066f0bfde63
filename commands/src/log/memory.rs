//! The log in memory, for tests: the same laws in few lines.

use super::{
    Append, AppendError, Appended, Batch, Delivery, Direction, EventLog, Filter, Page, ReadError,
    fits,
    idempotence::{Earlier, Place},
    limits,
};
use chrono::Utc;
use domain::{Position, Recorded, Revision, StreamId};
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream::{self, BoxStream},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};
use tokio::sync::watch;
use uuid::Uuid;

/// Events per delivery of a subscription.
const PAGE: usize = 1_000;

/// A log that ends with its process.
#[derive(Debug, Clone)]
pub struct MemoryLog {
    events: Arc<RwLock<Events>>,
    head: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Events {
    all: Batch,
    streams: HashMap<StreamId, Batch>,
    ids: HashMap<Uuid, Arc<Recorded>>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self { events: Arc::default(), head: watch::Sender::new(0) }
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn events(&self) -> RwLockReadGuard<'_, Events> {
        self.events.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, append: Append) -> Result<Appended, AppendError> {
        limits::check(&append)?;
        let mut events = self.events.write().unwrap_or_else(PoisonError::into_inner);
        let appended = events.append(append)?;
        self.head.send_replace(events.all.len() as u64);
        Ok(appended)
    }
}

impl Events {
    fn append(&mut self, append: Append) -> Result<Appended, AppendError> {
        let earlier = Earlier::of(&append, |id| {
            let known = self.ids.get(id)?;
            let (stream, revision, position) = (&known.stream, known.revision, known.position);
            Some(Place { stream: stream.clone(), revision, position })
        });
        if let Some(answer) = earlier.answer() {
            return answer;
        }
        let Append { stream, expected, events } = append;
        let own = self.streams.entry(stream.clone()).or_default();
        let actual = own.last().map(|last| last.revision);
        if !fits(expected, actual) {
            return Err(AppendError::WrongRevision { stream, actual });
        }
        let recorded_at =
            self.all.last().map_or(Utc::now(), |last| last.recorded_at.max(Utc::now()));
        for event in events {
            let recorded = Arc::new(Recorded {
                id: event.id,
                stream: stream.clone(),
                revision: Revision(own.len() as u64),
                position: Position(self.all.len() as u64 + 1),
                kind: event.kind,
                data: event.data,
                metadata: event.metadata,
                recorded_at,
            });
            own.push(recorded.clone());
            self.ids.insert(recorded.id, recorded.clone());
            self.all.push(recorded);
        }
        let (revision, position) = (own.len() as u64 - 1, self.all.len() as u64);
        Ok(Appended { revision: Revision(revision), position: Position(position) })
    }

    fn page(&self, after: Position, limit: usize, filter: &Filter) -> Page {
        let rest = self.all.iter().skip(after.0 as usize).take(limit);
        let scanned = rest.clone().next_back().map_or(after, |last| last.position);
        Page { events: rest.filter(|event| filter.admits(event)).cloned().collect(), scanned }
    }
}

impl EventLog for MemoryLog {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        ready(self.write(append)).boxed()
    }

    fn read<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        let events = self.events();
        let own = events.streams.get(stream).map(Vec::as_slice).unwrap_or_default();
        let from = usize::try_from(from.0).unwrap_or(usize::MAX);
        let found: Batch = match direction {
            Direction::Forward => own.iter().skip(from).take(limit).cloned().collect(),
            Direction::Backward => {
                own.iter().take(from.saturating_add(1)).rev().take(limit).cloned().collect()
            }
        };
        ready(Ok(found)).boxed()
    }

    fn read_all<'a>(
        &'a self,
        after: Position,
        limit: usize,
        filter: &'a Filter,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        ready(Ok(self.events().page(after, limit, filter))).boxed()
    }

    fn subscribe(&self, after: Position, filter: Filter) -> BoxStream<'static, Delivery> {
        stream::unfold((self.clone(), self.head.subscribe(), after), move |state| {
            let filter = filter.clone();
            async move {
                let (log, mut head, after) = state;
                head.wait_for(|head| *head > after.0).await.ok()?;
                let Page { events, scanned } = log.events().page(after, PAGE, &filter);
                Some((Delivery { events, position: scanned }, (log, head, scanned)))
            }
        })
        .boxed()
    }

    fn follow(&self, stream: StreamId, from: Revision) -> BoxStream<'static, Batch> {
        let start = (self.clone(), self.head.subscribe(), from);
        stream::unfold(start, move |(log, mut head, from)| {
            let stream = stream.clone();
            async move {
                loop {
                    head.borrow_and_update();
                    let batch = log.read(&stream, from, Direction::Forward, PAGE).await.ok()?;
                    if let Some(last) = batch.last() {
                        let next = Revision(last.revision.0 + 1);
                        return Some((batch, (log, head, next)));
                    }
                    head.changed().await.ok()?;
                }
            }
        })
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, ReadError>> {
        ready(Ok(Position(self.events().all.len() as u64))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryLog;
    use crate::log::{EventLog, contract::Backend};
    use futures::{
        FutureExt,
        future::{BoxFuture, ready},
    };
    use std::sync::Arc;

    impl Backend for MemoryLog {
        fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
            let log: Arc<dyn EventLog> = Arc::new(self.clone());
            ready(log).boxed()
        }
    }

    crate::log_contract!(MemoryLog::new());
}

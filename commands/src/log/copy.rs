//! Moving a log to another backend, event by event, in the same order.

use super::{Append, AppendError, Batch, EventLog, Filter, ReadError};
use domain::{Expected, NewEvent, Position, Recorded, Revision};
use std::sync::Arc;

/// Events read at a time.
const PAGE: usize = 1_000;
/// Events of one stream that follow each other are written together, up to so many bytes.
const TOGETHER: usize = 4 << 20;

/// What a copy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Events that an earlier copy had brought; each was compared.
    pub found: u64,
    /// Events written now; each was read back and compared.
    pub written: u64,
}

/// Why a copy stopped. What it has written stays, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target holds something else where this event belongs.
    #[error("the target differs from the source at event {id} of {stream}, revision {revision}")]
    Differs {
        /// The source's event.
        id: uuid::Uuid,
        /// Its stream.
        stream: domain::StreamId,
        /// Its revision.
        revision: Revision,
    },
    /// The target holds more than the source.
    #[error("the target holds events that the source does not have, from position {0} on")]
    Longer(Position),
    /// One of them cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The target does not take an event; nobody else may write to it meanwhile.
    #[error("the target refuses: {0}")]
    Refused(#[from] AppendError),
}

/// Copies everything up to the source's present end. What the target has already is compared instead. The times of events are
/// the target's own; everything else is the same, bytes included. `progress` hears of (events done, the source's end).
///
/// # Errors
/// See [`CopyError`].
pub async fn copy(
    from: &dyn EventLog,
    to: &dyn EventLog,
    mut progress: impl FnMut(u64, Position),
) -> Result<Copied, CopyError> {
    let end = from.head().await?;
    let (mut source, mut target) = (Cursor::new(from, end), Cursor::new(to, to.head().await?));
    let mut found = 0;
    while let Some(there) = target.next().await? {
        let Some(event) = source.next().await? else {
            return Err(CopyError::Longer(there.position));
        };
        compare(&event, &there)?;
        found += 1;
        progress(found, end);
    }
    let begin = target.at;
    let (mut written, mut sent) = (0, Batch::new());
    loop {
        let event = source.next().await?;
        let weight: usize = sent.iter().map(|event| event.weight()).sum();
        let joins = event.as_ref().zip(sent.last()).is_some_and(|(event, last)| {
            event.stream == last.stream && weight < TOGETHER && sent.len() < PAGE
        });
        if !joins && !sent.is_empty() {
            written += sent.len() as u64;
            write(to, &sent).await?;
            sent.clear();
            progress(found + written, end);
        }
        match event {
            Some(event) => sent.push(event),
            None => break,
        }
    }
    verify(from, end, found, to, begin).await?;
    Ok(Copied { found, written })
}

/// Reads back what was written, beside what it was copied from.
async fn verify(
    from: &dyn EventLog,
    end: Position,
    skip: u64,
    to: &dyn EventLog,
    begin: Position,
) -> Result<(), CopyError> {
    let mut source = Cursor::new(from, end);
    for _ in 0..skip {
        source.next().await?;
    }
    let mut target = Cursor { at: begin, ..Cursor::new(to, to.head().await?) };
    while let Some(event) = source.next().await? {
        match target.next().await? {
            Some(there) => compare(&event, &there)?,
            None => return Err(differs(&event)),
        }
    }
    match target.next().await? {
        Some(there) => Err(CopyError::Longer(there.position)),
        None => Ok(()),
    }
}

async fn write(to: &dyn EventLog, events: &[Arc<Recorded>]) -> Result<(), CopyError> {
    let Some(first) = events.first() else { return Ok(()) };
    let expected = match first.revision.0.checked_sub(1) {
        Some(before) => Expected::Exact(Revision(before)),
        None => Expected::NoStream,
    };
    let new = |event: &Arc<Recorded>| NewEvent {
        id: event.id,
        kind: event.kind.clone(),
        data: event.data.clone(),
        metadata: event.metadata.clone(),
    };
    let (stream, events) = (first.stream.clone(), events.iter().map(new).collect());
    to.append(Append { stream, expected, events }).await?;
    Ok(())
}

fn compare(event: &Recorded, there: &Recorded) -> Result<(), CopyError> {
    let same = event.id == there.id
        && event.stream == there.stream
        && event.revision == there.revision
        && event.kind == there.kind
        && event.data.get() == there.data.get()
        && event.metadata.get() == there.metadata.get();
    if same { Ok(()) } else { Err(differs(event)) }
}

fn differs(event: &Recorded) -> CopyError {
    let (id, stream, revision) = (event.id, event.stream.clone(), event.revision);
    CopyError::Differs { id, stream, revision }
}

/// Reads a log up to a fixed end.
struct Cursor<'a> {
    log: &'a dyn EventLog,
    at: Position,
    end: Position,
    page: std::vec::IntoIter<Arc<Recorded>>,
}

impl<'a> Cursor<'a> {
    fn new(log: &'a dyn EventLog, end: Position) -> Self {
        Self { log, at: Position::START, end, page: Vec::new().into_iter() }
    }

    async fn next(&mut self) -> Result<Option<Arc<Recorded>>, ReadError> {
        loop {
            if let Some(event) = self.page.next() {
                return Ok(Some(event).filter(|event| event.position <= self.end));
            }
            if self.at >= self.end {
                return Ok(None);
            }
            let page = self.log.read_all(self.at, PAGE, &Filter::all()).await?;
            if page.scanned <= self.at {
                return Ok(None);
            }
            self.at = page.scanned;
            self.page = page.events.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::log::{
        contract::{some, stream},
        memory::MemoryLog,
    };

    async fn filled(rounds: usize) -> MemoryLog {
        let log = MemoryLog::new();
        let streams = [stream("thing"), stream("other")];
        for round in 0..rounds {
            for stream in &streams {
                log.append(some(stream, Expected::Any, 1 + round % 3)).await.unwrap();
            }
        }
        log
    }

    async fn all(log: &dyn EventLog) -> Vec<String> {
        let page = log.read_all(Position::START, 10_000, &Filter::all()).await.unwrap();
        let shown = |event: &Arc<Recorded>| format!("{} {} {}", event.id, event.stream, event.data);
        page.events.iter().map(shown).collect()
    }

    #[tokio::test]
    async fn a_copy_holds_the_same_in_the_same_order_and_goes_on_where_it_stopped() {
        let (from, to) = (filled(40).await, MemoryLog::new());
        let total = all(&from).await.len() as u64;
        // A copy that was interrupted after some events.
        let begun = from.read_all(Position::START, 25, &Filter::all()).await.unwrap();
        for event in &begun.events {
            write(&to, std::slice::from_ref(event)).await.unwrap();
        }
        let copied = copy(&from, &to, |_, _| {}).await.unwrap();
        assert_eq!(copied, Copied { found: 25, written: total - 25 });
        assert_eq!(all(&from).await, all(&to).await);
        assert_eq!(copy(&from, &to, |_, _| {}).await.unwrap(), Copied { found: total, written: 0 });
    }

    #[tokio::test]
    async fn a_target_that_holds_something_else_is_left_alone() {
        let (from, to) = (filled(3).await, filled(1).await);
        let before = all(&to).await;
        let refused = copy(&from, &to, |_, _| {}).await;
        assert!(matches!(refused, Err(CopyError::Differs { .. })), "{refused:?}");
        assert_eq!(all(&to).await, before);
        let longer = copy(&MemoryLog::new(), &to, |_, _| {}).await;
        assert!(matches!(longer, Err(CopyError::Longer(_))), "{longer:?}");
    }
}

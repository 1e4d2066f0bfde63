//! What a batch will write, decided in memory before the database is asked.

use super::{recent::Recent, statement::Line};
use crate::log::{
    Append, AppendError, Appended, fits,
    idempotence::{Earlier, Place},
};
use domain::{Position, Revision, StreamId};
use std::collections::HashSet;
use tokio::sync::oneshot;
use uuid::Uuid;

/// Streams whose lengths are remembered, per generation.
const STREAMS: usize = 50_000;
/// Event ids that are remembered, per generation.
const IDS: usize = 20_000;

/// An append on its way to the writer.
#[derive(Debug)]
pub(super) struct Request {
    /// What to write.
    pub(super) append: Append,
    /// A length of the stream that the caller has seen in the database.
    pub(super) seen: Option<u64>,
    /// It was sent to the database before, and what came of it is not known.
    pub(super) uncertain: bool,
    /// Who waits.
    pub(super) reply: oneshot::Sender<Reply>,
}

/// The writer's answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// The append is settled.
    Settled(Result<Appended, AppendError>),
    /// By what the writer remembers it does not fit; the database has the last word.
    Doubtful(Append),
}

impl Request {
    /// Answers; nobody may be waiting any more.
    pub(super) fn settle(self, answer: Result<Appended, AppendError>) {
        drop(self.reply.send(Reply::Settled(answer)));
    }

    /// Sends the append back.
    pub(super) fn doubt(self) {
        drop(self.reply.send(Reply::Doubtful(self.append)));
    }
}

/// A request that will be written.
#[derive(Debug)]
pub(super) struct Write {
    /// The request.
    pub(super) request: Request,
    /// Revision of its first event.
    pub(super) first: u64,
}

impl Write {
    /// Its events, as the statement takes them.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let Append { stream, events, .. } = &self.request.append;
        events.iter().zip(self.first..).map(move |(event, revision)| Line {
            stream,
            revision,
            event,
        })
    }
}

/// A batch.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What will be written, in this order.
    pub(super) writes: Vec<Write>,
    /// What does not fit, as far as is remembered.
    pub(super) doubtful: Vec<Request>,
    /// What shares an event id with this batch and has to wait for its outcome.
    pub(super) later: Vec<Request>,
}

/// What the writer remembers of the log. Lengths may lag behind other nodes' writes, but never run ahead of what is
/// committed, or being committed by this writer.
#[derive(Debug)]
pub(super) struct Memory {
    lengths: Recent<StreamId, u64>,
    ids: Recent<Uuid, Place>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { lengths: Recent::new(STREAMS), ids: Recent::new(IDS) }
    }

    /// The streams of these requests whose length is not known.
    pub(super) fn unknown<'a>(&mut self, requests: &'a [Request]) -> HashSet<&'a str> {
        let mut unknown = HashSet::new();
        for Request { append, seen, .. } in requests {
            match (self.lengths.get(&append.stream), *seen) {
                (None, None) => drop(unknown.insert(append.stream.as_str())),
                (known, Some(seen)) if known.is_none_or(|known| known < seen) => {
                    self.lengths.insert(append.stream.clone(), seen);
                }
                _ => {}
            }
        }
        unknown
    }

    /// Remembers the length of a stream.
    pub(super) fn learn(&mut self, stream: StreamId, length: u64) {
        self.lengths.insert(stream, length);
    }

    /// Sorts the requests. Those to be written count as written for the ones behind them.
    pub(super) fn plan(&mut self, requests: Vec<Request>) -> Plan {
        let mut plan = Plan::default();
        let mut ids = HashSet::with_capacity(requests.len());
        for request in requests {
            let Append { stream, expected, events } = &request.append;
            if events.iter().any(|event| ids.contains(&event.id)) {
                plan.later.push(request);
                continue;
            }
            match Earlier::of(&request.append, |id| self.ids.peek(id).cloned()) {
                Earlier::Never => {}
                Earlier::Answered(appended) => {
                    request.settle(Ok(appended));
                    continue;
                }
                Earlier::Otherwise => {
                    plan.doubtful.push(request);
                    continue;
                }
            }
            let first = self.lengths.peek(stream).copied().unwrap_or(0);
            if fits(*expected, first.checked_sub(1).map(Revision)) {
                ids.extend(events.iter().map(|event| event.id));
                self.lengths.insert(stream.clone(), first + events.len() as u64);
                plan.writes.push(Write { request, first });
            } else {
                plan.doubtful.push(request);
            }
        }
        plan
    }

    /// Forgets what was planned: it did not happen, or not as planned.
    pub(super) fn forget(&mut self, writes: &[Write]) {
        for write in writes {
            self.lengths.forget(&write.request.append.stream);
        }
    }

    /// Remembers the ids of a committed write.
    pub(super) fn committed(&mut self, write: &Write, first: Position) {
        let Append { stream, events, .. } = &write.request.append;
        for (n, event) in (0..).zip(events) {
            let (revision, position) = (Revision(write.first + n), Position(first.0 + n));
            self.ids.insert(event.id, Place { stream: stream.clone(), revision, position });
        }
    }
}

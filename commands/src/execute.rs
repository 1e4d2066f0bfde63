//! Load, decide, append; begin again if another writer was faster.

use crate::{
    log::{Append, AppendError, Direction, EventLog, ReadError},
    trace,
};
use domain::{
    Decider, Expected, Metadata, NewEvent, Position, Recorded, Refusal, Revision, StreamId, codec,
};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use uuid::Uuid;

/// How often a decision is taken anew when other writers are faster.
const ATTEMPTS: usize = 16;
/// Events per read while an aggregate is loaded.
const PAGE: usize = 1_000;

/// What a command led to.
#[derive(Debug)]
pub struct Decided<D: Decider> {
    /// The state after the decision.
    pub state: D,
    /// The new facts; empty when there was nothing to do.
    pub events: Vec<D::Event>,
    /// Position of the last new fact; `None` when there was nothing to do.
    pub position: Option<Position>,
}

/// The new facts of one decision.
#[derive(Debug)]
pub struct News<E> {
    /// The facts; empty when there was nothing to do.
    pub events: Vec<E>,
    /// Position of the last one; `None` when there was nothing to do.
    pub position: Option<Position>,
}

/// Why a command led to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error<R: Refusal> {
    /// The domain said no.
    #[error(transparent)]
    Refused(R),
    /// The machine failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// The machine failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// Other writers were faster too many times in a row.
    #[error("too many writers at once on {0}")]
    Contended(StreamId),
    /// The write failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The history cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event of the history does not fit its type: written by a newer version, or damaged.
    #[error("event {position} ({kind}) cannot be understood: {reason}")]
    Undecodable {
        /// Where it stands.
        position: Position,
        /// Its stored type.
        kind: Box<str>,
        /// What serde said.
        reason: Arc<str>,
    },
    /// A new event cannot be written as JSON.
    #[error("an event cannot be encoded: {0}")]
    Unencodable(Arc<str>),
}

/// Runs `command` on the aggregate `id`.
///
/// # Errors
/// [`Error::Refused`] when the domain says no (nothing is written), [`Error::Failed`] when the log does not answer.
pub async fn execute<D: Decider>(
    log: &dyn EventLog,
    id: &D::Id,
    command: &D::Command,
    metadata: &Metadata,
) -> Result<Decided<D>, Error<D::Refusal>> {
    let mut loaded = Loaded::<D>::load(log, id).await?;
    let News { events, position } = loaded.execute(log, command, metadata).await?;
    Ok(Decided { state: loaded.state, events, position })
}

/// An aggregate with the revision it reflects, held by somebody who will command it again.
#[derive(Debug)]
pub struct Loaded<D: Decider> {
    stream: StreamId,
    state: D,
    revision: Option<Revision>,
}

impl<D: Decider> Loaded<D> {
    /// Folds the whole stream; an unknown stream gives the default state.
    ///
    /// # Errors
    /// When the log cannot be read or an event is not understood.
    pub async fn load(log: &dyn EventLog, id: &D::Id) -> Result<Self, Failure> {
        let mut loaded =
            Self { stream: StreamId::of::<D>(id), state: D::default(), revision: None };
        loaded.refresh(log).await?;
        Ok(loaded)
    }

    /// Folds the first and the last event of the stream only: for aggregates whose every event after the first says all
    /// that has changed since the first.
    ///
    /// # Errors
    /// When the log cannot be read or an event is not understood.
    pub async fn load_ends(log: &dyn EventLog, id: &D::Id) -> Result<Self, Failure> {
        let mut loaded =
            Self { stream: StreamId::of::<D>(id), state: D::default(), revision: None };
        let last = log.read(&loaded.stream, Revision(u64::MAX), Direction::Backward, 1).await?;
        let Some(last) = last.first() else { return Ok(loaded) };
        if last.revision > Revision(0) {
            let first = log.read(&loaded.stream, Revision(0), Direction::Forward, 1).await?;
            first.iter().try_for_each(|first| loaded.fold(first))?;
        }
        loaded.fold(last)?;
        Ok(loaded)
    }

    /// The state.
    pub fn state(&self) -> &D {
        &self.state
    }

    /// Revision of the last event folded in.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// The stream.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Folds in what others have written since.
    ///
    /// # Errors
    /// When the log cannot be read or an event is not understood.
    pub async fn refresh(&mut self, log: &dyn EventLog) -> Result<(), Failure> {
        // Ids may come from outside; no backend holds a stream of such a name, and a database fails to ask for it.
        if self.stream.as_str().contains('\0') {
            return Ok(());
        }
        loop {
            let from = Revision(self.revision.map_or(0, |last| last.0 + 1));
            let page = log.read(&self.stream, from, Direction::Forward, PAGE).await?;
            for recorded in &page {
                self.fold(recorded)?;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Decides on the state at hand and appends; on a conflict folds in the news and decides again.
    ///
    /// # Errors
    /// As [`execute`].
    pub async fn execute(
        &mut self,
        log: &dyn EventLog,
        command: &D::Command,
        metadata: &Metadata,
    ) -> Result<News<D::Event>, Error<D::Refusal>> {
        for _ in 0..ATTEMPTS {
            let events = self.state.decide(command).map_err(Error::Refused)?;
            if events.is_empty() {
                return Ok(News { events, position: None });
            }
            let expected = self.revision.map_or(Expected::NoStream, Expected::Exact);
            let append =
                Append { stream: self.stream.clone(), expected, events: pack(&events, metadata)? };
            match log.append(append).await {
                Ok(at) => {
                    let state = std::mem::take(&mut self.state);
                    self.state = events.iter().fold(state, D::evolve);
                    self.revision = Some(at.revision);
                    let position = Some(at.position);
                    return Ok(News { events, position });
                }
                Err(AppendError::WrongRevision { .. }) => self.refresh(log).await?,
                Err(error) => return Err(Failure::from(error).into()),
            }
        }
        Err(Failure::Contended(self.stream.clone()).into())
    }

    fn fold(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        let event = unpack::<D>(recorded)?;
        self.state = std::mem::take(&mut self.state).evolve(&event);
        self.revision = Some(recorded.revision);
        Ok(())
    }
}

/// The event of aggregate `D` in this envelope.
///
/// # Errors
/// [`Failure::Undecodable`] when type or fields are unknown.
pub fn unpack<D: Decider>(recorded: &Recorded) -> Result<D::Event, Failure> {
    codec::decode(&recorded.kind, &recorded.data).map_err(|error| Failure::Undecodable {
        position: recorded.position,
        kind: recorded.kind.clone(),
        reason: error.to_string().into(),
    })
}

fn pack<E: serde::Serialize>(events: &[E], metadata: &Metadata) -> Result<Vec<NewEvent>, Failure> {
    let unencodable = |error: serde_json::Error| Failure::Unencodable(error.to_string().into());
    let traceparent = trace::or_current(metadata.traceparent.clone());
    let metadata = Metadata { traceparent, ..metadata.clone() };
    let metadata: Box<RawValue> = to_raw_value(&metadata).map_err(unencodable)?;
    let mut packed = Vec::with_capacity(events.len());
    for event in events {
        let (kind, data) = codec::encode(event).map_err(unencodable)?;
        packed.push(NewEvent { id: Uuid::now_v7(), kind, data, metadata: metadata.clone() });
    }
    Ok(packed)
}

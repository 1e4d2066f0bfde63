//! Searching the log: what `GET /v1/events`, its live stream and `annals events` have in common.

use chrono::{DateTime, Utc};
use commands::log::{Batch, Direction, EventLog, Filter, ReadError};
use domain::{Position, Recorded, Revision, StreamId};
use serde::Deserialize;
use sqlx::PgPool;
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Events looked at between two looks at the clock.
const STEP: usize = 2_000;
/// The same for one stream, whose pages the log does not bound by their weight.
const STREAM_STEP: usize = 100;
/// Effects of one cause that are looked at for one page.
const EFFECTS: usize = 2_000;
/// What is found is cut off when it weighs this much, bytes.
const HEAVIEST: usize = 16 << 20;

/// Which events to find. Empty lists and `None` mean "any"; all given conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The one with this id.
    pub id: Option<Uuid>,
    /// Of this stream.
    pub stream: Option<StreamId>,
    /// Of these categories and types.
    pub filter: Filter,
    /// Done by this person.
    pub actor: Option<Box<str>>,
    /// Going back to this request.
    pub correlation: Option<Uuid>,
    /// Directly caused by this event or command.
    pub causation: Option<Uuid>,
    /// Recorded at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Recorded before this time.
    pub until: Option<DateTime<Utc>>,
}

/// What a search has found so far.
#[derive(Debug, Clone)]
pub struct Found {
    /// In the order of the log.
    pub events: Batch,
    /// Where to go on; `None` when everything up to `head` has been looked at.
    pub next: Option<Position>,
    /// Position of the last event of the log when the search began.
    pub head: Position,
}

impl Search {
    /// Whether this event is one of those looked for.
    pub fn admits(&self, event: &Recorded) -> bool {
        self.id.is_none_or(|id| id == event.id)
            && self.stream.as_ref().is_none_or(|stream| *stream == event.stream)
            && self.filter.admits(event)
            && self.since.is_none_or(|since| event.recorded_at >= since)
            && self.until.is_none_or(|until| event.recorded_at < until)
            && self.admits_metadata(event)
    }

    fn admits_metadata(&self, event: &Recorded) -> bool {
        #[derive(Deserialize)]
        struct Origin<'a> {
            #[serde(borrow)]
            actor: Cow<'a, str>,
            correlation_id: Uuid,
            #[serde(default)]
            causation_id: Option<Uuid>,
        }
        if self.actor.is_none() && self.correlation.is_none() && self.causation.is_none() {
            return true;
        }
        let Ok(origin) = serde_json::from_str::<Origin<'_>>(event.metadata.get()) else {
            return false;
        };
        self.actor.as_deref().is_none_or(|actor| origin.actor == actor)
            && self.correlation.is_none_or(|id| origin.correlation_id == id)
            && self.causation.is_none_or(|id| origin.causation_id == Some(id))
    }

    /// The first `limit` events after `after` that are looked for, or as many as turn up within `patience`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn page(
        &self,
        log: &dyn EventLog,
        after: Position,
        limit: usize,
        patience: Duration,
    ) -> Result<Found, ReadError> {
        let begun = Instant::now();
        let mut weight = 0;
        let head = log.head().await?;
        let mut found = Found { events: Vec::new(), next: None, head };
        let mut at = match self.since {
            Some(since) => after.max(before(log, head, since).await?),
            None => after,
        };
        let mut place = match &self.stream {
            Some(stream) => Some(revision_after(log, stream, at).await?),
            None => None,
        };
        while at < head {
            let step = self.step(log, at, head, &mut place).await?;
            for event in step.events {
                let late = self.until.is_some_and(|until| event.recorded_at >= until);
                if late || event.position > head {
                    return Ok(found);
                }
                if !self.admits(&event) {
                    continue;
                }
                if found.events.len() == limit || weight > HEAVIEST {
                    found.next = found.events.last().map(|last| last.position);
                    return Ok(found);
                }
                weight += event.weight();
                found.events.push(event);
                if self.id.is_some() {
                    return Ok(found);
                }
            }
            at = step.scanned;
            if begun.elapsed() >= patience && at < head {
                found.next = Some(at);
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// The same among these positions and no others, as [`effects_of`] finds them.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn among(
        &self,
        log: &dyn EventLog,
        places: &[Position],
        limit: usize,
        patience: Duration,
    ) -> Result<Found, ReadError> {
        let (begun, mut weight) = (Instant::now(), 0);
        let head = log.head().await?;
        let mut found = Found { events: Vec::new(), next: None, head };
        let (mut at, mut ended) = (None, places.len() < EFFECTS);
        for &place in places {
            let full = found.events.len() == limit || weight > HEAVIEST;
            if at.is_some() && (full || begun.elapsed() >= patience) {
                ended = false;
                break;
            }
            let before = Position(place.0.saturating_sub(1));
            let event = log.read_all(before, 1, &Filter::all()).await?.events.pop();
            if let Some(event) = event.filter(|event| self.admits(event)) {
                weight += event.weight();
                found.events.push(event);
            }
            at = Some(place);
        }
        found.next = at.filter(|_| !ended);
        Ok(found)
    }

    /// The next stretch of the log, or of the stream.
    async fn step(
        &self,
        log: &dyn EventLog,
        at: Position,
        head: Position,
        place: &mut Option<Revision>,
    ) -> Result<commands::log::Page, ReadError> {
        let (Some(stream), Some(revision)) = (&self.stream, place) else {
            // Time ends a search that no filter would: with `until`, the events in between have to be seen.
            return match self.until {
                Some(_) => log.read_all(at, STEP, &Filter::all()).await,
                None => log.read_all(at, STEP, &self.filter).await,
            };
        };
        let events = log.read(stream, *revision, Direction::Forward, STREAM_STEP).await?;
        revision.0 += events.len() as u64;
        let over = events.len() < STREAM_STEP;
        let scanned = events.last().filter(|_| !over).map_or(head, |last| last.position);
        Ok(commands::log::Page { events, scanned })
    }
}

/// Where the event with this id stands, in a log that lies in this database.
///
/// # Errors
/// When the database does not answer.
pub async fn position_of(db: &PgPool, id: Uuid) -> sqlx::Result<Option<Position>> {
    let position: Option<i64> = sqlx::query_scalar("select position from events where id = $1")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(position.map(|position| Position(u64::try_from(position).unwrap_or(0))))
}

/// Where what this event or command directly caused stands after `after`, in a log that lies in this database; of more than
/// [`EFFECTS`] the first ones.
///
/// # Errors
/// When the database does not answer.
pub async fn effects_of(db: &PgPool, cause: Uuid, after: Position) -> sqlx::Result<Vec<Position>> {
    // Word for word as the index has it.
    let positions: Vec<i64> = sqlx::query_scalar(
        r#"select position from events
           where metadata::text like '%"causation_id"%'
             and lower(left(split_part(translate(metadata::text, E' \t\n\r', ''),
                                       '"causation_id":"', 2), 36)) = $1
             and position > $2
           order by position limit $3"#,
    )
    .bind(cause.to_string())
    .bind(i64::try_from(after.0).unwrap_or(i64::MAX))
    .bind(EFFECTS.cast_signed() as i64)
    .fetch_all(db)
    .await?;
    Ok(positions.into_iter().filter_map(|at| u64::try_from(at).ok().map(Position)).collect())
}

/// The last position before `time`: times never go backwards along positions.
async fn before(
    log: &dyn EventLog,
    head: Position,
    time: DateTime<Utc>,
) -> Result<Position, ReadError> {
    let (mut low, mut high) = (0, head.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let page = log.read_all(Position(middle), 1, &Filter::all()).await?;
        match page.events.first() {
            Some(event) if event.recorded_at < time => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Position(low))
}

/// The first revision of the stream that lies after `position`.
async fn revision_after(
    log: &dyn EventLog,
    stream: &StreamId,
    position: Position,
) -> Result<Revision, ReadError> {
    let newest = Revision(u64::MAX >> 1);
    let last = log.read(stream, newest, Direction::Backward, 1).await?;
    let (mut low, mut high) = (0, last.first().map_or(0, |last| last.revision.0 + 1));
    while low < high && position > Position::START {
        let middle = low + (high - low) / 2;
        let event = log.read(stream, Revision(middle), Direction::Forward, 1).await?;
        match event.first().map(Arc::as_ref) {
            Some(event) if event.position <= position => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Revision(low))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use commands::log::{Append, memory::MemoryLog};
    use domain::{Expected, Metadata, NewEvent};
    use serde_json::value::{RawValue, to_raw_value};

    async fn given(log: &MemoryLog, stream: &str, count: usize, bytes: usize) {
        let metadata = to_raw_value(&Metadata::system(Uuid::nil())).unwrap();
        let data = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        let event = |_| NewEvent {
            id: Uuid::now_v7(),
            kind: "Noted".into(),
            data: data.clone(),
            metadata: metadata.clone(),
        };
        let (stream, events) = (stream.parse().unwrap(), (0..count).map(event).collect());
        log.append(Append { stream, expected: Expected::Any, events }).await.unwrap();
    }

    #[tokio::test]
    async fn a_search_out_of_time_says_where_to_go_on() {
        let log = MemoryLog::new();
        for _ in 0..50 {
            given(&log, "note-1", 100, 1).await;
        }
        given(&log, "memo-1", 1, 1).await;
        let search = Search { actor: Some("nobody".into()), ..Search::default() };
        let (mut after, mut steps) = (Position::START, 0);
        loop {
            let found = search.page(&log, after, 10, Duration::ZERO).await.unwrap();
            assert!(found.events.is_empty());
            let Some(next) = found.next else { break };
            assert!(next > after);
            (after, steps) = (next, steps + 1);
        }
        assert!(steps > 1, "{steps}");
    }

    #[tokio::test]
    async fn heavy_events_are_cut_into_small_pages() {
        let log = MemoryLog::new();
        for _ in 0..40 {
            given(&log, "note-1", 1, 1 << 20).await;
        }
        for stream in [None, Some("note-1".parse().unwrap())] {
            let search = Search { stream, ..Search::default() };
            let (mut after, mut positions) = (Position::START, Vec::new());
            loop {
                let patience = Duration::from_secs(20);
                let found = search.page(&log, after, 1_000, patience).await.unwrap();
                assert!(found.events.len() < 20);
                positions.extend(found.events.iter().map(|event| event.position.0));
                let Some(next) = found.next else { break };
                after = next;
            }
            assert_eq!(positions, (1..=40).collect::<Vec<_>>());
        }
    }
}

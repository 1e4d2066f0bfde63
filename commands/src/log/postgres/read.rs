//! Reading events back.

use super::{
    lookup::{self, Places},
    statement::is_lost,
};
use crate::log::{Batch, Direction, Filter, Page, ReadError};
use chrono::{DateTime, Utc};
use domain::{Position, Recorded, Revision, StreamId};
use futures::TryStreamExt;
use serde_json::value::RawValue;
use sqlx::{PgPool, Postgres, Row, postgres::PgArguments, postgres::PgRow, query::Query};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A page ends early when it weighs this much, bytes.
const HEAVIEST_PAGE: usize = 16 << 20;
/// How long a read is repeated while connections of the pool turn out to be broken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two such attempts.
const PAUSE: Duration = Duration::from_millis(20);

const HEAD: &str = "select position from log_head";
const CONNECTIONS: &str = "
    select count(*) from pg_stat_activity
    where starts_with(application_name, $1) and application_name <> $2
      and datname = current_database()";
const PAGE: &str = "
    select position, revision, recorded_at, id, stream, type, data, metadata from events
    where position > $1 order by position limit $2";
const FILTERED_PAGE: &str = "
    select position, revision, recorded_at, id, stream, type, data, metadata from events
    where position > $1 and position <= $2
      and (cardinality($3::text[]) = 0 or split_part(stream, '-', 1) = any ($3))
      and (cardinality($4::text[]) = 0 or type = any ($4))
    order by position";
const FORWARD: &str = "
    select position, revision, recorded_at, id, stream, type, data, metadata from events
    where stream = $1 and revision >= $2 order by revision limit $3";
const BACKWARD: &str = "
    select position, revision, recorded_at, id, stream, type, data, metadata from events
    where stream = $1 and revision <= $2 order by revision desc limit $3";

/// Reads the tables of the log.
#[derive(Debug, Clone)]
pub(in crate::log) struct Reader {
    pool: PgPool,
}

impl Reader {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// See [`EventLog::read_all`](crate::log::EventLog::read_all); may end before `limit` when it grows heavy.
    pub(in crate::log) async fn page(
        &self,
        after: Position,
        limit: usize,
        filter: &Filter,
    ) -> Result<Page, ReadError> {
        if *filter == Filter::all() {
            return persist(move || self.unfiltered(after, limit)).await;
        }
        // The log only grows and has no gaps: what lies below a head that was read before lies there for ever.
        let end = Position(self.head().await?.0.min(after.0.saturating_add(limit as u64)));
        persist(move || self.filtered(after, end, filter)).await
    }

    async fn unfiltered(&self, after: Position, limit: usize) -> sqlx::Result<Page> {
        let query = sqlx::query(PAGE).bind(signed(after.0)).bind(signed(limit as u64));
        let (events, _) = self.fetch(query, None, HEAVIEST_PAGE).await?;
        let scanned = events.last().map_or(after, |last| last.position);
        Ok(Page { events, scanned })
    }

    async fn filtered(
        &self,
        after: Position,
        end: Position,
        filter: &Filter,
    ) -> sqlx::Result<Page> {
        let query = sqlx::query(FILTERED_PAGE).bind(signed(after.0)).bind(signed(end.0));
        let query = query.bind(&filter.categories).bind(&filter.kinds);
        let (events, whole) = self.fetch(query, None, HEAVIEST_PAGE).await?;
        let cut = events.last().filter(|_| !whole).map(|last| last.position);
        Ok(Page { events, scanned: cut.unwrap_or(end).max(after) })
    }

    /// See [`EventLog::read`](crate::log::EventLog::read).
    pub(in crate::log) async fn stream(
        &self,
        stream: &StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> Result<Batch, ReadError> {
        self.stretch(stream, from, direction, (limit, usize::MAX)).await
    }

    /// See [`EventLog::read_some`](crate::log::EventLog::read_some).
    pub(in crate::log) async fn some(
        &self,
        stream: &StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> Result<Batch, ReadError> {
        self.stretch(stream, from, direction, (limit, HEAVIEST_PAGE)).await
    }

    /// So many events of a stream, or as many as weigh so much.
    async fn stretch(
        &self,
        stream: &StreamId,
        from: Revision,
        direction: Direction,
        (limit, heaviest): (usize, usize),
    ) -> Result<Batch, ReadError> {
        let sql = match direction {
            Direction::Forward => FORWARD,
            Direction::Backward => BACKWARD,
        };
        let query = move || {
            let query = sqlx::query(sql).bind(stream.as_str());
            query.bind(signed(from.0)).bind(signed(limit as u64))
        };
        persist(move || self.fetch(query(), Some(stream), heaviest)).await.map(|(events, _)| events)
    }

    /// Position of the last event.
    pub(in crate::log) async fn head(&self) -> Result<Position, ReadError> {
        let head = || sqlx::query_scalar(HEAD).fetch_one(&self.pool);
        persist(head).await.map(|head: i64| Position(head.cast_unsigned()))
    }

    /// How many connections of this database have a name that begins so, but for the one of this name.
    pub(super) async fn connections(&self, prefix: &str, but: &str) -> Result<i64, ReadError> {
        let count = || sqlx::query_scalar(CONNECTIONS).bind(prefix).bind(but);
        persist(|| count().fetch_one(&self.pool)).await
    }

    /// How many events `stream` has, and where those of `ids` stand that are in the log.
    pub(super) async fn known(
        &self,
        stream: &StreamId,
        ids: &[Uuid],
    ) -> Result<(u64, Places), ReadError> {
        persist(move || self.try_known(stream, ids)).await
    }

    async fn try_known(&self, stream: &StreamId, ids: &[Uuid]) -> sqlx::Result<(u64, Places)> {
        let mut connection = self.pool.acquire().await?;
        // In this order: whatever write made the stream this long, its ids are found.
        let lengths = lookup::lengths(&mut connection, &[stream.as_str()]).await?;
        let places = lookup::places(&mut connection, ids).await?;
        Ok((lengths.first().map_or(0, |(_, length)| *length), places))
    }

    /// The rows, up to `heaviest` bytes, and whether these are all.
    async fn fetch(
        &self,
        query: Query<'_, Postgres, PgArguments>,
        stream: Option<&StreamId>,
        heaviest: usize,
    ) -> sqlx::Result<(Batch, bool)> {
        let mut connection = self.pool.acquire().await?;
        let mut rows = query.fetch(&mut *connection);
        let (mut events, mut weight): (Batch, usize) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            let stream = stream.or(events.last().map(|last| &last.stream));
            let event = recorded(&row, stream)?;
            weight += event.weight();
            events.push(Arc::new(event));
            if weight > heaviest {
                return Ok((events, false));
            }
        }
        Ok((events, true))
    }
}

/// The event in a row of the columns position, revision, recorded_at, id, stream, type, data, metadata. `near` is a
/// stream it probably belongs to, so that neighbours share one name.
pub(super) fn recorded(row: &PgRow, near: Option<&StreamId>) -> sqlx::Result<Recorded> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let text = |column: usize| row.try_get_raw(column)?.as_str().map_err(decode);
    let json = |column: usize| -> sqlx::Result<Box<RawValue>> {
        RawValue::from_string(text(column)?.to_owned()).map_err(|error| decode(error.into()))
    };
    let name = text(4)?;
    let stream = match near {
        Some(near) if near.as_str() == name => near.clone(),
        _ => name.parse().map_err(|error| decode(Box::new(error)))?,
    };
    Ok(Recorded {
        position: Position(row.try_get_unchecked::<i64, _>(0)?.cast_unsigned()),
        revision: Revision(row.try_get_unchecked::<i64, _>(1)?.cast_unsigned()),
        recorded_at: row.try_get_unchecked::<DateTime<Utc>, _>(2)?,
        id: row.try_get_unchecked::<Uuid, _>(3)?,
        stream,
        kind: text(5)?.into(),
        data: json(6)?,
        metadata: json(7)?,
    })
}

/// A number as PostgreSQL knows it; what is beyond its range is as good as its end.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Repeats a read while connections are found broken: after a restart of the database the pool is full of them.
async fn persist<T, F>(read: impl Fn() -> F) -> Result<T, ReadError>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let begin = Instant::now();
    loop {
        match read().await {
            Ok(found) => return Ok(found),
            Err(error) if is_lost(&error) && begin.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(ReadError(error.to_string().into())),
        }
    }
}

//! The one statement of a batch, and what its failures mean.

use chrono::{DateTime, Utc};
use domain::{NewEvent, Position, StreamId};
use sha2::{Digest, Sha256};
use sqlx::{
    Encode, PgConnection, Postgres, Row, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgBindIterExt, PgHasArrayType, PgTypeInfo, types::Oid},
};

/// Advances the head, inserts the events, records the batch and wakes other nodes, in one implicit transaction.
const COMMIT: &str = "
    with head as (
        update log_head set
            position = position + $7,
            recorded_at = greatest(recorded_at, $8),
            chain = sha256(chain || $9 || int8send(position + 1) || int8send(position + $7)
                           || timestamptz_send(greatest(recorded_at, $8)))
        returning position - $7 as base, recorded_at, chain
    ), written as (
        insert into events (position, revision, recorded_at, id, stream, type, data, metadata)
        select base + n, revision, recorded_at, id, stream, type, data, metadata
        from head, unnest($1::text[], $2::int8[], $3::uuid[], $4::text[], $5::json[], $6::json[])
            with ordinality as event (stream, revision, id, type, data, metadata, n)
    ), batch as (
        insert into log_batches (first, last, digest, chain)
        select base + 1, base + $7, $9, chain from head
    )
    select base, recorded_at,
           case when $10 <> '' then pg_notify('annals_log', $10 || ' ' || (base + $7)) end
    from head";

/// Locks the end of the log until the transaction ends.
const LOCK: &str = "select from log_head for update";

/// Keeps every other writer out until the transaction ends.
pub(super) async fn lock(transaction: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(LOCK).execute(transaction).await.map(drop)
}

/// An event that is about to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) stream: &'a StreamId,
    pub(super) revision: u64,
    pub(super) event: &'a NewEvent,
}

/// Where a batch came to lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    /// Position before its first event.
    pub(super) base: Position,
    /// When the log took it.
    pub(super) recorded_at: DateTime<Utc>,
}

/// Writes the batch: all of it or nothing. Announces it in the name of `node`; without a name, to nobody.
pub(super) async fn write(
    connection: &mut PgConnection,
    node: &str,
    lines: &[Line<'_>],
) -> sqlx::Result<Written> {
    let row = sqlx::query(COMMIT)
        .bind(lines.iter().map(|line| line.stream.as_str()).bind_iter())
        .bind(lines.iter().map(|line| line.revision.cast_signed()).bind_iter())
        .bind(lines.iter().map(|line| line.event.id).bind_iter())
        .bind(lines.iter().map(|line| &*line.event.kind).bind_iter())
        .bind(lines.iter().map(|line| Json(line.event.data.get())).bind_iter())
        .bind(lines.iter().map(|line| Json(line.event.metadata.get())).bind_iter())
        .bind(lines.len().cast_signed() as i64)
        .bind(Utc::now())
        .bind(digest(lines).as_slice())
        .bind(node)
        .fetch_one(connection)
        .await?;
    let base = Position(row.try_get_unchecked::<i64, _>(0)?.cast_unsigned());
    Ok(Written { base, recorded_at: row.try_get_unchecked(1)? })
}

/// SHA-256 over the canonical bytes of the events: every text is preceded by its length in 4 bytes, big-endian.
fn digest(lines: &[Line<'_>]) -> [u8; 32] {
    let mut digest = BatchDigest::default();
    for Line { stream, revision, event } in lines {
        let NewEvent { id, kind, data, metadata } = event;
        digest.add(stream.as_str(), *revision, id.as_bytes(), [kind, data.get(), metadata.get()]);
    }
    digest.finish()
}

/// The digest of a batch, event by event.
#[derive(Default)]
pub(super) struct BatchDigest(Sha256);

impl BatchDigest {
    /// Adds one event; `rest` are type, payload and metadata.
    pub(super) fn add(&mut self, stream: &str, revision: u64, id: &[u8; 16], rest: [&str; 3]) {
        self.text(stream);
        self.0.update(revision.to_be_bytes());
        self.0.update(id);
        rest.into_iter().for_each(|text| self.text(text));
    }

    /// The digest.
    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    fn text(&mut self, text: &str) {
        // Lengths are bounded by the limits of an append, far below 4 GiB.
        self.0.update((text.len() as u32).to_be_bytes());
        self.0.update(text);
    }
}

/// JSON text for a column of type `json`, the bytes as they are.
struct Json<'a>(&'a str);

impl Type<Postgres> for Json<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(114))
    }
}

impl PgHasArrayType for Json<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(199))
    }
}

impl Encode<'_, Postgres> for Json<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// What a failed write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another node wrote one of these revisions or ids.
    Taken,
    /// The database is away or going; whether it committed is unknown.
    Lost,
    /// The database refuses these very bytes.
    NotStorable,
    /// Something else, likely to happen again.
    Other,
}

impl Failure {
    /// What `error` means.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            Some("23505") => Self::Taken,
            // Data exceptions, program limits (nesting too deep, too large).
            Some(code) if code.starts_with("22") || code.starts_with("54") => Self::NotStorable,
            _ if is_lost(error) => Self::Lost,
            _ => Self::Other,
        }
    }
}

/// Whether the connection is gone, or the server cannot serve now and a new connection may help.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Connection exceptions; cancelled, shutting down, starting up; resources; deadlock; a standby.
            ["08", "57", "53", "40"].iter().any(|class| code.starts_with(class)) || code == "25006"
        }),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

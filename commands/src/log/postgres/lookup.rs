//! What the database knows of event ids and of the ends of streams.

use crate::log::{
    Append, AppendError, Appended,
    idempotence::{Earlier, Place},
};
use domain::{Position, Revision, StreamId};
use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

const PLACES: &str =
    "select id, stream, revision, position from events where id = any ($1::uuid[])";
const LENGTHS: &str = "
    select name, coalesce((select max(revision) + 1 from events where stream = name), 0)
    from unnest($1::text[]) as streams (name)";

/// Where events stand.
pub(super) type Places = HashMap<Uuid, Place>;

/// Where those of `ids` stand that are in the log.
pub(super) async fn places(connection: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Places> {
    let rows: Vec<(Uuid, String, i64, i64)> =
        sqlx::query_as(PLACES).bind(ids).fetch_all(connection).await?;
    let mut places = Places::with_capacity(rows.len());
    for (id, stream, revision, position) in rows {
        let stream =
            StreamId::try_from(stream).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let revision = Revision(revision.cast_unsigned());
        places.insert(id, Place { stream, revision, position: Position(position.cast_unsigned()) });
    }
    Ok(places)
}

/// How many events each of `streams` has.
pub(super) async fn lengths(
    connection: &mut PgConnection,
    streams: &[&str],
) -> sqlx::Result<Vec<(StreamId, u64)>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as(LENGTHS).bind(streams).fetch_all(connection).await?;
    let parsed = rows.into_iter().map(|(name, length)| {
        let stream = StreamId::try_from(name).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok((stream, length.cast_unsigned()))
    });
    parsed.collect()
}

/// The answer to `append` if it was made before.
pub(super) fn earlier(append: &Append, places: &Places) -> Option<Result<Appended, AppendError>> {
    Earlier::of(append, |id| places.get(id).cloned()).answer()
}
